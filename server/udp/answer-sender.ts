import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../shared/role.ts';
import { MessageWriter } from '../../shared/stun/writer.ts';
import { type AnswerCore, LONGEST_DATAGRAM_BYTES, SHORT_DATAGRAM_BYTES } from '../answer/answer-core.ts';
import { type RelayedAnswer, relayedAnswer } from '../answer/relayed-answer.ts';

/** Called once the system has taken a datagram, or hasn't. */
type OnSent = (error: Error | null) => void;

/** What of a dgram socket it takes to send. */
export interface SendingSocket {
  /** The bytes are in use until `onSent` is called, or without it until no send waits any more. */
  send(bytes: Uint8Array, port: number, address: string, onSent?: OnSent): void;
  /** How many sends wait for room in the socket. */
  getSendQueueCount(): number;
}

/** Counts since the start. */
export interface SendCounts {
  /** What the system has taken, as far as it was asked: see AnswerSender. */
  responses: number;
  receipts: number;
  /** Connectivity checks, and answers to them, where browsers are measured. */
  ice: number;
  /** Sends that the system refused: an unreachable network, a firewall. */
  errors: number;
  /** Receipts that were not sent, since their response could not be. */
  withheldReceipts: number;
  /** Answers not sent, since those before still wait for room in the socket. */
  queueFull: number;
}

/** Takes answers of one family that are to come from an address which this host has not. */
export interface Relay {
  readonly family: Family;
  readonly relay: (answer: RelayedAnswer) => void;
}

/** Answers that leave together, at most. */
export const BURST = 64;
/** After a send that the system refused, so many are each asked after. */
const WATCHED_SENDS = 10_000;

interface Receipt {
  readonly role: ServerRole;
  readonly port: number;
  readonly bytes: Uint8Array;
}

/**
 * Sends what the core has worked out, each datagram from the socket of its role. A receipt leaves
 * only after the send of its response has succeeded: it is the server's word that it did.
 *
 * Answers leave in bursts. To hear of each send what has become of it costs more than to send without, so of a
 * burst the first of each socket is asked after, and those that receipts wait for. A refusal among the others
 * goes unseen: of what the system refuses, about as many sends as a burst has pass for one that is seen, and
 * then each of the next WATCHED_SENDS is asked after.
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
  /** Of the burst, how many are to be sent; and of each of them by its place: */
  private count = 0;
  private readonly writers: MessageWriter[] = [];
  private readonly messages: Uint8Array[] = [];
  private readonly roles = new Uint8Array(BURST);
  private readonly ports = new Uint16Array(BURST);
  private readonly addresses = new Array<string>(BURST).fill('');
  /** No Map: one that is cleared again and again leaves tables to the collector that hold on to one another. */
  private readonly receipts = new Array<Receipt | undefined>(BURST).fill(undefined);
  private hasReceipts = false;
  /** By role: whether sends wait for room in its socket. */
  private readonly isFull = SERVER_ROLES.map(() => false);
  /** By role: whether anything has been sent in this burst, the first of which tells what has become of it. */
  private readonly hasSent = SERVER_ROLES.map(() => false);
  /** How many sends from now on are asked after. */
  private watched = 0;
  private closed = false;
  private readonly endResponse: OnSent = (error) => {
    if (error === null) this.counts.responses++;
    else {
      this.counts.errors++;
      this.watched = WATCHED_SENDS;
    }
  };

  constructor(core: AnswerCore, sockets: readonly (SendingSocket | undefined)[], relay?: Relay) {
    this.core = core;
    this.sockets = sockets;
    this.relay = relay;
    for (let place = 0; place < BURST; place++) this.renewBuffer(place, SHORT_DATAGRAM_BYTES);
  }

  /** Before the core works out the answer to a request of so many bytes. */
  prepare(requestBytes: number): void {
    const { writers, count } = this;
    if (requestBytes > writers[count]!.buffer.length) this.renewBuffer(count, LONGEST_DATAGRAM_BYTES);
    this.core.respondInto(writers[count]!);
  }

  /**
   * Has the next flush() send the first `count` of the core's outgoing datagrams, which are for a request from
   * `source` that came in on `arrival`. Not more often than BURST times before that.
   */
  send(count: 1 | 2, source: Endpoint, arrival: ServerRole): void {
    const { role, buffer, length, port } = this.core.outgoing[0];
    if (this.closed) return;
    if (this.sockets[role] === undefined) {
      this.relayAnswer(count, source, arrival);
      return;
    }
    const place = this.count++;
    // Most are as long as the one before, and need no new view of the buffer.
    if (this.messages[place]!.length !== length) this.messages[place] = buffer.subarray(0, length);
    this.roles[place] = role;
    this.ports[place] = port;
    this.addresses[place] = source.address;
    if (count === 2) this.keepReceipt(place);
  }

  /** Sends what there is. */
  flush(): void {
    const { count, roles, ports, addresses, messages, sockets, hasSent } = this;
    this.count = 0;
    if (this.closed) return;
    let unasked = 0;
    for (let i = 0; i < count; i++) {
      const role = roles[i]!;
      if (this.watched > 0 || hasSent[role] === false || this.hasReceipts) this.sendAsking(i);
      else {
        unasked++;
        sockets[role]!.send(messages[i]!, ports[i]!, addresses[i]!);
      }
    }
    this.counts.responses += unasked;
    this.hasReceipts = false;
    this.heedFull(count);
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

  /** Sends what has this place in the burst, and hears what becomes of it. */
  private sendAsking(place: number): void {
    const role = this.roles[place]!;
    const socket = this.sockets[role]!;
    const receipt = this.receipts[place];
    this.receipts[place] = undefined;
    // UDP has no backpressure: what the system can't take now is lost, and counted.
    if (this.isFull[role] === true) {
      if (socket.getSendQueueCount() > 0) {
        this.counts.queueFull++;
        return;
      }
      this.isFull[role] = false;
    }
    if (this.watched > 0) this.watched--;
    this.hasSent[role] = true;
    const address = this.addresses[place]!;
    const onSent =
      receipt === undefined
        ? this.endResponse
        : (error: Error | null): void => this.endWithReceipt(error, receipt, address);
    socket.send(this.messages[place]!, this.ports[place]!, address, onSent);
  }

  /** After a burst: bytes of sends that wait for room in a socket may not be written over. */
  private heedFull(count: number): void {
    let isFull = false;
    for (const role of SERVER_ROLES) {
      if (this.hasSent[role] === false) continue;
      this.hasSent[role] = false;
      this.isFull[role] = this.sockets[role]!.getSendQueueCount() > 0;
      isFull ||= this.isFull[role];
    }
    for (let i = 0; i < count; i++)
      if (isFull || this.writers[i]!.buffer.length > SHORT_DATAGRAM_BYTES)
        this.renewBuffer(i, SHORT_DATAGRAM_BYTES);
  }

  private renewBuffer(place: number, bytes: number): void {
    const buffer = new Uint8Array(bytes);
    this.writers[place] = new MessageWriter(buffer);
    this.messages[place] = buffer;
  }

  private keepReceipt(place: number): void {
    const { role, port, buffer, length } = this.core.outgoing[1];
    this.receipts[place] = { role, port, bytes: buffer.slice(0, length) };
    this.hasReceipts = true;
  }

  private relayAnswer(count: 1 | 2, { address, port }: Endpoint, role: ServerRole): void {
    if (this.relay === undefined) return;
    const { family, relay } = this.relay;
    // As Node prints it: an IPv6 zone such as `%eth0` is left out.
    const source = { address: address.split('%')[0]!, port };
    relay(relayedAnswer(this.core.outgoing, count, { family, source, role }));
  }

  /** Once the response has been sent: sends the receipt, unless that failed. */
  private endWithReceipt(error: Error | null, { role, port, bytes }: Receipt, address: string): void {
    this.endResponse(error);
    const socket = this.sockets[role];
    if (error !== null || socket === undefined || this.closed) {
      this.counts.withheldReceipts++;
      return;
    }
    socket.send(bytes, port, address, (receiptError) => {
      if (receiptError === null) this.counts.receipts++;
      else this.counts.errors++;
    });
  }
}
