/** A lane's sockets of one family: receives a batch from one, has it answered, sends the answers from where they belong. */
import type { Family } from '../../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../../shared/role.ts';
import { MessageWriter } from '../../../shared/stun/writer.ts';
import {
  type AnswerCore,
  LONGEST_DATAGRAM_BYTES,
  LONGEST_RECEIPT_BYTES,
  type OutgoingDatagram,
} from '../../answer/answer-core.ts';
import { SourceAddress } from '../../answer/source-address.ts';
import { SEND } from './lane-state.ts';
import { MessageVector, Region } from './message-vector.ts';
import {
  type RoleSockets,
  SOCKADDR_ADDRESS_OFFSETS,
  SOCKADDR_BYTES,
  SOCKADDR_PORT_OFFSET,
} from './sockets.ts';
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINTR,
  EINVAL,
  ENOTSOCK,
  MSG_DONTWAIT,
  type SystemCalls,
  systemError,
} from './system-calls.ts';

/** Datagrams a call: with 32 a call costs as little each, with one it costs a third more. */
const BATCH = 64;
const NAME_STRIDE_BYTES = 32;
/**
 * From one datagram's bytes to the next one's: room for the longest, and an odd number of cache lines
 * more, so that their beginnings, which are all that most have, don't share the same few sets of the cache.
 */
const SLOT_BYTES = 0x10000 + 33 * 64;

/** Takes the datagram off the lane's hands, or doesn't. */
export type TakeDatagram = (
  role: ServerRole,
  bytes: Uint8Array,
  start: number,
  end: number,
  source: SourceAddress,
) => boolean;

/** Takes the first `count` of the core's outgoing datagrams, which are another host's to send, or doesn't. */
export type RelayOutgoing = (count: 1 | 2, source: SourceAddress, arrival: ServerRole) => boolean;

export interface LaneSocketsOptions {
  readonly calls: SystemCalls;
  readonly family: Family;
  readonly sockets: RoleSockets;
  readonly core: AnswerCore;
  /** Counts by SEND. */
  readonly sends: Float64Array;
  /** For answers with a role that there is no socket of. */
  readonly relay?: RelayOutgoing;
}

export class LaneSockets {
  private readonly calls: SystemCalls;
  private readonly sockets: RoleSockets;
  private readonly core: AnswerCore;
  private readonly sends: Float64Array;
  private readonly relay: RelayOutgoing | undefined;
  private readonly region: Region;
  private readonly nameBytes: number;
  private readonly addressOffset: number;
  private readonly addressWords: number;
  private readonly source = new SourceAddress();

  private readonly received: MessageVector;
  private readonly names: number;
  private readonly inbox: number;
  /** Answers are written where they are sent from: each request has its place, and a name for RESPONSE-PORT. */
  private readonly writers: readonly MessageWriter[];
  private readonly outbox: number;
  private readonly otherNames: number;
  /** By the role that they leave from, and how many there are. */
  private readonly responses: readonly MessageVector[];
  private readonly queued = new Uint8Array(SERVER_ROLES.length);
  /** By role and place in its vector: whether the send failed, so that no receipt may claim it. */
  private readonly failed = new Uint8Array(SERVER_ROLES.length * BATCH);
  private failures = 0;
  private readonly receipts: MessageVector;
  private readonly receiptBytes: number;
  /** Of each receipt: its response's place in `failed`, its name and its length. */
  private readonly receiptResponses = new Uint16Array(BATCH);
  private readonly receiptNames = new Int32Array(BATCH);
  private readonly receiptLengths = new Int32Array(BATCH);
  private receiptCount = 0;

  constructor({ calls, family, sockets, core, sends, relay }: LaneSocketsOptions) {
    this.calls = calls;
    this.sockets = sockets;
    this.core = core;
    this.sends = sends;
    this.relay = relay;
    this.nameBytes = SOCKADDR_BYTES[family];
    this.addressOffset = SOCKADDR_ADDRESS_OFFSETS[family];
    this.addressWords = family === 'ipv4' ? 1 : 4;
    this.source.family = family === 'ipv4' ? 4 : 6;
    const vectors = SERVER_ROLES.length + 2;
    const region = new Region(
      calls,
      vectors * MessageVector.byteLength(BATCH) +
        2 * BATCH * NAME_STRIDE_BYTES +
        BATCH * LONGEST_RECEIPT_BYTES +
        2 * BATCH * SLOT_BYTES,
    );
    this.region = region;
    this.received = new MessageVector(region, BATCH);
    this.responses = SERVER_ROLES.map(() => new MessageVector(region, BATCH));
    this.receipts = new MessageVector(region, BATCH);
    this.names = region.allocate(BATCH * NAME_STRIDE_BYTES);
    this.otherNames = region.allocate(BATCH * NAME_STRIDE_BYTES);
    this.receiptBytes = region.allocate(BATCH * LONGEST_RECEIPT_BYTES);
    this.inbox = region.allocate(BATCH * SLOT_BYTES);
    this.outbox = region.allocate(BATCH * SLOT_BYTES);
    this.writers = Array.from({ length: BATCH }, (_, i) => {
      const offset = this.outbox + i * SLOT_BYTES;
      return new MessageWriter(region.bytes.subarray(offset, offset + LONGEST_DATAGRAM_BYTES));
    });
    for (let i = 0; i < BATCH; i++) {
      this.received.set(
        i,
        this.names + i * NAME_STRIDE_BYTES,
        this.nameBytes,
        this.inbox + i * SLOT_BYTES,
        0x10000,
      );
    }
  }

  /**
   * Answers what waits at the socket of `role`, a batch at most, but for what `take` takes; whether more
   * may wait. Throws if the socket can't be used any more.
   */
  answerBatch(role: ServerRole, take?: TakeDatagram): boolean {
    const { calls, received } = this;
    const count = calls.recvmmsg(this.sockets[role]!, received.pointer(0), BATCH, MSG_DONTWAIT, null);
    if (count < 0) {
      this.heedReceiveError();
      return false;
    }
    for (let i = 0; i < count; i++) this.answer(i, role, take);
    for (const from of SERVER_ROLES) if (this.queued[from]! > 0) this.sendResponses(from);
    if (this.receiptCount > 0) this.sendReceipts(role);
    if (this.failures > 0) this.failed.fill(0);
    this.failures = 0;
    return count === BATCH;
  }

  private answer(index: number, arrival: ServerRole, take: TakeDatagram | undefined): void {
    const { core, source } = this;
    const name = this.names + index * NAME_STRIDE_BYTES;
    const start = this.inbox + index * SLOT_BYTES;
    const { bytes } = this.region;
    const end = start + this.received.messageLength(index);
    this.readSource(name);
    if (take?.(arrival, bytes, start, end, source) === true) return;
    core.respondInto(this.writers[index]!);
    const count = core.answer(bytes, start, end, source, arrival);
    if (count === 0) return;
    const { role, length, port } = core.outgoing[0];
    if (this.sockets[role] === undefined) {
      if (this.relay?.(count, source, arrival) !== true) this.sends[SEND.queueFull]!++;
      return;
    }
    const to = port === source.port ? name : this.nameWithPort(index, name, port);
    const place = this.queued[role]!;
    this.responses[role]!.set(place, to, this.nameBytes, this.outbox + index * SLOT_BYTES, length);
    this.queued[role] = place + 1;
    if (count === 2) this.queueReceipt(role * BATCH + place, name, core.outgoing[1]);
  }

  private readSource(name: number): void {
    const { bytes, words } = this.region;
    const { source } = this;
    const port = name + SOCKADDR_PORT_OFFSET;
    source.port = (bytes[port]! << 8) | bytes[port + 1]!;
    const address = (name + this.addressOffset) >> 2;
    for (let i = 0; i < this.addressWords; i++) source.words[i] = words[address + i]!;
  }

  /** A copy of a socket address, with another port. */
  private nameWithPort(index: number, name: number, port: number): number {
    const { bytes } = this.region;
    const copy = this.otherNames + index * NAME_STRIDE_BYTES;
    bytes.copyWithin(copy, name, name + this.nameBytes);
    bytes[copy + SOCKADDR_PORT_OFFSET] = port >>> 8;
    bytes[copy + SOCKADDR_PORT_OFFSET + 1] = port;
    return copy;
  }

  private queueReceipt(response: number, name: number, { buffer, length }: OutgoingDatagram): void {
    const place = this.receiptCount++;
    const target = this.receiptBytes + place * LONGEST_RECEIPT_BYTES;
    this.region.bytes.set(buffer.subarray(0, length), target);
    this.receiptResponses[place] = response;
    this.receiptNames[place] = name;
    this.receiptLengths[place] = length;
  }

  private sendResponses(role: ServerRole): void {
    const count = this.queued[role]!;
    this.queued[role] = 0;
    this.sends[SEND.responses]! += this.sendAll(role, this.responses[role]!, count, (place) => {
      this.failed[role * BATCH + place] = 1;
      this.failures++;
    });
  }

  /** Those whose response has been sent: a receipt is the server's word that it was. */
  private sendReceipts(arrival: ServerRole): void {
    let count = 0;
    for (let i = 0; i < this.receiptCount; i++) {
      if (this.failed[this.receiptResponses[i]!] === 1) {
        this.sends[SEND.withheldReceipts]!++;
        continue;
      }
      const bytes = this.receiptBytes + i * LONGEST_RECEIPT_BYTES;
      this.receipts.set(count++, this.receiptNames[i]!, this.nameBytes, bytes, this.receiptLengths[i]!);
    }
    this.receiptCount = 0;
    this.sends[SEND.receipts]! += this.sendAll(arrival, this.receipts, count, () => undefined);
  }

  /** Sends the first `count` messages; returns how many the system has taken, and names the others. */
  private sendAll(
    role: ServerRole,
    messages: MessageVector,
    count: number,
    onFailed: (place: number) => void,
  ): number {
    const { calls, sends } = this;
    const socket = this.sockets[role]!;
    let taken = 0;
    let next = 0;
    while (next < count) {
      const sent = calls.sendmmsg(socket, messages.pointer(next), count - next, MSG_DONTWAIT);
      if (sent > 0) {
        taken += sent;
        next += sent;
        continue;
      }
      const errno = calls.errno();
      if (errno === EINTR) continue;
      // The call ends at the first message that can't be sent. UDP has no backpressure: it is lost, and counted.
      if (errno === EAGAIN) sends[SEND.queueFull]!++;
      else sends[SEND.errors]!++;
      onFailed(next++);
    }
    return taken;
  }

  private heedReceiveError(): void {
    const errno = this.calls.errno();
    if (errno === EAGAIN || errno === EINTR) return;
    if (errno === EBADF || errno === ENOTSOCK || errno === EFAULT || errno === EINVAL)
      throw systemError(this.calls, 'recvmmsg');
    // Of an earlier send, or of the network: the socket goes on.
    this.sends[SEND.errors]!++;
  }
}
