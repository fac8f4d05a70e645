import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rawAttribute } from '../../shared/stun/attributes/attribute.ts';
import { MessageCursor } from '../../shared/stun/cursor.ts';
import { verifyIntegrity } from '../../shared/stun/integrity.ts';
import { decodeMessage, encodeMessage, readAttribute } from '../../shared/stun/message.ts';
import { ATTRIBUTE } from '../../shared/stun/registry.ts';
import { decodedMessage, MODERN_ID } from '../unit/stun/messages.ts';
import { checkProperty, SEED } from './property.ts';
import { anyMessage, anyMutation, everyAttribute, mutate } from './stun-arbitraries.ts';

console.log(`seed ${SEED}`);

describe('any bytes', () => {
  const anyBytes = fc.uint8Array({ maxLength: 120 });
  /** Bytes behind a header that fits them, so that they are read as attributes. */
  const bytesBehindHeader = fc
    .record({
      type: fc.integer({ min: 0, max: 0x3fff }),
      modern: fc.boolean(),
      body: fc.uint8Array({ maxLength: 80 }),
    })
    .map(({ type, modern, body }) => {
      const bytes = Buffer.alloc(20 + (body.length & ~3));
      bytes.writeUInt16BE(type, 0);
      bytes.writeUInt16BE(bytes.length - 20, 2);
      if (modern) bytes.writeUInt32BE(0x2112a442, 4);
      bytes.set(body.subarray(0, body.length & ~3), 20);
      return Uint8Array.from(bytes);
    });

  it('decode to a message, malformed or not-stun, as a plain reading of the RFC says, and never throw', () => {
    checkProperty(
      fc.property(fc.oneof(anyBytes, bytesBehindHeader), (bytes) => {
        expect(decodeMessage(bytes).kind).toBe(plainVerdict(bytes));
      }),
      20_000,
    );
  });

  it('that are a mutated valid message do so too, and no attribute of what they are throws when read', () => {
    const kinds = new Set<string>();
    checkProperty(
      fc.property(anyMessage, fc.array(anyMutation, { minLength: 1, maxLength: 4 }), (made, mutations) => {
        const bytes = mutate(encodeMessage(made.toEncode), mutations);
        const decoded = decodeMessage(bytes);
        kinds.add(decoded.kind);
        expect(decoded.kind).toBe(plainVerdict(bytes));
        if (decoded.kind !== 'message') return;
        for (const { attribute } of made.cases) readAttribute(decoded.message, attribute);
        verifyIntegrity(decoded.message, { algorithm: 'sha1', key: bytes });
        verifyIntegrity(decoded.message, { algorithm: 'sha256', key: bytes });
      }),
      10_000,
    );
    // The mutations are of use only if they lead to all three.
    expect(kinds).toEqual(new Set(['message', 'malformed', 'not-stun']));
  });

  it('as any attribute’s value decode to a value or undefined and never throw', () => {
    const message = decodedMessage(
      encodeMessage({ class: 'request', transactionId: MODERN_ID, attributes: [] }),
    );
    checkProperty(
      fc.property(fc.oneof(...everyAttribute), fc.uint8Array({ maxLength: 64 }), ({ attribute }, value) => {
        attribute.decode(value, message);
      }),
      20_000,
    );
  });
});

describe('encoding and decoding', () => {
  it('gives back class, method, dialect, transaction id and every attribute’s value', () => {
    checkProperty(
      fc.property(anyMessage, ({ toEncode, cases }) => {
        const message = decodedMessage(encodeMessage(toEncode));
        expect(message.class).toBe(toEncode.class);
        expect(message.method).toBe(toEncode.method);
        expect(message.modern).toBe(toEncode.transactionId.length === 24);
        expect(message.transactionId).toBe(toEncode.transactionId);
        for (const { attribute, value } of cases) expect(readAttribute(message, attribute)).toEqual(value);
        expect(message.attributes.map(({ type }) => type)).toEqual([
          ...cases.map(({ attribute }) => attribute.type),
          ...integrityTypes(toEncode.integrity?.algorithm),
          ...(toEncode.fingerprint === true ? [ATTRIBUTE.FINGERPRINT] : []),
        ]);
      }),
      5_000,
    );
  });

  it('is the identity on the bytes that encoding makes, integrity and fingerprint included', () => {
    checkProperty(
      fc.property(anyMessage, ({ toEncode }) => {
        const bytes = encodeMessage(toEncode);
        const message = decodedMessage(bytes);
        const attributes = message.attributes
          .filter(({ type }) => !ADDED_BY_ENCODE.has(type))
          .map(({ type, value }) => rawAttribute(type, value));
        expect(encodeMessage({ ...toEncode, attributes })).toEqual(bytes);
      }),
      5_000,
    );
  });

  it('makes an integrity attribute that its key verifies, and no key that differs in a byte', () => {
    checkProperty(
      fc.property(anyMessage, fc.nat(), ({ toEncode }, at) => {
        const message = decodedMessage(encodeMessage(toEncode));
        const integrity = toEncode.integrity;
        if (integrity === undefined) {
          expect(verifyIntegrity(message, { algorithm: 'sha1', key: Uint8Array.of(1) })).toBe('absent');
          return;
        }
        expect(verifyIntegrity(message, integrity)).toBe('valid');
        const otherKey = Uint8Array.from(integrity.key);
        otherKey[at % otherKey.length]! ^= 0x01;
        expect(verifyIntegrity(message, { ...integrity, key: otherKey })).toBe('invalid');
      }),
      2_000,
    );
  });
});

describe('the cursor', () => {
  it('walks the attributes that decodeMessage lists, at any place in a larger buffer', () => {
    const cursor = new MessageCursor();
    checkProperty(
      fc.property(
        anyMessage,
        fc.array(anyMutation, { maxLength: 2 }),
        fc.uint8Array({ maxLength: 9 }),
        ({ toEncode }, mutations, around) => {
          const bytes = mutate(encodeMessage(toEncode), mutations);
          const buffer = Uint8Array.from([...around, ...bytes, ...around]);
          const result = decodeMessage(bytes);
          const verdict = cursor.reset(buffer, around.length, around.length + bytes.length);
          expect(verdict).toBe(result.kind);
          if (result.kind !== 'message') return;
          // Twice, since rewind() has to bring it back to the first.
          for (let round = 0; round < 2; round += 1) {
            expect(walk(cursor)).toEqual(
              result.message.attributes.map(({ type, value }) => ({ type, value: Array.from(value) })),
            );
            cursor.rewind();
          }
        },
      ),
      5_000,
    );
  });
});

/** What encodeMessage puts at the end by itself. */
const ADDED_BY_ENCODE: ReadonlySet<number> = new Set([
  ATTRIBUTE.MESSAGE_INTEGRITY,
  ATTRIBUTE.MESSAGE_INTEGRITY_SHA256,
  ATTRIBUTE.FINGERPRINT,
]);

function integrityTypes(algorithm: 'sha1' | 'sha256' | undefined): number[] {
  if (algorithm === undefined) return [];
  return [algorithm === 'sha1' ? ATTRIBUTE.MESSAGE_INTEGRITY : ATTRIBUTE.MESSAGE_INTEGRITY_SHA256];
}

function walk(cursor: MessageCursor): { type: number; value: number[] }[] {
  const attributes = [];
  while (cursor.next()) {
    const end = cursor.valueOffset + cursor.valueLength;
    attributes.push({
      type: cursor.attributeType,
      value: Array.from(cursor.bytes.subarray(cursor.valueOffset, end)),
    });
  }
  return attributes;
}

/** RFC 8489 §6.3 and §14.7 read off plainly, with Node's own CRC-32: the oracle. */
function plainVerdict(input: Uint8Array): 'message' | 'malformed' | 'not-stun' {
  const bytes = Buffer.from(input);
  if (bytes.length < 20 || (bytes[0]! & 0xc0) !== 0) return 'not-stun';
  const length = bytes.readUInt16BE(2);
  if (length % 4 !== 0 || bytes.length !== 20 + length) return 'not-stun';
  const modern = bytes.readUInt32BE(4) === 0x2112a442;
  let rest = bytes.subarray(20);
  while (rest.length > 0) {
    const type = rest.readUInt16BE(0);
    const valueLength = rest.readUInt16BE(2);
    const paddedLength = Math.ceil(valueLength / 4) * 4;
    if (modern && type === 0x8028) {
      const before = bytes.subarray(0, bytes.length - rest.length);
      const right =
        valueLength === 4 && rest.length === 8 && rest.readUInt32BE(4) === (crc32(before) ^ 0x5354554e) >>> 0;
      return right ? 'message' : 'not-stun';
    }
    if (4 + paddedLength > rest.length) return 'malformed';
    rest = rest.subarray(4 + paddedLength);
  }
  return 'message';
}
