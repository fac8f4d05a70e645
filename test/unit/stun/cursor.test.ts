import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MessageCursor } from '../../../shared/stun/cursor.ts';
import type { CursorVerdict } from '../../../shared/stun/cursor.ts';
import { fromHex } from '../../vectors/hex.ts';
import { SAMPLE_REQUEST } from '../../vectors/rfc5769.ts';

const MODERN = '2112a442000102030405060708090a0b';
const CLASSIC = '0f0e0d0c0b0a09080706050403020100';

function verdict(hex: string): CursorVerdict {
  const bytes = fromHex(hex);
  return new MessageCursor().reset(bytes, 0, bytes.length);
}

/** The types that the cursor shows of a message with these attributes, four zero bytes of value each. */
function shownTypes(header: string, types: readonly number[]): number[] {
  const body = types.map((type) => `${type.toString(16).padStart(4, '0')}0004 00000000`).join('');
  const length = (types.length * 8).toString(16).padStart(4, '0');
  const bytes = fromHex(`0001${length}${header}${body}`);
  const cursor = new MessageCursor();
  expect(cursor.reset(bytes, 0, bytes.length)).toBe('message');
  const shown: number[] = [];
  while (cursor.next()) shown.push(cursor.attributeType);
  return shown;
}

describe('MessageCursor', () => {
  it.each([
    ['a bare modern request', `00010000${MODERN}`, 'message'],
    ['a bare RFC 3489 request', `00010000${CLASSIC}`, 'message'],
    ['nothing', '', 'not-stun'],
    ['19 bytes', `00010000${MODERN.slice(2)}`, 'not-stun'],
    ['top bits 01', `40010000${MODERN}`, 'not-stun'],
    ['top bits 10', `80010000${MODERN}`, 'not-stun'],
    ['a length beyond the end', `00010004${MODERN}`, 'not-stun'],
    ['a length before the end', `00010000${MODERN}00000000`, 'not-stun'],
    ['a length that is no multiple of four', `00010002${MODERN}0000`, 'not-stun'],
    ['an attribute', `00010008${MODERN}8022000461626364`, 'message'],
    ['an attribute with padding', `00010008${MODERN}8022000161626364`, 'message'],
    ['an empty attribute at the end', `00010004${MODERN}80220000`, 'message'],
    ['an attribute past the end', `00010008${MODERN}8022000561626364`, 'malformed'],
    ['an attribute far past the end', `00010004${MODERN}8022ffff`, 'malformed'],
    ['an RFC 3489 attribute past the end', `00010004${CLASSIC}80220004`, 'malformed'],
    ['a wrong FINGERPRINT', `00010008${MODERN}8028000400000000`, 'not-stun'],
    ['a FINGERPRINT of eight bytes', `0001000c${MODERN}802800080000000000000000`, 'not-stun'],
    ['a FINGERPRINT past the end', `00010004${MODERN}80280004`, 'not-stun'],
    ['FINGERPRINT’s number in RFC 3489', `00010008${CLASSIC}8028000400000000`, 'message'],
  ] as const)('finds %s: %s → %s', (_, hex, expected) => {
    expect(verdict(hex)).toBe(expected);
  });

  it('finds a right FINGERPRINT that is not last to be not-stun', () => {
    const header = fromHex(`0001000c${MODERN}`);
    const fingerprint = Buffer.alloc(4);
    fingerprint.writeUInt32BE((crc32(header) ^ 0x5354554e) >>> 0);
    const notLast = Buffer.concat([header, fromHex('80280004'), fingerprint, fromHex('80220000')]);
    expect(new MessageCursor().reset(notLast, 0, notLast.length)).toBe('not-stun');
    // The same bytes with the attributes the other way round, and a FINGERPRINT made for that, are a message.
    const before = Buffer.concat([header, fromHex('80220000')]);
    fingerprint.writeUInt32BE((crc32(before) ^ 0x5354554e) >>> 0);
    const last = Buffer.concat([before, fromHex('80280004'), fingerprint]);
    expect(new MessageCursor().reset(last, 0, last.length)).toBe('message');
  });

  it('finds a range that goes past the buffer to be not-stun', () => {
    const bytes = fromHex(`00010008${MODERN}`);
    expect(new MessageCursor().reset(bytes, 0, bytes.length + 8)).toBe('not-stun');
  });

  it('says type, class, method, dialect and FINGERPRINT, of malformed messages too', () => {
    const cursor = new MessageCursor();
    cursor.reset(SAMPLE_REQUEST.bytes, 0, SAMPLE_REQUEST.bytes.length);
    expect(cursor).toMatchObject({ type: 1, messageClass: 0, method: 1, modern: true, hasFingerprint: true });
    const malformed = fromHex(`01130004${CLASSIC}80220004`);
    expect(cursor.reset(malformed, 0, malformed.length)).toBe('malformed');
    expect(cursor).toMatchObject({
      type: 0x0113,
      messageClass: 3,
      method: 3,
      modern: false,
      hasFingerprint: false,
    });
  });

  it('reads within its range only, wherever it lies', () => {
    const bytes = fromHex(`ffffff 00010008${MODERN}8022000161626364 ffff`);
    const cursor = new MessageCursor();
    expect(cursor.reset(bytes, 3, 31)).toBe('message');
    expect(cursor.next()).toBe(true);
    expect(cursor).toMatchObject({ attributeType: 0x8022, valueOffset: 27, valueLength: 1 });
    expect(cursor.next()).toBe(false);
    expect(cursor.next()).toBe(false);
    cursor.rewind();
    expect(cursor.next()).toBe(true);
    expect(cursor.attributeType).toBe(0x8022);
    expect(cursor.reset(bytes, 3, 34)).toBe('not-stun');
    expect(cursor.reset(bytes, 3, 1000)).toBe('not-stun');
  });

  it('shows after MESSAGE-INTEGRITY only -SHA256, and after that nothing (RFC 8489 §14.5, §14.6)', () => {
    expect(shownTypes(MODERN, [0x8022, 0x0008, 0x8022, 0x001c, 0x8022, 0x0008])).toEqual([
      0x8022, 0x0008, 0x001c,
    ]);
    expect(shownTypes(MODERN, [0x001c, 0x0008, 0x8022, 0x001c])).toEqual([0x001c]);
    expect(shownTypes(MODERN, [0x0008, 0x0008, 0x8022])).toEqual([0x0008]);
  });

  it('shows nothing after MESSAGE-INTEGRITY in RFC 3489, which has it last and knows no -SHA256', () => {
    expect(shownTypes(CLASSIC, [0x8022, 0x0008, 0x001c, 0x8028, 0x8022])).toEqual([0x8022, 0x0008]);
    expect(shownTypes(CLASSIC, [0x001c, 0x8022])).toEqual([0x001c, 0x8022]);
  });

  it('forgets the last message when it is reset', () => {
    const cursor = new MessageCursor();
    cursor.reset(SAMPLE_REQUEST.bytes, 0, SAMPLE_REQUEST.bytes.length);
    while (cursor.next());
    const bytes = fromHex(`00010008${MODERN}8022000461626364`);
    expect(cursor.reset(bytes, 0, bytes.length)).toBe('message');
    expect(cursor.hasFingerprint).toBe(false);
    expect(cursor.next()).toBe(true);
    expect(cursor.next()).toBe(false);
  });
});
