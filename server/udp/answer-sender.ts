import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { AnswerCore, OutgoingDatagram } from '../answer/answer-core.ts';
import { type RelayedAnswer, relayedAnswer } from '../answer/relayed-answer.ts';

/** What of a dgram socket it takes to send. */
export interface SendingSocket {
  send(
    bytes: Uint8Array,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback: (error: Error | null) => void,
  ): void;
  /** Sends that the system has not taken yet. */
  getSendQueueCount(): number;
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
  private closed = false;

  constructor(core: AnswerCore, sockets: readonly (SendingSocket | undefined)[], relay?: Relay) {
    this.core = core;
    this.sockets = sockets;
    this.relay = relay;
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
    if (socket.getSendQueueCount() > 0) {
      this.counts.queueFull++;
      return;
    }
    const onSent = count === 1 ? this.countResponse : this.receiptAfter(receipt, address);
    socket.send(buffer, 0, length, port, address, onSent);
    // Still being sent: the core must not write the next answer into that buffer.
    if (socket.getSendQueueCount() > 0) this.core.releaseResponseBuffer();
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
    socket.send(bytes, 0, bytes.length, port, address, (error) => {
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
  private receiptAfter(receipt: OutgoingDatagram, address: string): (error: Error | null) => void {
    const bytes = receipt.buffer.slice(0, receipt.length);
    const { port } = receipt;
    const socket = this.sockets[receipt.role];
    return (error) => {
      this.countResponse(error);
      if (error !== null || socket === undefined || this.closed) {
        this.counts.withheldReceipts++;
        return;
      }
      socket.send(bytes, 0, bytes.length, port, address, (receiptError) => {
        if (receiptError === null) this.counts.receipts++;
        else this.counts.errors++;
      });
    };
  }

  private readonly countResponse = (error: Error | null): void => {
    if (error === null) this.counts.responses++;
    else this.counts.errors++;
  };
}
