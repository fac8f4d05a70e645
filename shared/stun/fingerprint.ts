import { FINGERPRINT_XOR } from './registry.ts';

/** What a byte becomes with no, one, two and three zero bytes after it: four bytes go at once ("slicing by 4"). */
const [CRC_TABLE, CRC_TABLE_1, CRC_TABLE_2, CRC_TABLE_3] = crcTables();

/** CRC-32 as in ITU V.42 (polynomial 0x04c11db7 reflected) of `bytes` from `start` to `end`; unsigned. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    crc =
      CRC_TABLE_3[(crc ^ bytes[i]!) & 0xff]! ^
      CRC_TABLE_2[((crc >>> 8) ^ bytes[i + 1]!) & 0xff]! ^
      CRC_TABLE_1[((crc >>> 16) ^ bytes[i + 2]!) & 0xff]! ^
      CRC_TABLE[(crc >>> 24) ^ bytes[i + 3]!]!;
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

function crcTables(): [Int32Array, Int32Array, Int32Array, Int32Array] {
  const table = new Int32Array(256);
  for (let i = 0; i < 256; i += 1) {
    let entry = i;
    for (let bit = 0; bit < 8; bit += 1) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
    table[i] = entry;
  }
  const followedByZero = (entry: number): number => (entry >>> 8) ^ table[entry & 0xff]!;
  const second = table.map(followedByZero);
  const third = second.map(followedByZero);
  return [table, second, third, third.map(followedByZero)];
}
