/** One punch from its first plan to the hole's end, for those who use the hole. */
import { EventEmitter } from 'node:events';
import type { Plan } from '../../shared/broker/messages.ts';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import type { NatprobeError } from '../../shared/errors.ts';
import { type Hole, type HoleEvents, PUNCH_SCHEMA, type PunchReport } from '../hole.ts';
import type { FailedPunch, Guessing, OpenHole, PuncherEvent, PunchFailure, StopCode } from '../punch/io.ts';
import { holeKey, isOfSession, type PunchSession, punchSession } from '../punch/session.ts';
import type { MainSockets } from './main-sockets.ts';
import type { OpenPunchSocket, PunchSocket } from './punch-socket.ts';
import type { RelayedWay } from './relay.ts';
import { runPuncher, type RunningPuncher } from './run-puncher.ts';

export interface PunchingOptions<Raw> {
  readonly open: OpenPunchSocket<Raw>;
  /**
   * Fresh main sockets and another plan are wanted: side `a` asks for an introduction with this attempt,
   * side `b` waits for its plan.
   */
  readonly onRenew: (attempt: number) => void;
  /** An attempt came to nothing, and there is another. */
  readonly onRetrying?: (attempt: number, reason: PunchFailure) => void;
  readonly onGuessing?: (guessing: Guessing) => void;
  /** ERR_FEW_SOCKETS: it goes on with those that it has. */
  readonly onTrouble?: (error: NatprobeError) => void;
  /** Once. From then on the hole tells what becomes of it. */
  readonly onOpen: (hole: Hole<Raw>) => void;
  /** Instead of `onOpen`: no hole, or stopped before there was one. */
  readonly onFailed: (report: PunchReport) => void;
  /** How an introduction ended, for the broker: that of the latest plan. Each time, also where there is another attempt. */
  readonly onOutcome?: (introduction: number, report: PunchReport) => void;
  /** The peer is to hear of the endpoint that a relay gave this side for an introduction, or that it gave none. */
  readonly onRelayed?: (introduction: number, endpoint: Endpoint | undefined) => void;
  readonly onError: (error: unknown) => void;
}

/** One introduction: its plan, what agreeKey gives for it, and the sockets that its candidates are of. */
export interface PunchStart<Raw> {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly mains: MainSockets<Raw>;
}

export interface Punching<Start> {
  /** Each later introduction to this peer: as asked for by `onRenew`, or because the peer has lost the hole. */
  begin(start: Start): void;
  /** Gives up, or closes the hole. */
  stop(code?: StopCode): void;
  /** What a relay gave the peer for an introduction. Absent over TCP, where none is turned to. */
  hearRelayed?(introduction: number, endpoint: Endpoint | undefined): void;
}

/** Punches by the first plan; ends in `onOpen` or `onFailed`. */
export function startPunching<Raw>(
  start: PunchStart<Raw>,
  options: PunchingOptions<Raw>,
): Punching<PunchStart<Raw>> {
  return new PunchingRun(start, options);
}

/** Of what comes before anybody listens: enough for the first round trip of what is spoken in the hole. */
const MOST_WAITING = 64;
/** Where authentic checks came from; a NAT makes a few. */
const MOST_SOURCES = 64;

interface Given {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly session: PunchSession;
}

class PunchingRun<Raw> implements Punching<PunchStart<Raw>> {
  readonly #options: PunchingOptions<Raw>;
  readonly #puncher: RunningPuncher<Raw>;
  readonly #inbox = new Inbox();
  #given: Given;
  #hole: OpenedHole<Raw> | undefined;

  constructor(start: PunchStart<Raw>, options: PunchingOptions<Raw>) {
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

  begin(start: PunchStart<Raw>): void {
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
    this.#hole = new OpenedHole(state, this.#inbox, () => {
      this.#puncher.stop();
      return this.#puncher.ended;
    });
    this.#options.onOpen(this.#hole);
  }

  #tellOutcome(report: PunchReport): void {
    this.#options.onOutcome?.(this.#given.plan.introduction, report);
  }
}

function givenOf<Raw>({ plan, key }: PunchStart<Raw>): Given {
  return { plan, key: holeKey(key), session: punchSession(key, plan.plan.role) };
}

/** Sorts what comes: checks are the machine's, what else the peer sends is for who uses the hole. */
class Inbox {
  readonly #sources = new Set<string>();
  readonly #waiting: Uint8Array[] = [];
  #reader: ((bytes: Uint8Array) => void) | undefined;

  /** What is no check counts if one has come from the same place: anybody may send to an open port. */
  take(from: Endpoint, bytes: Uint8Array, session: PunchSession): void {
    const source = formatEndpoint(from);
    if (isOfSession(session, bytes)) {
      if (this.#sources.size < MOST_SOURCES) this.#sources.add(source);
    } else if (this.#sources.has(source)) {
      if (this.#reader !== undefined) this.#reader(bytes);
      else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(bytes);
    }
  }

  /** What has waited is read first. */
  read(reader: (bytes: Uint8Array) => void): void {
    this.#reader = reader;
    for (const bytes of this.#waiting.splice(0)) reader(bytes);
  }
}

interface HoleState<Raw> {
  readonly socket: PunchSocket<Raw>;
  readonly remote: Endpoint;
  readonly report: PunchReport;
  readonly key: Uint8Array;
  readonly role: Hole<Raw>['role'];
}

class OpenedHole<Raw> implements Hole<Raw> {
  readonly #events = new EventEmitter<HoleEvents>();
  readonly #inbox: Inbox;
  readonly #stop: () => Promise<void>;
  #state: HoleState<Raw>;
  #isOpen = true;

  constructor(state: HoleState<Raw>, inbox: Inbox, stop: () => Promise<void>) {
    this.#state = state;
    this.#inbox = inbox;
    this.#stop = stop;
  }

  get report(): PunchReport {
    return this.#state.report;
  }

  get peer(): PunchReport['peer'] {
    return this.#state.report.peer;
  }

  get role(): Hole<Raw>['role'] {
    return this.#state.role;
  }

  get key(): Uint8Array {
    return this.#state.key;
  }

  get socket(): Raw {
    return this.#state.socket.raw;
  }

  get remote(): Endpoint {
    return this.#state.remote;
  }

  on<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this {
    this.#events.on(event, listener as never);
    if (event === 'message')
      queueMicrotask(() => this.#inbox.read((bytes) => this.#events.emit('message', bytes)));
    return this;
  }

  off<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this {
    this.#events.off(event, listener as never);
    return this;
  }

  send(bytes: Uint8Array): void {
    if (this.#isOpen) this.#state.socket.send(this.#state.remote, bytes);
  }

  close(): Promise<void> {
    return this.#stop();
  }

  lose(silentMs: number): void {
    this.#isOpen = false;
    this.#events.emit('lost', silentMs);
  }

  reopen(state: HoleState<Raw>): void {
    this.#state = state;
    this.#isOpen = true;
    this.#events.emit('reopened', state.report);
  }

  fail(report: PunchReport): void {
    this.#isOpen = false;
    this.#events.emit('failed', report);
  }

  end(): void {
    this.#isOpen = false;
    this.#events.emit('closed');
  }
}

/** `way` where a relay carries it. */
export function reportOfHole(
  plan: Plan,
  hole: Omit<OpenHole, 'socket'>,
  local: Endpoint,
  way?: RelayedWay,
): PunchReport {
  return {
    ...commonReport(plan),
    outcome: 'open',
    strategy: hole.strategy,
    path: hole.path,
    endpoints: {
      local: formatEndpoint(local),
      remote: formatEndpoint(way?.peer ?? hole.remote),
      ...(way !== undefined && { relayed: formatEndpoint(way.relayed) }),
    },
    timing: { totalMs: hole.tookMs, rttMs: hole.rttMs },
    packets: hole.packets,
    attempts: hole.attempt,
  };
}

/** Of an attempt after which there is another. */
export function reportOfRetry(plan: Plan, failed: FailedPunch): PunchReport {
  return reportOfFailure(plan, { ...failed, attempt: plan.plan.attempt });
}

export function reportOfFailure(plan: Plan, { reason, attempt, packets, tookMs }: FailedPunch): PunchReport {
  return {
    ...commonReport(plan),
    outcome: 'failed',
    strategy: plan.prediction.strategy,
    endpoints: {},
    timing: { totalMs: tookMs },
    packets,
    attempts: attempt,
    reason: reason.text,
    code: reason.code,
  };
}

function commonReport({
  peer,
  prediction,
  relay,
  plan: { transport },
}: Plan): Pick<PunchReport, 'schema' | 'transport' | 'peer' | 'predicted' | 'relay'> {
  return {
    schema: PUNCH_SCHEMA,
    transport,
    peer,
    predicted: prediction,
    ...(relay !== undefined && { relay }),
  };
}
