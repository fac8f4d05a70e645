/** One punch over TCP from its first plan to the end of the connection, for those who use that. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import type { Plan } from '../../shared/broker/messages.ts';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Hole, HoleEvents, PunchReport } from '../hole.ts';
import { holeKey } from '../punch/session.ts';
import type { OpenConnection } from '../punch/tcp-io.ts';
import { reportOfFailure, reportOfHole, reportOfRetry } from './punch-report.ts';
import type { Punching, PunchingOptions } from './punching.ts';
import { runTcpPuncher, type RunningTcpPuncher } from './run-tcp-puncher.ts';
import type { TcpPorts } from './tcp-ports.ts';
import { systemErrorCode, withoutZone } from './udp.ts';

/** One introduction: its plan, what agreeKey gives for it, and the ports that its candidates are of. */
export interface TcpPunchStart {
  readonly plan: Plan;
  readonly key: Uint8Array;
  readonly ports: TcpPorts;
}

/** Punches by the first plan; ends in `onOpen` or `onFailed`. The hole is not punched again when it is gone. */
export function startTcpPunching(
  start: TcpPunchStart,
  options: Omit<PunchingOptions<Socket>, 'open'>,
): Punching<TcpPunchStart> {
  let given = start;
  let hole: TcpHole | undefined;
  const puncher: RunningTcpPuncher = runTcpPuncher({
    onRenew: options.onRenew,
    onRetrying: (failed) => {
      options.onOutcome?.(given.plan.introduction, reportOfRetry(given.plan, failed));
      options.onRetrying?.(failed.attempt, failed.reason);
    },
    onOpen: (socket, opened) => {
      hole = new TcpHole(socket, opened, given);
      options.onOutcome?.(given.plan.introduction, hole.report);
      options.onOpen(hole);
    },
    onFailed: (failed) => {
      const report = reportOfFailure(given.plan, failed);
      options.onOutcome?.(given.plan.introduction, report);
      options.onFailed(report);
    },
    onError: options.onError,
  });
  const punching: Punching<TcpPunchStart> = {
    begin(next) {
      given = next;
      puncher.begin(next.plan.plan, next.key, next.ports);
    },
    stop(code) {
      if (hole === undefined) puncher.stop(code);
      else void hole.close();
    },
  };
  punching.begin(start);
  return punching;
}

/** A connection to the peer: a stream, so that messages come in whatever pieces the network makes of them. */
class TcpHole implements Hole<Socket> {
  readonly report: PunchReport;
  readonly role: Hole<Socket>['role'];
  readonly key: Uint8Array;
  readonly socket: Socket;
  readonly remote: Endpoint;
  readonly #events = new EventEmitter<HoleEvents>();
  /** Resolves once `closed` has been told. */
  readonly #over: Promise<void>;
  #isClosing = false;

  constructor(socket: Socket, opened: OpenConnection, { plan, key }: TcpPunchStart) {
    const local = { address: withoutZone(socket.localAddress!), port: socket.localPort! };
    this.report = reportOfHole(plan, opened, local);
    this.role = plan.plan.role;
    this.key = holeKey(key);
    this.socket = socket;
    this.remote = opened.remote;
    let loss: NatprobeError | undefined;
    socket.on('error', (error) => {
      const place = formatEndpoint(opened.remote);
      loss = new NatprobeError('ERR_HOLE_LOST', place, systemErrorCode(error), { cause: error });
    });
    this.#over = new Promise((resolve) => {
      socket.on('close', () => {
        this.#events.emit('closed', this.#isClosing ? undefined : loss);
        resolve();
      });
    });
  }

  get peer(): PunchReport['peer'] {
    return this.report.peer;
  }

  on<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this {
    this.#events.on(event, listener as never);
    if (event === 'message' && this.#events.listenerCount('message') === 1)
      this.socket.on('data', (bytes) => this.#events.emit('message', bytes)).resume();
    return this;
  }

  off<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this {
    this.#events.off(event, listener as never);
    return this;
  }

  send(bytes: Uint8Array): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** Resolves once what was sent has gone out, and the connection is closed. */
  close(): Promise<void> {
    if (!this.#isClosing) {
      this.#isClosing = true;
      // Whatever the peer still sends is read, or the end would never come.
      this.socket.end().resume();
      this.socket.setTimeout(CLOSE_MS, () => this.socket.destroy());
    }
    return this.#over;
  }
}

/** How long the peer has to close its end too. */
const CLOSE_MS = 2000;
