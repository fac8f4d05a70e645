import { FINGERPRINT_XOR } from './registry.ts';

const CRC_TABLE = crcTable();

/** CRC-32 as in ITU V.42 (polynomial 0x04c11db7 reflected) of `bytes` from `start` to `end`; unsigned. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  for (let i = start; i < end; i += 1) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
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
  const table = new Int32Array(256);
  for (let i = 0; i < 256; i += 1) {
    let entry = i;
    for (let bit = 0; bit < 8; bit += 1) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
    table[i] = entry;
  }
  return table;
}
