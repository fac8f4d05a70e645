import { FINGERPRINT_XOR } from './registry.ts';

/** How many bytes go at once ("slicing by 8"). */
const SLICE = 8;
/** For each of 256 bytes what it becomes; then what with one zero byte after it, with two, up to seven. */
const CRC_TABLE = crcTable();

/** CRC-32 as in ITU V.42 (polynomial 0x04c11db7 reflected) of `bytes` from `start` to `end`; unsigned. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  let i = start;
  for (; i + SLICE <= end; i += SLICE) {
    crc =
      CRC_TABLE[0x700 + ((crc ^ bytes[i]!) & 0xff)]! ^
      CRC_TABLE[0x600 + (((crc >>> 8) ^ bytes[i + 1]!) & 0xff)]! ^
      CRC_TABLE[0x500 + (((crc >>> 16) ^ bytes[i + 2]!) & 0xff)]! ^
      CRC_TABLE[0x400 + ((crc >>> 24) ^ bytes[i + 3]!)]! ^
      CRC_TABLE[0x300 + bytes[i + 4]!]! ^
      CRC_TABLE[0x200 + bytes[i + 5]!]! ^
      CRC_TABLE[0x100 + bytes[i + 6]!]! ^
      CRC_TABLE[bytes[i + 7]!]!;
  }
  // What STUN messages, multiples of four bytes, leave.
  if (i + 4 <= end) {
    crc =
      CRC_TABLE[0x300 + ((crc ^ bytes[i]!) & 0xff)]! ^
      CRC_TABLE[0x200 + (((crc >>> 8) ^ bytes[i + 1]!) & 0xff)]! ^
      CRC_TABLE[0x100 + (((crc >>> 16) ^ bytes[i + 2]!) & 0xff)]! ^
      CRC_TABLE[(crc >>> 24) ^ bytes[i + 3]!]!;
    i += 4;
  }
  for (; i < end; i += 1) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}

/**
 * The value of FINGERPRINT for a message whose bytes before that attribute are `start` to `end`;
 * unsigned. The header's length field must already count the attribute (RFC 8489 §14.7).
 */
export function fingerprintOf(bytes: Uint8Array, start: number, end: number): number {
  return (crc32(bytes, start, end) ^ FINGERPRINT_XOR) >>> 0;
}

function crcTable(): Int32Array {
  const table = new Int32Array(256 * SLICE);
  for (let i = 0; i < 256; i += 1) {
    let entry = i;
    for (let bit = 0; bit < 8; bit += 1) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
    table[i] = entry;
  }
  for (let i = 256; i < table.length; i += 1) {
    const before = table[i - 256]!;
    table[i] = (before >>> 8) ^ table[before & 0xff]!;
  }
  return table;
}
