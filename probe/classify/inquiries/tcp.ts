/**
 * The TCP inquiry: STUN over TCP from one local port to each endpoint of the server, and dial-backs
 * to ports of their own, each of which has called the primary endpoint alone. A filtering port
 * connects first and then listens: a listener first would make the connection fail, and without one
 * this machine's own reset would answer the dial.
 */
import type { Endpoint, Family } from '../../../shared/endpoint.ts';
import type { Machine } from '../../../shared/machine.ts';
import { observeTcp } from '../../../shared/nat/tcp-dials.ts';
import type { Nat64Prefix } from '../../../shared/nat64.ts';
import { DIAL_BACK } from '../../../shared/stun/attributes/dial-back.ts';
import { encodeMessage, transactionIdOf } from '../../../shared/stun/message.ts';
import { chooseFreshPort, PORT_TRIES } from '../fresh-ports.ts';
import { tcpThroughNat64 } from '../through-nat64.ts';
import type { InquiryResult } from '../inquiry.ts';
import type { InquiryEvent } from '../io.ts';
import { connectionName, TcpLog } from './tcp-log.ts';
import { planTcp, type TcpConnect, type TcpDialPlan, tcpProgress } from './tcp-plan.ts';

/** What the inquiry is told. A connection is named `SOCKET ENDPOINT`, a listener as the socket whose port it has. */
export type TcpInput =
  | { kind: 'connected'; connection: string; local: Endpoint }
  | { kind: 'connect-failed'; connection: string; reason: 'refused' | 'unreachable' }
  | { kind: 'port-taken'; connection: string; localPort: number }
  /** One STUN message of the stream. */
  | { kind: 'message'; connection: string; bytes: Uint8Array }
  /** By the other end, or since what it said is no STUN. */
  | { kind: 'closed'; connection: string }
  | { kind: 'listening'; socket: string }
  | { kind: 'listen-failed'; socket: string }
  | { kind: 'accepted'; socket: string; from: Endpoint };

/** What the inquiry asks for. */
export type TcpAction =
  | { kind: 'connect'; connection: string; localPort: number; to: Endpoint }
  | { kind: 'send'; connection: string; bytes: Uint8Array }
  /** Accept what comes to this local endpoint, report it, close it. */
  | { kind: 'listen'; socket: string; local: Endpoint }
  /** All connections and listeners: the inquiry is over. */
  | { kind: 'close-all' };

export type TcpInquiryMachine = Machine<TcpInput, TcpAction, InquiryEvent<number, InquiryResult>>;

export interface TcpInquiryOptions {
  readonly family: Family;
  /** The primary endpoint. */
  readonly server: Endpoint;
  /** Its other address and port, if known: saves a round trip. */
  readonly other?: Endpoint;
  /** Those are IPv4 endpoints, reached through the NAT64 at this prefix alone. */
  readonly nat64?: Nat64Prefix;
  /** The time budget. */
  readonly timeoutMs: number;
  /** The least time between two SYNs. */
  readonly paceMs: number;
  /** Unpredictable bytes. */
  readonly random: (length: number) => Uint8Array;
}

/** Enough for two SYNs lost in a row and two rounds of dials after them. */
export const TCP_INQUIRY_TIMEOUT_MS = 8000;

const PROGRESS_INTERVAL_MS = 200;

export function createTcpInquiry(options: TcpInquiryOptions): TcpInquiryMachine {
  return tcpThroughNat64(new TcpInquiry(options), options.nat64);
}

class TcpInquiry implements TcpInquiryMachine {
  readonly #options: TcpInquiryOptions;
  readonly #log: TcpLog;
  readonly #actions: TcpAction[] = [];
  readonly #events: InquiryEvent<number, InquiryResult>[] = [];
  readonly #localPorts = new Map<string, number>();
  readonly #portTries = new Map<string, number>();
  readonly #listening = new Set<string>();
  readonly #failed = new Set<string>();
  #startedAt: number | undefined;
  #slotAtMs = 0;
  #wakeMs: number | undefined = 0;
  #progressAtMs = 0;
  #done = false;

  constructor(options: TcpInquiryOptions) {
    this.#options = options;
    this.#log = new TcpLog(options);
  }

  handleInput(input: TcpInput, now: number): void {
    if (this.#done) return;
    const nowMs = this.#sinceStart(now);
    switch (input.kind) {
      case 'connected':
        this.#handleConnected(input.connection, input.local, nowMs);
        break;
      case 'connect-failed':
        this.#log.updateBinding(input.connection, { outcome: input.reason });
        break;
      case 'port-taken':
        this.#changePort(input.connection, input.localPort);
        break;
      case 'closed':
        this.#log.updateBinding(input.connection, { outcome: 'closed' });
        break;
      case 'message':
        this.#log.addMessage(input.connection, input.bytes);
        break;
      case 'listening':
        this.#listening.add(input.socket);
        break;
      case 'listen-failed':
        this.#failed.add(input.socket);
        break;
      case 'accepted':
        this.#log.addAccepted(input.socket, input.from, nowMs);
        break;
    }
    this.#advance(nowMs);
  }

  handleTimeout(now: number): void {
    if (!this.#done) this.#advance(this.#sinceStart(now));
  }

  pollAction(): TcpAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    if (this.#done) return undefined;
    // Nothing is told at the start: the first timeout is due at once.
    if (this.#startedAt === undefined) return 0;
    return this.#wakeMs === undefined ? undefined : this.#startedAt + this.#wakeMs;
  }

  pollEvent(): InquiryEvent<number, InquiryResult> | undefined {
    return this.#events.shift();
  }

  #sinceStart(now: number): number {
    this.#startedAt ??= now;
    return now - this.#startedAt;
  }

  #advance(nowMs: number): void {
    const evidence = this.#log.snapshot(nowMs);
    const observations = observeTcp(evidence);
    const { server, other, timeoutMs } = this.#options;
    const listening = this.#listening;
    const failed = this.#failed;
    const plan = planTcp(observations, { server, other, timeoutMs, listening, failed });
    if (plan.finished) {
      this.#done = true;
      this.#actions.push({ kind: 'close-all' });
      this.#events.push({ kind: 'done', result: { evidence: structuredClone(evidence) } });
      return;
    }
    for (const dial of plan.dials) this.#askForDial(dial, nowMs);
    const connect = plan.connects[0];
    if (connect !== undefined && nowMs >= this.#slotAtMs) {
      this.#connect(connect, nowMs);
      this.#slotAtMs = nowMs + this.#options.paceMs;
    }
    if (nowMs >= this.#progressAtMs + PROGRESS_INTERVAL_MS) {
      this.#progressAtMs = nowMs;
      this.#events.push({ kind: 'progress', progress: tcpProgress(observations) });
    }
    const wakes = [plan.wakeMs, connect === undefined ? undefined : this.#slotAtMs];
    this.#wakeMs = Math.min(...wakes.filter((wakeMs) => wakeMs !== undefined));
  }

  #connect({ socket, purpose, to }: TcpConnect, nowMs: number): void {
    let localPort = this.#localPorts.get(socket);
    if (localPort === undefined) {
      localPort = chooseFreshPort(purpose, this.#options.random);
      this.#localPorts.set(socket, localPort);
    }
    this.#log.addBinding(socket, purpose, to, nowMs);
    this.#actions.push({ kind: 'connect', connection: connectionName(socket, to), localPort, to });
  }

  #handleConnected(connection: string, local: Endpoint, nowMs: number): void {
    const { socket, purpose, atMs } = this.#log.binding(connection);
    this.#log.updateBinding(connection, { outcome: 'connected', local, connectMs: nowMs - atMs });
    if (purpose === 'filtering') {
      this.#actions.push({ kind: 'listen', socket, local });
      return;
    }
    const transactionId = transactionIdOf(this.#options.random(12));
    this.#log.addRequest(connection, transactionId);
    const bytes = encodeMessage({ class: 'request', transactionId, attributes: [] });
    this.#actions.push({ kind: 'send', connection, bytes });
  }

  #askForDial({ socket, origin, timeoutMs }: TcpDialPlan, atMs: number): void {
    const connection = connectionName(socket, this.#options.server);
    const transactionId = transactionIdOf(this.#options.random(12));
    const attributes = [DIAL_BACK.of({ kind: 'asked', origin, timeoutMs })];
    this.#log.addDial(connection, transactionId, { origin, atMs, timeoutMs });
    const bytes = encodeMessage({ class: 'request', transactionId, attributes });
    this.#actions.push({ kind: 'send', connection, bytes });
  }

  /**
   * Another local port, if no connection stands that has this one: those of a mapping socket are
   * compared, and so must share it.
   */
  #changePort(connection: string, triedPort: number): void {
    const { socket } = this.#log.binding(connection);
    if (this.#log.hasConnected(socket)) {
      this.#log.updateBinding(connection, { outcome: 'unreachable' });
      return;
    }
    this.#log.removeBinding(connection);
    if (this.#localPorts.get(socket) !== triedPort) return;
    this.#localPorts.delete(socket);
    const tries = (this.#portTries.get(socket) ?? 0) + 1;
    this.#portTries.set(socket, tries);
    if (tries >= PORT_TRIES) this.#failed.add(socket);
  }
}
