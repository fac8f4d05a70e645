/**
 * IP addresses between text and bytes, without allocating more than the result. The text is the
 * one that Node prints (`rinfo.address`, `net.SocketAddress`): RFC 5952, with the last 32 bits as
 * a dotted quad in `::ffff:1.2.3.4` and in `::1.2.3.4`, as `inet_ntop` has it.
 */

const DOT = 0x2e;
const COLON = 0x3a;

/** The 4 or 16 bytes of an address in any spelling of RFC 4291 §2.2, or undefined. A zone is not accepted. */
export function parseIpAddress(text: string): Uint8Array | undefined {
  const ipv6 = text.includes(':');
  const bytes = new Uint8Array(ipv6 ? 16 : 4);
  const parsed = ipv6 ? parseIpv6Into(text, bytes, 0) : parseIpv4Into(text, bytes, 0);
  return parsed ? bytes : undefined;
}

/**
 * Writes the 4 bytes of a dotted quad to `out` at `offset`. Returns false if `text` is none; `out`
 * then holds no meaning there. Leading zeros are refused, since some read them as octal.
 */
export function parseIpv4Into(text: string, out: Uint8Array, offset: number): boolean {
  return parseDottedQuad(text, 0, out, offset);
}

/** Writes the 16 bytes of an IPv6 address to `out` at `offset`. Returns false if `text` is none, as above. */
export function parseIpv6Into(text: string, out: Uint8Array, offset: number): boolean {
  const length = text.length;
  let position = 0;
  let written = 0;
  // How many bytes stand before `::`, or -1 while there was none.
  let gap = -1;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = 0;
    position = 2;
  }
  while (position < length) {
    if (written === 16) return false;
    const groupStart = position;
    let group = 0;
    let digit = hexDigit(text.charCodeAt(position));
    while (digit >= 0 && position - groupStart < 4) {
      group = (group << 4) | digit;
      position += 1;
      digit = position < length ? hexDigit(text.charCodeAt(position)) : -1;
    }
    if (position === groupStart || digit >= 0) return false;
    const following = position < length ? text.charCodeAt(position) : -1;
    if (following === DOT) {
      if (written > 12 || !parseDottedQuad(text, groupStart, out, offset + written)) return false;
      written += 4;
      position = length;
      break;
    }
    out[offset + written] = group >> 8;
    out[offset + written + 1] = group & 0xff;
    written += 2;
    if (following === -1) break;
    if (following !== COLON) return false;
    position += 1;
    if (text.charCodeAt(position) === COLON) {
      if (gap >= 0) return false;
      gap = written;
      position += 1;
    } else if (position === length) {
      return false;
    }
  }
  if (gap < 0) return written === 16;
  if (written === 16) return false;
  const tail = written - gap;
  for (let i = 1; i <= tail; i += 1) out[offset + 16 - i] = out[offset + written - i]!;
  for (let i = gap; i < 16 - tail; i += 1) out[offset + i] = 0;
  return true;
}

/** The dotted quad of the 4 bytes at `offset`. */
export function formatIpv4(bytes: Uint8Array, offset: number): string {
  return `${bytes[offset]!}.${bytes[offset + 1]!}.${bytes[offset + 2]!}.${bytes[offset + 3]!}`;
}

/** The text of the 16 bytes at `offset`. */
export function formatIpv6(bytes: Uint8Array, offset: number): string {
  // The first of the longest runs of at least two zero groups is written as `::` (RFC 5952 §4.2).
  let bestStart = -1;
  let bestLength = 1;
  let runLength = 0;
  for (let i = 0; i < 8; i += 1) {
    runLength = groupAt(bytes, offset, i) === 0 ? runLength + 1 : 0;
    if (runLength > bestLength) {
      bestLength = runLength;
      bestStart = i - runLength + 1;
    }
  }
  const embedsIpv4 =
    bestStart === 0 && (bestLength === 6 || (bestLength === 5 && groupAt(bytes, offset, 5) === 0xffff));
  const groups = embedsIpv4 ? 6 : 8;
  let text = '';
  let i = 0;
  while (i < groups) {
    if (i === bestStart) {
      text += '::';
      i += bestLength;
      continue;
    }
    if (i > 0 && i !== bestStart + bestLength) text += ':';
    text += groupAt(bytes, offset, i).toString(16);
    i += 1;
  }
  if (!embedsIpv4) return text;
  return `${text}${bestLength === 5 ? ':' : ''}${formatIpv4(bytes, offset + 12)}`;
}

function groupAt(bytes: Uint8Array, offset: number, index: number): number {
  return (bytes[offset + 2 * index]! << 8) | bytes[offset + 2 * index + 1]!;
}

/** Reads the dotted quad from `start` to the end of `text`. */
function parseDottedQuad(text: string, start: number, out: Uint8Array, offset: number): boolean {
  const length = text.length;
  let position = start;
  for (let i = 0; i < 4; i += 1) {
    if (i > 0) {
      if (position >= length || text.charCodeAt(position) !== DOT) return false;
      position += 1;
    }
    const partStart = position;
    let part = 0;
    while (position < length && position - partStart < 3) {
      const digit = text.charCodeAt(position) - 0x30;
      if (digit < 0 || digit > 9) break;
      part = part * 10 + digit;
      position += 1;
    }
    const digits = position - partStart;
    if (digits === 0 || part > 255) return false;
    if (digits > 1 && text.charCodeAt(partStart) === 0x30) return false;
    out[offset + i] = part;
  }
  return position === length;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
