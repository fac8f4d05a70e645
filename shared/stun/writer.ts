import { readU32 } from './cursor.ts';
import { fingerprintOf } from './fingerprint.ts';
import {
  ATTRIBUTE,
  ERROR_PHRASES,
  FAMILY_BYTE_IPV4,
  FAMILY_BYTE_IPV6,
  HEADER_LENGTH,
  MAGIC_COOKIE,
} from './registry.ts';

/** Which of the two address families an address attribute carries. */
export type AddressFamily = 4 | 6;

const NO_BYTES = new Uint8Array(0);
const PHRASE_BYTES: ReadonlyMap<number, Uint8Array> = new Map(
  Object.entries(ERROR_PHRASES).map(([code, phrase]) => [Number(code), Buffer.from(phrase)]),
);
const ATTRIBUTE_HEADER_LENGTH = 4;
const SPACE = 0x20;
const LONGEST_VALUE = 0xffff;

/**
 * Writes one message from the start of a caller's buffer without allocating anything: begin(), then
 * the attributes in order, then end(). One writer serves any number of messages, one after the
 * other. Values are padded with zeros to a multiple of four (RFC 8489 §14).
 */
export class MessageWriter {
  readonly buffer: Uint8Array;
  /** Bytes of the message so far, header included. */
  length = HEADER_LENGTH;
  /** Whether the message carries the magic cookie (RFC 5389 and later), as against RFC 3489. */
  modern = true;

  constructor(buffer: Uint8Array) {
    this.buffer = buffer;
  }

  /**
   * Starts a message of the 14-bit `type` with the cookie and transaction id (16 bytes at
   * `start` + 4) of the message in `from`: the request being answered.
   */
  begin(type: number, from: Uint8Array, start: number): void {
    const buffer = this.buffer;
    writeU16(buffer, 0, type);
    for (let i = 4; i < HEADER_LENGTH; i += 1) buffer[i] = from[start + i]!;
    this.modern = readU32(buffer, 4) === MAGIC_COOKIE;
    this.length = HEADER_LENGTH;
  }

  /** An address attribute (RFC 8489 §14.1); the address is the 4 or 16 bytes at `addressOffset`. */
  address(
    attribute: number,
    family: AddressFamily,
    address: Uint8Array,
    addressOffset: number,
    port: number,
  ): void {
    const offset = this.open(attribute, family === 4 ? 8 : 20);
    this.writeAddress(offset, family, address, addressOffset, port);
  }

  /**
   * An address attribute XORed with the header's last 16 bytes (RFC 8489 §14.2). An RFC 3489
   * message has no cookie: there its transaction id's first bytes stand in for it.
   */
  xorAddress(
    attribute: number,
    family: AddressFamily,
    address: Uint8Array,
    addressOffset: number,
    port: number,
  ): void {
    const offset = this.length + ATTRIBUTE_HEADER_LENGTH;
    this.address(attribute, family, address, addressOffset, port);
    xorAddressInPlace(this.buffer, offset, family, this.buffer, 4);
  }

  /**
   * RECEIPT: from which endpoint the response has just been sent, as in XOR-MAPPED-ADDRESS, then
   * what a relay may add to the response's way, in milliseconds (32 bits).
   */
  receipt(
    family: AddressFamily,
    address: Uint8Array,
    addressOffset: number,
    port: number,
    relayDelayMs: number,
  ): void {
    const addressLength = family === 4 ? 8 : 20;
    const offset = this.open(ATTRIBUTE.RECEIPT, addressLength + 4);
    this.writeAddress(offset, family, address, addressOffset, port);
    xorAddressInPlace(this.buffer, offset, family, this.buffer, 4);
    writeU32(this.buffer, offset + addressLength, relayDelayMs);
  }

  /** Two 16-bit numbers. */
  u16Pair(attribute: number, first: number, second: number): void {
    const offset = this.open(attribute, 4);
    writeU16(this.buffer, offset, first);
    writeU16(this.buffer, offset + 2, second);
  }

  /** One 32-bit number. */
  u32(attribute: number, value: number): void {
    writeU32(this.buffer, this.open(attribute, 4), value);
  }

  /** `length` bytes of `source` from `offset`. */
  bytes(attribute: number, source: Uint8Array, offset: number, length: number): void {
    const target = this.open(attribute, length);
    for (let i = 0; i < length; i += 1) this.buffer[target + i] = source[offset + i]!;
  }

  /** `length` zero bytes. */
  filler(attribute: number, length: number): void {
    const offset = this.open(attribute, length);
    this.buffer.fill(0, offset, offset + length);
  }

  /**
   * ERROR-CODE (RFC 8489 §14.8) with a phrase in UTF-8, by default the registry's. RFC 3489 §11.2.9
   * wants a multiple of four: there it is padded with spaces.
   */
  errorCode(code: number, phrase: Uint8Array = PHRASE_BYTES.get(code) ?? NO_BYTES): void {
    const phraseLength = this.modern ? phrase.length : (phrase.length + 3) & ~3;
    const offset = this.open(ATTRIBUTE.ERROR_CODE, 4 + phraseLength);
    const buffer = this.buffer;
    writeU16(buffer, offset, 0);
    buffer[offset + 2] = Math.trunc(code / 100);
    buffer[offset + 3] = code % 100;
    for (let i = 0; i < phraseLength; i += 1) buffer[offset + 4 + i] = phrase[i] ?? SPACE;
  }

  /**
   * UNKNOWN-ATTRIBUTES with the first `count` of `types` (RFC 8489 §14.13). RFC 3489 §11.2.10 wants
   * an even number and has the last repeated: `duplicateOddLast`.
   */
  unknownAttributes(types: ArrayLike<number>, count: number, duplicateOddLast: boolean): void {
    const written = duplicateOddLast ? count + (count & 1) : count;
    const offset = this.open(ATTRIBUTE.UNKNOWN_ATTRIBUTES, 2 * written);
    for (let i = 0; i < written; i += 1) {
      writeU16(this.buffer, offset + 2 * i, types[i < count ? i : count - 1]!);
    }
  }

  /** FINGERPRINT over all before it (RFC 8489 §14.7): the last attribute. */
  fingerprint(): void {
    const offset = this.open(ATTRIBUTE.FINGERPRINT, 4);
    this.writeLengthField();
    writeU32(this.buffer, offset, fingerprintOf(this.buffer, 0, offset - ATTRIBUTE_HEADER_LENGTH));
  }

  /**
   * Starts an attribute whose `valueLength` bytes the caller writes himself; returns their offset.
   * Throws RangeError for a value longer than the 16-bit length field can say.
   */
  open(attribute: number, valueLength: number): number {
    if (valueLength > LONGEST_VALUE) throw new RangeError(`an attribute value of ${valueLength} bytes`);
    const buffer = this.buffer;
    const offset = this.length + ATTRIBUTE_HEADER_LENGTH;
    writeU16(buffer, this.length, attribute);
    writeU16(buffer, this.length + 2, valueLength);
    const next = offset + ((valueLength + 3) & ~3);
    for (let i = offset + valueLength; i < next; i += 1) buffer[i] = 0;
    this.length = next;
    return offset;
  }

  /** Makes the header's length field count all that has been written so far. */
  writeLengthField(): void {
    writeU16(this.buffer, 2, this.length - HEADER_LENGTH);
  }

  /**
   * Completes the message and returns its length. Throws RangeError if it did not fit the buffer or
   * the 16-bit length field.
   */
  end(): number {
    if (this.length > this.buffer.length || this.length - HEADER_LENGTH > 0xffff) {
      throw new RangeError(`a message of ${this.length} bytes in a buffer of ${this.buffer.length}`);
    }
    this.writeLengthField();
    return this.length;
  }

  private writeAddress(
    offset: number,
    family: AddressFamily,
    address: Uint8Array,
    addressOffset: number,
    port: number,
  ): void {
    const buffer = this.buffer;
    buffer[offset] = 0;
    buffer[offset + 1] = family === 4 ? FAMILY_BYTE_IPV4 : FAMILY_BYTE_IPV6;
    writeU16(buffer, offset + 2, port);
    const addressLength = family === 4 ? 4 : 16;
    for (let i = 0; i < addressLength; i += 1) buffer[offset + 4 + i] = address[addressOffset + i]!;
  }
}

/**
 * XORs, in place, the port and address of the address value at `offset` with the header's last 16
 * bytes, which stand at `cookieOffset` of `header`. The same step encodes and decodes.
 */
export function xorAddressInPlace(
  value: Uint8Array,
  offset: number,
  family: AddressFamily,
  header: Uint8Array,
  cookieOffset: number,
): void {
  value[offset + 2] = value[offset + 2]! ^ header[cookieOffset]!;
  value[offset + 3] = value[offset + 3]! ^ header[cookieOffset + 1]!;
  const end = offset + (family === 4 ? 8 : 20);
  for (let i = offset + 4, j = cookieOffset; i < end; i += 1, j += 1) value[i] = value[i]! ^ header[j]!;
}

function writeU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 8;
  bytes[offset + 1] = value;
}

function writeU32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}
