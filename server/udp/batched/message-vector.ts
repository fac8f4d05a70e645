/**
 * Memory that the kernel and JavaScript share, and in it the vectors of message headers that recvmmsg
 * and sendmmsg take. Structures are those of Linux with 64-bit pointers, little-endian.
 */
import type { SystemCalls } from './system-calls.ts';

const CACHE_LINE_BYTES = 64;
/** `struct mmsghdr`: name, namelen, iov, iovlen, control, controllen, flags, and the length of the message. */
const HEADER_BYTES = 64;
const NAME_FIELD = 0;
const NAME_LENGTH_FIELD = 8;
const IOV_FIELD = 16;
const IOV_COUNT_FIELD = 24;
const MESSAGE_LENGTH_FIELD = 56;
/** `struct iovec`: base and length. */
const IOV_BYTES = 16;
const IOV_LENGTH_FIELD = 8;

/** Bytes at one address, handed out piece by piece, never to be moved. */
export class Region {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  /** Where they are: the lower 32 bits, and the ones above. */
  private readonly addressLow: number;
  private readonly addressHigh: number;
  private used = 0;

  /** Pages that nobody touches take no memory. */
  constructor(calls: SystemCalls, byteLength: number) {
    const buffer = new ArrayBuffer(byteLength);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
    const address = calls.addressOf(buffer);
    this.addressLow = Number(address & 0xffff_ffffn);
    this.addressHigh = Number(address >> 32n);
  }

  /** The offset of `byteLength` bytes that are nobody else's. Throws RangeError if there are no more. */
  allocate(byteLength: number): number {
    const offset = this.used;
    this.used += Math.ceil(byteLength / CACHE_LINE_BYTES) * CACHE_LINE_BYTES;
    if (this.used > this.bytes.length) throw new RangeError(`a region of ${this.bytes.length} bytes is full`);
    return offset;
  }

  pointerTo(offset: number): bigint {
    return (BigInt(this.addressHigh) << 32n) + BigInt(this.addressLow + offset);
  }

  /** Writes where `target` is to `offset`. */
  writePointer(offset: number, target: number): void {
    const low = this.addressLow + target;
    this.words[offset >> 2] = low;
    this.words[(offset >> 2) + 1] = low < 0x1_0000_0000 ? this.addressHigh : this.addressHigh + 1;
  }
}

/** Headers of messages in one piece each, in the order in which they are received or sent. */
export class MessageVector {
  private readonly region: Region;
  private readonly headers: number;
  private readonly iovs: number;
  private readonly pointers: readonly bigint[];

  constructor(region: Region, capacity: number) {
    this.region = region;
    this.headers = region.allocate(capacity * HEADER_BYTES);
    this.iovs = region.allocate(capacity * IOV_BYTES);
    for (let i = 0; i < capacity; i++) {
      const header = this.headers + i * HEADER_BYTES;
      region.writePointer(header + IOV_FIELD, this.iovs + i * IOV_BYTES);
      region.words[(header + IOV_COUNT_FIELD) >> 2] = 1;
    }
    this.pointers = Array.from({ length: capacity }, (_, i) =>
      region.pointerTo(this.headers + i * HEADER_BYTES),
    );
  }

  static byteLength(capacity: number): number {
    return capacity * (HEADER_BYTES + IOV_BYTES) + CACHE_LINE_BYTES;
  }

  /** To the header of message `index` and those that follow. */
  pointer(index: number): bigint {
    return this.pointers[index]!;
  }

  /** Message `index` is the `length` bytes at the offset `bytes`, from or to the socket address at `name`. */
  set(index: number, name: number, nameLength: number, bytes: number, length: number): void {
    const { region } = this;
    const header = this.headers + index * HEADER_BYTES;
    const iov = this.iovs + index * IOV_BYTES;
    region.writePointer(header + NAME_FIELD, name);
    region.words[(header + NAME_LENGTH_FIELD) >> 2] = nameLength;
    region.writePointer(iov, bytes);
    region.words[(iov + IOV_LENGTH_FIELD) >> 2] = length;
  }

  /** How long the message is that was received as `index`. */
  messageLength(index: number): number {
    return this.region.words[(this.headers + index * HEADER_BYTES + MESSAGE_LENGTH_FIELD) >> 2]!;
  }
}
