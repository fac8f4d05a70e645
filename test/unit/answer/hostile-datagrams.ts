/** Datagrams that an attacker or a broken client might send: random bytes, and requests, mutated. */
import { ATTRIBUTE, BINDING_REQUEST, HEADER_LENGTH, MAGIC_COOKIE } from '../../../shared/stun/registry.ts';
import { fingerprintOf } from '../../../shared/stun/fingerprint.ts';
import type { Random } from '../../sim/random.ts';

const TYPES = Object.values(ATTRIBUTE);
/** What the core acts upon: drawn more often than the rest. */
const ACTED_UPON = [
  ATTRIBUTE.CHANGE_REQUEST,
  ATTRIBUTE.CHANGE_REQUEST,
  ATTRIBUTE.RESPONSE_PORT,
  ATTRIBUTE.PADDING,
  ATTRIBUTE.RECEIPT_REQUEST,
  ATTRIBUTE.RECEIPT_REQUEST,
  ATTRIBUTE.SERVICE,
  ATTRIBUTE.WITNESS,
] as const;
const LONGEST_DATAGRAM = 65_507;

/** Writes datagrams into one buffer, which the next one overwrites. */
export class HostileDatagrams {
  readonly buffer = Buffer.alloc(LONGEST_DATAGRAM);
  private readonly random: Random;
  private length = 0;

  constructor(random: Random) {
    this.random = random;
  }

  /** The next datagram: `buffer` from 0 to the returned length. */
  next(): number {
    const { random } = this;
    if (random.chance(0.05)) return this.writeRandomBytes();
    this.writeHeader();
    const attributes = random.chance(0.1) ? random.integer(0, 40) : random.integer(0, 4);
    for (let i = 0; i < attributes; i++) this.writeAttribute();
    const fingerprint = random.chance(0.25);
    this.writeLengthField(fingerprint ? 8 : 0);
    if (fingerprint) this.writeFingerprint();
    if (random.chance(0.25)) this.mutate();
    return this.length;
  }

  private writeRandomBytes(): number {
    this.length = this.random.integer(0, 200);
    for (let i = 0; i < this.length; i++) this.buffer[i] = this.random.uint32();
    // Most random bytes fail at the first two bits; let some look further like STUN.
    if (this.random.chance(0.5)) this.buffer[0]! &= 0x3f;
    return this.length;
  }

  private writeHeader(): void {
    const { random, buffer } = this;
    buffer.writeUInt16BE(random.chance(0.9) ? BINDING_REQUEST : random.uint32() & 0x3fff, 0);
    for (let i = 4; i < HEADER_LENGTH; i += 4) buffer.writeUInt32BE(random.uint32(), i);
    if (random.chance(0.8)) buffer.writeUInt32BE(MAGIC_COOKIE, 4);
    this.length = HEADER_LENGTH;
  }

  private writeAttribute(): void {
    const { random, buffer } = this;
    const type = this.drawType();
    const length = this.drawLength(type);
    const next = this.length + 4 + ((length + 3) & ~3);
    if (next + 8 > buffer.length) return;
    buffer.writeUInt16BE(type, this.length);
    buffer.writeUInt16BE(length, this.length + 2);
    buffer.fill(0, this.length + 4, next);
    // The values that matter are short; the rest is filler.
    for (let i = this.length + 4; i < Math.min(next, this.length + 12); i++) buffer[i] = random.uint32();
    // Most witnesses are asked for in due form: random bytes would hardly ever be.
    if (type === ATTRIBUTE.WITNESS && length >= 8 && random.chance(0.8)) {
      buffer.set([0, random.integer(1, 3), random.integer(0, 40)], this.length + 4);
    }
    this.length = next;
  }

  private drawType(): number {
    const { random } = this;
    const choice = random.fraction();
    if (choice < 0.75) return ACTED_UPON[random.integer(0, ACTED_UPON.length - 1)]!;
    if (choice < 0.97) return TYPES[random.integer(0, TYPES.length - 1)]!;
    return random.uint32() & 0xffff;
  }

  private drawLength(type: number): number {
    const { random } = this;
    if (
      type === ATTRIBUTE.PADDING ||
      type === ATTRIBUTE.RECEIPT_REQUEST ||
      (type === ATTRIBUTE.WITNESS && random.chance(0.7))
    ) {
      return random.chance(0.002) ? random.integer(0, 65_000) : random.integer(0, 300);
    }
    return random.chance(0.9) ? 4 : random.integer(0, 40);
  }

  private writeLengthField(more: number): void {
    this.buffer.writeUInt16BE(this.length - HEADER_LENGTH + more, 2);
  }

  private writeFingerprint(): void {
    const { buffer, length } = this;
    buffer.writeUInt16BE(ATTRIBUTE.FINGERPRINT, length);
    buffer.writeUInt16BE(4, length + 2);
    buffer.writeUInt32BE(fingerprintOf(buffer, 0, length), length + 4);
    this.length = length + 8;
  }

  private mutate(): void {
    const { random, buffer } = this;
    switch (random.integer(0, 4)) {
      case 0:
        for (let flips = random.integer(1, 4); flips > 0; flips--) {
          buffer[random.integer(0, this.length - 1)]! ^= 1 << random.integer(0, 7);
        }
        break;
      case 1:
        this.length = random.integer(0, this.length);
        break;
      case 2:
        // An attribute's length, most likely, of a header that still fits.
        buffer[random.integer(0, this.length - 1)] = random.uint32();
        if (this.length >= HEADER_LENGTH) this.writeLengthField(0);
        break;
      case 3:
        // Cut at a word, with a header that fits: attributes that run past the end.
        this.length = HEADER_LENGTH + (random.integer(0, this.length - HEADER_LENGTH) & ~3);
        this.writeLengthField(0);
        break;
      default:
        // Bytes behind the end.
        this.length = Math.min(this.length + random.integer(1, 8), buffer.length);
    }
  }
}
