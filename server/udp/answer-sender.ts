import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import type { AnswerCore, OutgoingDatagram } from '../answer/answer-core.ts';
import { type RelayedAnswer, relayedAnswer } from '../answer/relayed-answer.ts';

/** Called once the system has taken a datagram, or hasn't. */
type OnSent = (error: Error | null) => void;

/** What of a dgram socket it takes to send. */
export interface SendingSocket {
  /** Until `onSent` is called the bytes are in use. */
  send(bytes: Uint8Array, port: number, address: string, onSent: OnSent): void;
}

/** Counts since the start. */
export interface SendCounts {
  responses: number;
  receipts: number;
  /** Connectivity checks, and answers to them, where browsers are measured. */
  ice: number;
  /** Sends that the system refused: an unreachable network, a firewall. */
  errors: number;
  /** Receipts that were not sent, since their response could not be. */
  withheldReceipts: number;
  /** Answers not sent, since the one before still waits for room in the socket. */
  queueFull: number;
}

/** Takes answers of one family that are to come from an address which this host has not. */
export interface Relay {
  readonly family: Family;
  readonly relay: (answer: RelayedAnswer) => void;
}

/** Of answers no longer than this, and so of nearly all, a view is kept for each length. */
const MOST_KEPT_BYTES = 256;

/**
 * Sends what the core has worked out, each datagram from the socket of its role. A receipt leaves
 * only after the send of its response has succeeded: it is the server's word that it did.
 */
export class AnswerSender {
  readonly counts: SendCounts = {
    responses: 0,
    receipts: 0,
    ice: 0,
    errors: 0,
    withheldReceipts: 0,
    queueFull: 0,
  };

  private readonly core: AnswerCore;
  private readonly sockets: readonly (SendingSocket | undefined)[];
  private readonly relay: Relay | undefined;
  private readonly onSent: readonly OnSent[];
  /** By role: whether the system has not taken its last response yet. */
  private readonly waiting = SERVER_ROLES.map(() => false);
  /** Whose response is in the core's buffer and may not be written over. */
  private holder: ServerRole | undefined;
  /** Of the beginning of `viewed`, by length: dgram would make one for each send. */
  private readonly views: (Uint8Array | undefined)[] = [];
  private viewed: Uint8Array | undefined;
  private closed = false;

  constructor(core: AnswerCore, sockets: readonly (SendingSocket | undefined)[], relay?: Relay) {
    this.core = core;
    this.sockets = sockets;
    this.relay = relay;
    this.onSent = SERVER_ROLES.map((role) => (error) => this.endResponse(role, error));
  }

  /** Before the core works out the next answer: one that is still being sent keeps its bytes. */
  prepare(): void {
    if (this.holder === undefined) return;
    this.core.releaseResponseBuffer();
    this.holder = undefined;
  }

  /** Sends the first `count` of the core's outgoing datagrams for a request from `source` that came in on `arrival`. */
  send(count: 1 | 2, source: Endpoint, arrival: ServerRole): void {
    const [response, receipt] = this.core.outgoing;
    const { role, buffer, length, port } = response;
    const { address } = source;
    const socket = this.sockets[role];
    if (this.closed) return;
    if (socket === undefined) {
      this.relayAnswer(count, source, arrival);
      return;
    }
    // UDP has no backpressure: what the system can't take now is lost, and counted.
    if (this.waiting[role] === true) {
      this.counts.queueFull++;
      return;
    }
    this.waiting[role] = true;
    this.holder = role;
    const onSent = count === 1 ? this.onSent[role]! : this.receiptAfter(role, receipt, address);
    socket.send(this.viewOf(buffer, length), port, address, onSent);
  }

  /** Sends a datagram that the core has no hand in any more, counts it as that, and tells whether it was sent. */
  sendOwn(
    role: ServerRole,
    { address, port }: Endpoint,
    bytes: Uint8Array,
    countAs: 'ice' | 'responses' | 'receipts',
    onDone?: (isSent: boolean) => void,
  ): void {
    const socket = this.sockets[role];
    if (socket === undefined || this.closed) {
      onDone?.(false);
      return;
    }
    socket.send(bytes, port, address, (error) => {
      if (error === null) this.counts[countAs]++;
      else this.counts.errors++;
      onDone?.(error === null);
    });
  }

  /** Sends nothing more; call it before the sockets are closed. */
  close(): void {
    this.closed = true;
  }

  private relayAnswer(count: 1 | 2, { address, port }: Endpoint, role: ServerRole): void {
    if (this.relay === undefined) return;
    const { family, relay } = this.relay;
    // As Node prints it: an IPv6 zone such as `%eth0` is left out.
    const source = { address: address.split('%')[0]!, port };
    relay(relayedAnswer(this.core.outgoing, count, { family, source, role }));
  }

  /** What to do once the response has been sent: send a copy of the receipt, unless that failed. */
  private receiptAfter(role: ServerRole, receipt: OutgoingDatagram, address: string): OnSent {
    const bytes = receipt.buffer.slice(0, receipt.length);
    const { port } = receipt;
    const socket = this.sockets[receipt.role];
    return (error) => {
      this.endResponse(role, error);
      if (error !== null || socket === undefined || this.closed) {
        this.counts.withheldReceipts++;
        return;
      }
      socket.send(bytes, port, address, (receiptError) => {
        if (receiptError === null) this.counts.receipts++;
        else this.counts.errors++;
      });
    };
  }

  private endResponse(role: ServerRole, error: Error | null): void {
    this.waiting[role] = false;
    if (this.holder === role) this.holder = undefined;
    if (error === null) this.counts.responses++;
    else this.counts.errors++;
  }

  /** The first `length` bytes of the core's buffer. */
  private viewOf(buffer: Uint8Array, length: number): Uint8Array {
    if (length > MOST_KEPT_BYTES) return buffer.subarray(0, length);
    if (buffer !== this.viewed) {
      this.viewed = buffer;
      this.views.fill(undefined);
    }
    return (this.views[length] ??= buffer.subarray(0, length));
  }
}
