/** One punch over UDP from its first plan to the hole's end. */
import type { Plan } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { PunchReport } from '../hole.ts';
import type { OpenHole, PuncherEvent, StopCode } from '../punch/io.ts';
import { holeKey, type PunchSession, punchSession } from '../punch/session.ts';
import type { MainSockets } from './main-sockets.ts';
import { reportOfFailure, reportOfHole, reportOfRetry } from './punch-report.ts';
import type { Punching, PunchingOptions } from './punching.ts';
import { runPuncher, type RunningPuncher } from './run-puncher.ts';
import { Inbox, UdpHole } from './udp-hole.ts';

/** One introduction: its plan, what agreeKey gives for it, and the sockets that its candidates are of. */
export interface UdpPunchStart<Raw> {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly mains: MainSockets<Raw>;
}

/** Punches by the first plan; ends in `onOpen` or `onFailed`. */
export function startUdpPunching<Raw>(
  start: UdpPunchStart<Raw>,
  options: PunchingOptions<Raw>,
): Punching<UdpPunchStart<Raw>> {
  return new UdpPunching(start, options);
}

interface Given {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly session: PunchSession;
}

class UdpPunching<Raw> implements Punching<UdpPunchStart<Raw>> {
  readonly #options: PunchingOptions<Raw>;
  readonly #puncher: RunningPuncher<Raw>;
  readonly #inbox = new Inbox();
  #given: Given;
  #hole: UdpHole<Raw> | undefined;

  constructor(start: UdpPunchStart<Raw>, options: PunchingOptions<Raw>) {
    this.#options = options;
    this.#given = givenOf(start);
    this.#puncher = runPuncher({
      open: options.open,
      onRenew: options.onRenew,
      onEvent: (event) => this.#handle(event),
      onDatagram: (from, bytes) => this.#inbox.take(from, bytes, this.#given.session),
      onTrouble: (error) => options.onTrouble?.(error),
      onRelayed: (endpoint) => options.onRelayed?.(this.#given.plan.introduction, endpoint),
      onError: options.onError,
    });
    this.begin(start);
  }

  begin(start: UdpPunchStart<Raw>): void {
    this.#given = givenOf(start);
    this.#puncher.begin(start);
  }

  hearRelayed(introduction: number, endpoint: Endpoint | undefined): void {
    if (introduction === this.#given.plan.introduction) this.#puncher.hearRelayed(endpoint);
  }

  stop(code?: StopCode): void {
    this.#puncher.stop(code);
  }

  #handle(event: PuncherEvent): void {
    switch (event.kind) {
      case 'open':
        this.#open(event);
        return;
      case 'lost':
        this.#hole!.lose(event.silentMs);
        return;
      case 'guessing':
        this.#options.onGuessing?.(event);
        return;
      case 'retrying':
        this.#tellOutcome(reportOfRetry(this.#given.plan, event));
        this.#options.onRetrying?.(event.attempt, event.reason);
        return;
      case 'failed': {
        const report = reportOfFailure(this.#given.plan, event);
        this.#tellOutcome(report);
        if (this.#hole === undefined) this.#options.onFailed(report);
        else this.#hole.fail(report);
        return;
      }
      case 'closed':
        this.#hole!.end();
        return;
    }
  }

  #open(opened: OpenHole): void {
    const { plan, key } = this.#given;
    const socket = this.#puncher.socket(opened.socket)!;
    const report = reportOfHole(plan, opened, socket.local, this.#puncher.wayThrough(opened.remote));
    this.#tellOutcome(report);
    const state = { socket, remote: opened.remote, report, key, role: plan.plan.role };
    if (this.#hole !== undefined) {
      this.#hole.reopen(state);
      return;
    }
    this.#hole = new UdpHole(state, this.#inbox, () => {
      this.#puncher.stop();
      return this.#puncher.ended;
    });
    this.#options.onOpen(this.#hole);
  }

  #tellOutcome(report: PunchReport): void {
    this.#options.onOutcome?.(this.#given.plan.introduction, report);
  }
}

function givenOf<Raw>({ plan, key }: UdpPunchStart<Raw>): Given {
  return { plan, key: holeKey(key), session: punchSession(key, plan.plan.role) };
}
