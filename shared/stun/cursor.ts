import { fingerprintOf } from './fingerprint.ts';
import { ATTRIBUTE, HEADER_LENGTH, MAGIC_COOKIE, classOfType, methodOfType } from './registry.ts';
import type { MessageClassNumber } from './registry.ts';

/** What a MessageCursor can say of some bytes. */
export type CursorVerdict = 'message' | 'malformed' | 'not-stun';

const FINGERPRINT_LENGTH = 4;

/**
 * Reads one message in a buffer without allocating anything: reset it onto the bytes, then walk the
 * attributes with next(). One cursor serves any number of messages, one after the other.
 *
 * Attributes that RFC 8489 §14.5 and §14.6 have a receiver ignore (those after MESSAGE-INTEGRITY
 * but for -SHA256 and FINGERPRINT) are not shown. In the RFC 3489 dialect MESSAGE-INTEGRITY is the
 * last attribute, and FINGERPRINT's number has no meaning of its own.
 */
export class MessageCursor {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** The 14-bit message type. */
  type = 0;
  messageClass: MessageClassNumber = 0;
  method = 0;
  /** Whether the magic cookie is there (RFC 5389 and later), as against RFC 3489. */
  modern = false;
  /** Whether the message ends in a FINGERPRINT; a wrong one makes it `not-stun`. */
  hasFingerprint = false;
  /** The attribute that next() moved to: its type, and its value without the padding. */
  attributeType = 0;
  valueOffset = 0;
  valueLength = 0;

  private position = 0;
  // 0: all attributes count; otherwise the integrity attribute after which most are ignored.
  private integrityType = 0;

  /**
   * Takes the message in `bytes` from `start` to `end`.
   * - `not-stun`: another protocol's, or damaged: too short, the two top bits not zero, a length
   *   field that isn't a multiple of four or doesn't end at `end` (RFC 8489 §6.3), or a FINGERPRINT
   *   that is wrong or not last (§14.7).
   * - `malformed`: a STUN header whose attributes don't parse; type, class, method and dialect are set.
   */
  reset(bytes: Uint8Array, start: number, end: number): CursorVerdict {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.hasFingerprint = false;
    this.rewind();
    if (end - start < HEADER_LENGTH || end > bytes.length) return 'not-stun';
    const type = (bytes[start]! << 8) | bytes[start + 1]!;
    if (type > 0x3fff) return 'not-stun';
    const length = (bytes[start + 2]! << 8) | bytes[start + 3]!;
    if ((length & 3) !== 0 || start + HEADER_LENGTH + length !== end) return 'not-stun';
    this.type = type;
    this.messageClass = classOfType(type);
    this.method = methodOfType(type);
    this.modern = readU32(bytes, start + 4) === MAGIC_COOKIE;
    return this.checkAttributes();
  }

  /** Moves to the next attribute that counts; false when there is none. */
  next(): boolean {
    const bytes = this.bytes;
    while (this.position < this.end) {
      const position = this.position;
      const type = (bytes[position]! << 8) | bytes[position + 1]!;
      const length = (bytes[position + 2]! << 8) | bytes[position + 3]!;
      this.position = position + 4 + ((length + 3) & ~3);
      if (this.integrityType !== 0 && !this.countsAfterIntegrity(type)) continue;
      if (
        type === ATTRIBUTE.MESSAGE_INTEGRITY ||
        (this.modern && type === ATTRIBUTE.MESSAGE_INTEGRITY_SHA256)
      ) {
        this.integrityType = type;
      }
      this.attributeType = type;
      this.valueOffset = position + 4;
      this.valueLength = length;
      return true;
    }
    return false;
  }

  /** Back to before the first attribute. */
  rewind(): void {
    this.position = this.start + HEADER_LENGTH;
    this.integrityType = 0;
    this.attributeType = 0;
    this.valueOffset = this.position;
    this.valueLength = 0;
  }

  private countsAfterIntegrity(type: number): boolean {
    if (!this.modern) return false;
    return (
      type === ATTRIBUTE.FINGERPRINT ||
      (type === ATTRIBUTE.MESSAGE_INTEGRITY_SHA256 && this.integrityType === ATTRIBUTE.MESSAGE_INTEGRITY)
    );
  }

  private checkAttributes(): CursorVerdict {
    const { bytes, end } = this;
    let position = this.start + HEADER_LENGTH;
    while (position < end) {
      // Both the message's length and every step are multiples of four: the four bytes are there.
      const type = (bytes[position]! << 8) | bytes[position + 1]!;
      const length = (bytes[position + 2]! << 8) | bytes[position + 3]!;
      const next = position + 4 + ((length + 3) & ~3);
      if (type === ATTRIBUTE.FINGERPRINT && this.modern) {
        if (length !== FINGERPRINT_LENGTH || next !== end) return 'not-stun';
        if (readU32(bytes, position + 4) !== fingerprintOf(bytes, this.start, position)) return 'not-stun';
        this.hasFingerprint = true;
      }
      if (next > end) return 'malformed';
      position = next;
    }
    return 'message';
  }
}

/** The unsigned 32-bit number at `offset`, in network byte order. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}
