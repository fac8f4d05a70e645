import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { SOFTWARE } from '../../../shared/stun/attributes/text.ts';
import {
  longTermKey,
  opaqueString,
  shortTermKey,
  userHash,
  verifyIntegrity,
} from '../../../shared/stun/integrity.ts';
import { encodeMessage } from '../../../shared/stun/message.ts';
import type { StunMessage } from '../../../shared/stun/message.ts';
import { ATTRIBUTE } from '../../../shared/stun/registry.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { CLASSIC_ID, decodedMessage, MODERN_ID } from './messages.ts';

const KEY = Buffer.from('key');
const attributes = [SOFTWARE.of('four')];

/** The message with another attribute appended behind everything, the length field made right. */
function withAppended(bytes: Uint8Array, attribute: string): Uint8Array {
  const longer = Buffer.concat([bytes, fromHex(attribute)]);
  longer.writeUInt16BE(longer.length - 20, 2);
  return Uint8Array.from(longer);
}

describe('integrity attributes', () => {
  it('cover all before them, with a length that ends at them (RFC 8489 §14.5)', () => {
    const sha1 = { algorithm: 'sha1', key: KEY } as const;
    const bytes = encodeMessage({
      class: 'request',
      transactionId: MODERN_ID,
      attributes,
      integrity: sha1,
      fingerprint: true,
    });
    const covered = fromHex('0001 0020 2112a442 b7e7a701bc34d686fa87dfae 8022 0004 666f7572');
    const mac = createHmac('sha1', KEY).update(covered).digest();
    expect(toHex(bytes.subarray(28, 52))).toBe(`00080014${toHex(mac)}`);
    expect(verifyIntegrity(decodedMessage(bytes), sha1)).toBe('valid');
  });

  it('fill the input with zeros to a multiple of 64 in RFC 3489 (§11.2.8)', () => {
    const sha1 = { algorithm: 'sha1', key: KEY } as const;
    const bytes = encodeMessage({ class: 'request', transactionId: CLASSIC_ID, attributes, integrity: sha1 });
    const covered = fromHex('0001 0020 0f0e0d0c0b0a09080706050403020100 8022 0004 666f7572');
    const mac = createHmac('sha1', KEY)
      .update(covered)
      .update(new Uint8Array(64 - 28))
      .digest();
    expect(toHex(bytes.subarray(28))).toBe(`00080014${toHex(mac)}`);
    expect(verifyIntegrity(decodedMessage(bytes), sha1)).toBe('valid');
  });

  it('fill nothing in RFC 3489 where the input is a multiple of 64 already', () => {
    const sha1 = { algorithm: 'sha1', key: KEY } as const;
    const aligned = [rawAttribute(0x8022, new Uint8Array(40))];
    const bytes = encodeMessage({
      class: 'request',
      transactionId: CLASSIC_ID,
      attributes: aligned,
      integrity: sha1,
    });
    const covered = Buffer.from(bytes.subarray(0, 64));
    expect(toHex(bytes.subarray(68))).toBe(createHmac('sha1', KEY).update(covered).digest('hex'));
  });

  it('allow attributes behind them, which are ignored', () => {
    for (const algorithm of ['sha1', 'sha256'] as const) {
      const integrity = { algorithm, key: KEY };
      const bytes = encodeMessage({ class: 'request', transactionId: MODERN_ID, attributes, integrity });
      const message = decodedMessage(withAppended(bytes, '0003000400000006'));
      expect(message.attributes.map(({ type }) => type)).not.toContain(ATTRIBUTE.CHANGE_REQUEST);
      expect(verifyIntegrity(message, integrity)).toBe('valid');
    }
  });

  it('are absent if absent, and MESSAGE-INTEGRITY does not stand for -SHA256', () => {
    const bytes = encodeMessage({
      class: 'request',
      transactionId: MODERN_ID,
      attributes,
      integrity: { algorithm: 'sha1', key: KEY },
    });
    expect(verifyIntegrity(decodedMessage(bytes), { algorithm: 'sha256', key: KEY })).toBe('absent');
  });

  it('-SHA256 may be cut to no less than 16 bytes, by whole words (RFC 8489 §14.6)', () => {
    const integrity = { algorithm: 'sha256', key: KEY } as const;
    const cutTo = (length: number): StunMessage => {
      const padded = (length + 3) & ~3;
      const header = Buffer.from(fromHex('0001 0000 2112a442 b7e7a701bc34d686fa87dfae 8022 0004 666f7572'));
      header.writeUInt16BE(8 + 4 + padded, 2);
      // What is covered tells the length of the attribute as it is on the wire.
      const covered = Buffer.from(header);
      covered.writeUInt16BE(8 + 4 + length, 2);
      const mac = createHmac('sha256', KEY).update(covered).digest().subarray(0, length);
      const value = Buffer.alloc(padded);
      value.set(mac);
      return decodedMessage(
        Uint8Array.from(
          Buffer.concat([header, fromHex(`001c00${length.toString(16).padStart(2, '0')}`), value]),
        ),
      );
    };
    for (const length of [16, 20, 24, 28, 32])
      expect(verifyIntegrity(cutTo(length), integrity)).toBe('valid');
    for (const length of [0, 4, 12, 15, 17, 36])
      expect(verifyIntegrity(cutTo(length), integrity)).toBe('invalid');
  });

  it('of the wrong length are invalid', () => {
    const bytes = encodeMessage({
      class: 'request',
      transactionId: MODERN_ID,
      attributes: [rawAttribute(ATTRIBUTE.MESSAGE_INTEGRITY, new Uint8Array(16))],
    });
    expect(verifyIntegrity(decodedMessage(bytes), { algorithm: 'sha1', key: KEY })).toBe('invalid');
  });
});

describe('keys', () => {
  it('are the password, or a hash of username, realm and password', () => {
    expect(Buffer.from(shortTermKey('p\u00e4ss')).toString()).toBe('p\u00e4ss');
    const text = 'user:realm:pass';
    expect(toHex(longTermKey('user', 'realm', 'pass', 'md5'))).toBe(
      createHash('md5').update(text).digest('hex'),
    );
    expect(toHex(longTermKey('user', 'realm', 'pass', 'sha256'))).toBe(
      createHash('sha256').update(text).digest('hex'),
    );
    expect(toHex(userHash('user', 'realm'))).toBe(createHash('sha256').update('user:realm').digest('hex'));
  });

  it('are made of text prepared as OpaqueString (RFC 8265 §4.2)', () => {
    expect(opaqueString('correct\u3000horse\u00a0battery')).toBe('correct horse battery');
    expect(opaqueString('a\u0308')).toBe('\u00e4');
    // Case, width and compatibility characters stay as they are.
    expect(opaqueString('\u03a3\uff21\u2168')).toBe('\u03a3\uff21\u2168');
    expect(toHex(longTermKey('a\u0308', 'r', 'p', 'md5'))).toBe(
      toHex(longTermKey('\u00e4', 'r', 'p', 'md5')),
    );
  });

  it.each(['', '\u0000', 'tab\t', 'soft\u00adhyphen', 'zero\u200bwidth', '\ud800', '\u1100'])(
    'refuse %j, which OpaqueString disallows',
    (text) => {
      expect(() => shortTermKey(text)).toThrow(RangeError);
    },
  );
});
