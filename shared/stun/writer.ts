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
/** Attributes are multiples of it. */
const BYTES_PER_WORD = 4;
const SPACE = 0x20;
const LONGEST_VALUE = 0xffff;

/**
 * Writes one message from the start of a caller's buffer without allocating anything: begin(), then
 * the attributes in order, then end(). One writer serves any number of messages, one after the
 * other. Values are padded with zeros to a multiple of four (RFC 8489 §14).
 */
export class MessageWriter {
  readonly buffer: Uint8Array;
  /** The same bytes: a word is written at once, where single bytes would take several times as long. */
  private readonly view: DataView;
  /** Bytes of the message so far, header included. */
  length = HEADER_LENGTH;
  /** Whether the message carries the magic cookie (RFC 5389 and later), as against RFC 3489. */
  modern = true;

  constructor(buffer: Uint8Array) {
    this.buffer = buffer;
    this.view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  /**
   * Starts a message of the 14-bit `type` with the cookie and transaction id (16 bytes at
   * `start` + 4) of the message in `from`: the request being answered.
   */
  begin(type: number, from: Uint8Array, start: number): void {
    const { view } = this;
    const cookie = readU32(from, start + 4);
    view.setUint16(0, type);
    view.setUint32(4, cookie);
    view.setUint32(8, readU32(from, start + 8));
    view.setUint32(12, readU32(from, start + 12));
    view.setUint32(16, readU32(from, start + 16));
    this.modern = cookie === MAGIC_COOKIE;
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
    const offset = this.open(attribute, family === 4 ? 8 : 20);
    this.writeXorAddress(offset, family, address, addressOffset, port);
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
    this.writeXorAddress(offset, family, address, addressOffset, port);
    this.view.setUint32(offset + addressLength, relayDelayMs);
  }

  /** Two 16-bit numbers. */
  u16Pair(attribute: number, first: number, second: number): void {
    const offset = this.open(attribute, 4);
    this.view.setUint16(offset, first);
    this.view.setUint16(offset + 2, second);
  }

  /** One 32-bit number. */
  u32(attribute: number, value: number): void {
    this.view.setUint32(this.open(attribute, 4), value);
  }

  /** Attributes as attributeWords() of another writer gave them. */
  words(words: Uint32Array): void {
    const { view, length } = this;
    const next = length + BYTES_PER_WORD * words.length;
    if (next > this.buffer.length) throw noRoom(next, this.buffer);
    for (let i = 0; i < words.length; i += 1) view.setUint32(length + BYTES_PER_WORD * i, words[i]!);
    this.length = next;
  }

  /** All attributes so far, for words(): what many messages have in common is written once. */
  attributeWords(): Uint32Array {
    const count = (this.length - HEADER_LENGTH) / BYTES_PER_WORD;
    return Uint32Array.from({ length: count }, (_, i) =>
      this.view.getUint32(HEADER_LENGTH + BYTES_PER_WORD * i),
    );
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
    this.view.setUint16(offset, 0);
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
      this.view.setUint16(offset + 2 * i, types[i < count ? i : count - 1]!);
    }
  }

  /** FINGERPRINT over all before it (RFC 8489 §14.7): the last attribute. */
  fingerprint(): void {
    const offset = this.open(ATTRIBUTE.FINGERPRINT, 4);
    this.writeLengthField();
    this.view.setUint32(offset, fingerprintOf(this.buffer, 0, offset - ATTRIBUTE_HEADER_LENGTH));
  }

  /**
   * Starts an attribute whose `valueLength` bytes the caller writes himself; returns their offset.
   * Throws RangeError for a value longer than the 16-bit length field can say, or than the buffer has room for.
   */
  open(attribute: number, valueLength: number): number {
    if (valueLength > LONGEST_VALUE) throw new RangeError(`an attribute value of ${valueLength} bytes`);
    const { view, length } = this;
    const offset = length + ATTRIBUTE_HEADER_LENGTH;
    const next = offset + ((valueLength + 3) & ~3);
    if (next > this.buffer.length) throw noRoom(next, this.buffer);
    view.setUint32(length, (attribute << 16) | valueLength);
    // Zeros for the padding: what the value leaves of its last word.
    if ((valueLength & 3) !== 0) view.setUint32(next - 4, 0);
    this.length = next;
    return offset;
  }

  /** Makes the header's length field count all that has been written so far. */
  writeLengthField(): void {
    this.view.setUint16(2, this.length - HEADER_LENGTH);
  }

  /**
   * Completes the message and returns its length. Throws RangeError if it did not fit the 16-bit
   * length field.
   */
  end(): number {
    if (this.length - HEADER_LENGTH > 0xffff) throw noRoom(this.length, this.buffer);
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
    const { view } = this;
    view.setUint32(offset, (familyByte(family) << 16) | port);
    view.setUint32(offset + 4, readU32(address, addressOffset));
    if (family === 4) return;
    view.setUint32(offset + 8, readU32(address, addressOffset + 4));
    view.setUint32(offset + 12, readU32(address, addressOffset + 8));
    view.setUint32(offset + 16, readU32(address, addressOffset + 12));
  }

  /** As writeAddress and then xorAddressInPlace, with the header of this message. */
  private writeXorAddress(
    offset: number,
    family: AddressFamily,
    address: Uint8Array,
    addressOffset: number,
    port: number,
  ): void {
    const { view } = this;
    view.setUint32(offset, (familyByte(family) << 16) | (port ^ view.getUint16(4)));
    view.setUint32(offset + 4, readU32(address, addressOffset) ^ view.getUint32(4));
    if (family === 4) return;
    view.setUint32(offset + 8, readU32(address, addressOffset + 4) ^ view.getUint32(8));
    view.setUint32(offset + 12, readU32(address, addressOffset + 8) ^ view.getUint32(12));
    view.setUint32(offset + 16, readU32(address, addressOffset + 12) ^ view.getUint32(16));
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

function familyByte(family: AddressFamily): number {
  return family === 4 ? FAMILY_BYTE_IPV4 : FAMILY_BYTE_IPV6;
}

function noRoom(length: number, buffer: Uint8Array): RangeError {
  return new RangeError(`a message of ${length} bytes in a buffer of ${buffer.length}`);
}
