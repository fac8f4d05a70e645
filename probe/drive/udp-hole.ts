/** An open hole over UDP, for those who use it, and what has come through it. */
import { EventEmitter } from 'node:events';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import type { Hole, HoleEvents, PunchReport } from '../hole.ts';
import { isOfSession, type PunchSession } from '../punch/session.ts';
import type { PunchSocket } from './punch-socket.ts';

export interface HoleState<Raw> {
  readonly socket: PunchSocket<Raw>;
  readonly remote: Endpoint;
  readonly report: PunchReport;
  readonly key: Uint8Array;
  readonly role: Hole<Raw>['role'];
}

export class UdpHole<Raw> implements Hole<Raw> {
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

/** Of what comes before anybody listens: enough for the first round trip of what is spoken in the hole. */
const MOST_WAITING = 64;
/** Where authentic checks came from; a NAT makes a few. */
const MOST_SOURCES = 64;

/** Sorts what comes: checks are the machine's, what else the peer sends is for who uses the hole. */
export class Inbox {
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
