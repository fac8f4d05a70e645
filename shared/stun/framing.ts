import { HEADER_LENGTH } from './registry.ts';

/** Why a stream can't be read on: the bytes are no STUN, or a message is longer than this end takes. */
export type FramingFailure = 'not-stun' | 'too-long';

const LEAST_CAPACITY = 512;

/**
 * Cuts a byte stream into STUN messages (RFC 8489 §6.2.2): push() what arrives in any pieces, then
 * next() until undefined. After a failure nothing more comes out, since nobody can tell where the
 * next message would begin; the connection is to be closed.
 */
export class StreamFramer {
  /** Set once the stream can't be read on. Messages before that point still come out of next(). */
  failed: FramingFailure | undefined;

  private readonly maxMessageBytes: number;
  private buffer = new Uint8Array(LEAST_CAPACITY);
  // What is buffered and not yet handed out: buffer[start..end).
  private start = 0;
  private end = 0;

  /** `maxMessageBytes` counts the header; it bounds what an unfinished message can make this hold. */
  constructor(maxMessageBytes: number) {
    this.maxMessageBytes = maxMessageBytes;
  }

  /** Takes what arrived, by copying it. Ignored after a failure. */
  push(chunk: Uint8Array): void {
    if (this.failed !== undefined) return;
    this.makeRoom(chunk.length);
    this.buffer.set(chunk, this.end);
    this.end += chunk.length;
  }

  /** The next whole message, in memory of its own, or undefined until more arrives. */
  next(): Uint8Array | undefined {
    if (this.failed !== undefined) return undefined;
    const { buffer, start } = this;
    const buffered = this.end - start;
    // Two bits are enough to see that it isn't STUN; don't wait for a header that never comes.
    if (buffered > 0 && buffer[start]! > 0x3f) {
      this.fail('not-stun');
      return undefined;
    }
    if (buffered < 4) return undefined;
    const length = (buffer[start + 2]! << 8) | buffer[start + 3]!;
    if ((length & 3) !== 0) {
      this.fail('not-stun');
      return undefined;
    }
    const whole = HEADER_LENGTH + length;
    if (whole > this.maxMessageBytes) {
      this.fail('too-long');
      return undefined;
    }
    if (buffered < whole) return undefined;
    this.start = start + whole;
    return buffer.slice(start, this.start);
  }

  /** What has arrived beyond the messages handed out; nothing after a failure. Nothing more comes out. */
  takeRest(): Uint8Array {
    const rest = this.buffer.slice(this.start, this.end);
    this.start = this.end;
    return rest;
  }

  private fail(reason: FramingFailure): void {
    this.failed = reason;
    this.buffer = new Uint8Array(0);
    this.start = 0;
    this.end = 0;
  }

  /** Moves what is left to the front, into a larger buffer if it must, so that `length` more fit. */
  private makeRoom(length: number): void {
    if (this.end + length <= this.buffer.length) return;
    const left = this.buffer.subarray(this.start, this.end);
    const needed = left.length + length;
    const target =
      needed <= this.buffer.length
        ? this.buffer
        : new Uint8Array(Math.max(needed, 2 * left.length, LEAST_CAPACITY));
    target.set(left);
    this.buffer = target;
    this.start = 0;
    this.end = left.length;
  }
}
