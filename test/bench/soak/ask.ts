/**
 * What the soak asks: requests of three kinds to four endpoints from several sockets, many a system
 * call, each answer compared byte for byte with one that was read and found right at the start.
 */
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import { SERVER_ROLES } from '../../../shared/role.ts';
import {
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { fingerprintOf } from '../../../shared/stun/fingerprint.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  transactionIdOf,
} from '../../../shared/stun/message.ts';
import { SOCKET_BUFFER_BYTES } from '../../../server/udp/socket-buffers.ts';
import { MessageVector, Region } from '../../../server/udp/batched/message-vector.ts';
import { PollSet } from '../../../server/udp/batched/poll-set.ts';
import { encodeSockaddr, readDrops } from '../../../server/udp/batched/sockets.ts';
import {
  AF_INET,
  MSG_DONTWAIT,
  SO_RCVBUF,
  SO_SNDBUF,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  type SystemCalls,
  systemError,
} from '../../../server/udp/batched/system-calls.ts';

/** Datagrams a system call, at most. */
export const BATCH = 64;
const SLOT_BYTES = 512;
const NAME_BYTES = 16;
/** The number of a request stands in the last four bytes of its transaction id. */
const NUMBER_OFFSET = 16;
/** How many numbers are kept in mind: 40 s of them at 50,000 a second. What has not been answered by then is lost. */
const REMEMBERED = 1 << 21;
const FIRST_PORT = 40_000;
const LEARN_ATTEMPTS = 5;
const LEARN_TIMEOUT_MS = 1000;

interface Kind {
  readonly request: Uint8Array;
  readonly fingerprint: boolean;
  /** By how much the answer's role differs from that of arrival. */
  readonly roleBits: number;
}

const KINDS: readonly Kind[] = (['plain', 'fingerprint', 'change'] as const).map((kind) => ({
  request: encodeMessage({
    class: 'request',
    transactionId: transactionIdOf(Buffer.from('natprobe\0\0\0\0')),
    attributes: kind === 'change' ? [CHANGE_REQUEST.of({ address: true, port: true })] : [],
    fingerprint: kind === 'fingerprint',
  }),
  fingerprint: kind === 'fingerprint',
  roleBits: kind === 'change' ? 3 : 0,
}));

/** Counts since the start. */
export interface AskCounts {
  sent: number;
  answered: number;
  /** Given up as lost. */
  lost: number;
  /** Not as they should be, or to nothing that was asked. */
  wrong: number;
  /** Requests that the system didn't take. */
  refused: number;
}

interface AskingSocket {
  readonly fd: number;
  readonly endpoint: Endpoint;
  /** By kind and role: a right answer, to a request with number 0. */
  readonly templates: Uint8Array[];
}

export class Asker {
  readonly counts: AskCounts = { sent: 0, answered: 0, lost: 0, wrong: 0, refused: 0 };
  /** The first answer that was wrong, in words. */
  firstWrong: string | undefined;

  private readonly calls: SystemCalls;
  private readonly endpoints: readonly Endpoint[];
  private readonly sockets: readonly AskingSocket[];
  private readonly polled: PollSet;
  private readonly region: Region;
  private readonly sending: MessageVector;
  private readonly receiving: MessageVector;
  private readonly outbox: number;
  private readonly inbox: number;
  private readonly sources: number;
  /** By role. */
  private readonly names: readonly number[];
  private readonly sentAt = new Float64Array(REMEMBERED);
  private readonly pending = new Uint8Array(REMEMBERED);
  private next = 0;

  /** Asks `endpoints`, by role, from so many sockets of 127.0.0.1. */
  constructor(calls: SystemCalls, endpoints: readonly Endpoint[], sockets: number) {
    this.calls = calls;
    this.endpoints = endpoints;
    this.sockets = openSockets(calls, sockets);
    this.polled = new PollSet(
      calls,
      this.sockets.map(({ fd }) => fd),
    );
    const region = new Region(calls, 2 * MessageVector.byteLength(BATCH) + 3 * BATCH * SLOT_BYTES);
    this.region = region;
    this.sending = new MessageVector(region, BATCH);
    this.receiving = new MessageVector(region, BATCH);
    this.outbox = region.allocate(BATCH * SLOT_BYTES);
    this.inbox = region.allocate(BATCH * SLOT_BYTES);
    this.sources = region.allocate(BATCH * NAME_BYTES);
    this.names = endpoints.map((endpoint) => {
      const name = region.allocate(NAME_BYTES);
      region.bytes.set(encodeSockaddr(endpoint), name);
      return name;
    });
    for (let i = 0; i < BATCH; i++) {
      const name = this.sources + i * NAME_BYTES;
      this.receiving.set(i, name, NAME_BYTES, this.inbox + i * SLOT_BYTES, SLOT_BYTES);
    }
  }

  /** Has each socket ask each kind of request at each endpoint, and reads the answers. Throws if one isn't right. */
  learn(): void {
    for (const [index, socket] of this.sockets.entries()) {
      for (let place = 0; place < KINDS.length * SERVER_ROLES.length; place++) {
        socket.templates.push(this.learnOne(index, place));
      }
    }
    this.next = 0;
    this.pending.fill(0);
  }

  /** Sends the next `count` requests, BATCH at most, from one socket. */
  ask(count: number, at: number): void {
    const { sending, counts, pending } = this;
    const first = this.next;
    for (let i = 0; i < count; i++) this.write(i, first + i, placeOf(first + i));
    const socket = this.sockets[Math.floor(first / BATCH) % this.sockets.length]!;
    const taken = Math.max(0, this.calls.sendmmsg(socket.fd, sending.pointer(0), count, MSG_DONTWAIT));
    for (let i = 0; i < count; i++) {
      const slot = (first + i) & (REMEMBERED - 1);
      if (pending[slot] === 1) counts.lost++;
      pending[slot] = i < taken ? 1 : 0;
      this.sentAt[slot] = at;
    }
    counts.sent += taken;
    counts.refused += count - taken;
    this.next = first + count;
  }

  /** Takes in what has come, waiting for it so long; reports how long each answer took, in milliseconds. */
  hear(timeoutMs: number, onAnswer: (tookMs: number) => void): void {
    if (this.polled.poll(timeoutMs) === 0) return;
    for (const [index, socket] of this.sockets.entries()) {
      if (!this.polled.isReady(index)) continue;
      for (let count = BATCH; count === BATCH;) {
        count = this.calls.recvmmsg(socket.fd, this.receiving.pointer(0), BATCH, MSG_DONTWAIT, null);
        const at = performance.now();
        for (let i = 0; i < count; i++) this.take(socket, i, at, onAnswer);
      }
    }
  }

  /** What is still awaited is lost. */
  giveUp(): void {
    this.counts.lost += this.pending.reduce((sum, one) => sum + one, 0);
    this.pending.fill(0);
  }

  /** Answers that the kernel has dropped at these sockets. */
  drops(): number {
    return this.sockets.reduce((sum, { fd }) => sum + readDrops(this.calls, fd), 0);
  }

  close(): void {
    for (const { fd } of this.sockets) this.calls.close(fd);
  }

  private write(index: number, number: number, place: number): void {
    const { bytes } = this.region;
    const { request, fingerprint } = KINDS[kindOf(place)]!;
    const start = this.outbox + index * SLOT_BYTES;
    bytes.set(request, start);
    writeUint32(bytes, start + NUMBER_OFFSET, number);
    const end = start + request.length;
    if (fingerprint) writeUint32(bytes, end - 4, fingerprintOf(bytes, start, end - 8));
    this.sending.set(index, this.names[roleOf(place)]!, NAME_BYTES, start, request.length);
  }

  private take(socket: AskingSocket, index: number, at: number, onAnswer: (tookMs: number) => void): void {
    const { bytes } = this.region;
    const start = this.inbox + index * SLOT_BYTES;
    const length = this.receiving.messageLength(index);
    const number = readUint32(bytes, start + NUMBER_OFFSET);
    const slot = number & (REMEMBERED - 1);
    const place = placeOf(number);
    const source = this.sources + index * NAME_BYTES;
    if (this.pending[slot] !== 1) this.blame(start, length, `nobody waits for answer ${number}`);
    else if (!this.isRight(socket, place, start, length, source))
      this.blame(start, length, `answer ${number}`);
    else {
      this.pending[slot] = 0;
      this.counts.answered++;
      onAnswer(at - this.sentAt[slot]!);
    }
  }

  private isRight(
    { templates }: AskingSocket,
    place: number,
    start: number,
    length: number,
    source: number,
  ): boolean {
    const { bytes } = this.region;
    const { fingerprint, roleBits } = KINDS[kindOf(place)]!;
    const template = templates[place]!;
    if (length !== template.length) return false;
    const compared = fingerprint ? length - 4 : length;
    for (let i = 0; i < compared; i++) {
      if (i >= NUMBER_OFFSET && i < NUMBER_OFFSET + 4) continue;
      if (bytes[start + i] !== template[i]) return false;
    }
    const end = start + length;
    if (fingerprint && readUint32(bytes, end - 4) !== fingerprintOf(bytes, start, end - 8)) return false;
    // Port and address; what follows them is padding.
    const expected = this.names[roleOf(place) ^ roleBits]!;
    for (let i = 2; i < 8; i++) if (bytes[source + i] !== bytes[expected + i]) return false;
    return true;
  }

  private blame(start: number, length: number, what: string): void {
    this.counts.wrong++;
    const hex = Buffer.from(this.region.bytes.subarray(start, start + length)).toString('hex');
    this.firstWrong ??= `${what}: ${hex}`;
  }

  private learnOne(index: number, place: number): Uint8Array {
    const { fd, endpoint } = this.sockets[index]!;
    const { polled, calls } = this;
    for (let attempt = 0; attempt < LEARN_ATTEMPTS; attempt++) {
      this.write(0, 0, place);
      calls.sendmmsg(fd, this.sending.pointer(0), 1, MSG_DONTWAIT);
      if (polled.poll(LEARN_TIMEOUT_MS) === 0) continue;
      if (calls.recvmmsg(fd, this.receiving.pointer(0), 1, MSG_DONTWAIT, null) !== 1) continue;
      const answer = this.region.bytes.slice(this.inbox, this.inbox + this.receiving.messageLength(0));
      const role = roleOf(place);
      this.check(answer, endpoint, role, role ^ KINDS[kindOf(place)]!.roleBits);
      return answer;
    }
    throw new Error(`no answer from ${formatEndpoint(this.endpoints[roleOf(place)]!)}`);
  }

  private check(answer: Uint8Array, own: Endpoint, arrival: number, from: number): void {
    const decoded = decodeMessage(answer);
    if (decoded.kind !== 'message' || decoded.message.class !== 'success')
      throw new Error(`no success response: ${Buffer.from(answer).toString('hex')}`);
    const { message } = decoded;
    const wanted = [
      [readAttribute(message, XOR_MAPPED_ADDRESS), own],
      [readAttribute(message, RESPONSE_ORIGIN), this.endpoints[from]!],
      [readAttribute(message, OTHER_ADDRESS), this.endpoints[arrival ^ 3]!],
    ] as const;
    for (const [seen, expected] of wanted) {
      if (seen === undefined || formatEndpoint(seen) !== formatEndpoint(expected))
        throw new Error(`${seen && formatEndpoint(seen)} instead of ${formatEndpoint(expected)}`);
    }
  }
}

/** A kind of request at an endpoint: each number has the next one. */
function placeOf(number: number): number {
  return number % (KINDS.length * SERVER_ROLES.length);
}

function kindOf(place: number): number {
  return Math.floor(place / SERVER_ROLES.length);
}

function roleOf(place: number): number {
  return place % SERVER_ROLES.length;
}

function openSockets(calls: SystemCalls, count: number): AskingSocket[] {
  const opened: AskingSocket[] = [];
  for (let port = FIRST_PORT; opened.length < count; port++) {
    if (port > 0xffff) throw new Error('no port is free');
    const fd = calls.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (fd < 0) throw systemError(calls, 'socket');
    for (const option of [SO_RCVBUF, SO_SNDBUF])
      calls.setsockopt(fd, SOL_SOCKET, option, Int32Array.of(SOCKET_BUFFER_BYTES), 4);
    const endpoint = { address: '127.0.0.1', port };
    const name = encodeSockaddr(endpoint);
    if (calls.bind(fd, name, name.length) < 0) calls.close(fd);
    else opened.push({ fd, endpoint, templates: [] });
  }
  return opened;
}

function writeUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

function readUint32(bytes: Uint8Array, offset: number): number {
  const high = (bytes[offset]! << 24) | (bytes[offset + 1]! << 16);
  return (high | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>> 0;
}
