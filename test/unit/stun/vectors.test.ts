import { crc32 as nodeCrc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import {
  PASSWORD_ALGORITHM,
  PASSWORD_ALGORITHM_NUMBERS,
  USERHASH,
} from '../../../shared/stun/attributes/credential.ts';
import { ICE_CONTROLLED, PRIORITY } from '../../../shared/stun/attributes/ice.ts';
import { NONCE, REALM, SOFTWARE, USERNAME } from '../../../shared/stun/attributes/text.ts';
import { MessageCursor } from '../../../shared/stun/cursor.ts';
import { crc32 } from '../../../shared/stun/fingerprint.ts';
import { longTermKey, shortTermKey, userHash, verifyIntegrity } from '../../../shared/stun/integrity.ts';
import { decodeMessage, encodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import type { TransactionId } from '../../../shared/stun/message.ts';
import {
  SAMPLE_IPV4_RESPONSE,
  SAMPLE_IPV6_RESPONSE,
  SAMPLE_LONG_TERM_REQUEST,
  SAMPLE_REQUEST,
  SHORT_TERM_PASSWORD,
} from '../../vectors/rfc5769.ts';
import { SAMPLE_SHA256_REQUEST } from '../../vectors/rfc8489.ts';
import { decodedMessage } from './messages.ts';

function hasRightFingerprint(bytes: Uint8Array): boolean {
  const cursor = new MessageCursor();
  return cursor.reset(bytes, 0, bytes.length) === 'message' && cursor.hasFingerprint;
}

const shortTerm = { algorithm: 'sha1', key: shortTermKey(SHORT_TERM_PASSWORD) } as const;

describe('RFC 5769', () => {
  it('§2.1: the sample request', () => {
    const message = decodedMessage(SAMPLE_REQUEST.bytes);
    expect(message).toMatchObject({
      class: 'request',
      method: 1,
      modern: true,
      transactionId: SAMPLE_REQUEST.transactionId,
    });
    expect(message.attributes.map(({ type }) => type)).toEqual([
      0x8022, 0x0024, 0x8029, 0x0006, 0x0008, 0x8028,
    ]);
    expect(readAttribute(message, SOFTWARE)).toBe(SAMPLE_REQUEST.software);
    expect(readAttribute(message, PRIORITY)).toBe(SAMPLE_REQUEST.priority);
    expect(readAttribute(message, ICE_CONTROLLED)).toBe(SAMPLE_REQUEST.iceControlled);
    expect(readAttribute(message, USERNAME)).toBe(SAMPLE_REQUEST.username);
    expect(verifyIntegrity(message, shortTerm)).toBe('valid');
    expect(hasRightFingerprint(SAMPLE_REQUEST.bytes)).toBe(true);
  });

  it.each([
    ['§2.2: the sample IPv4 response', SAMPLE_IPV4_RESPONSE],
    ['§2.3: the sample IPv6 response', SAMPLE_IPV6_RESPONSE],
  ])('%s', (_, sample) => {
    const message = decodedMessage(sample.bytes);
    expect(message).toMatchObject({ class: 'success', method: 1, transactionId: sample.transactionId });
    expect(message.attributes.map(({ type }) => type)).toEqual([0x8022, 0x0020, 0x0008, 0x8028]);
    expect(readAttribute(message, SOFTWARE)).toBe(sample.software);
    expect(readAttribute(message, XOR_MAPPED_ADDRESS)).toEqual(sample.mapped);
    expect(verifyIntegrity(message, shortTerm)).toBe('valid');
    expect(hasRightFingerprint(sample.bytes)).toBe(true);
  });

  it('§2.4: the sample request with long-term authentication', () => {
    const { username, realm, password, nonce, bytes } = SAMPLE_LONG_TERM_REQUEST;
    const message = decodedMessage(bytes);
    expect(message.transactionId).toBe(SAMPLE_LONG_TERM_REQUEST.transactionId);
    expect(readAttribute(message, USERNAME)).toBe(username);
    expect(readAttribute(message, NONCE)).toBe(nonce);
    expect(readAttribute(message, REALM)).toBe(realm);
    const key = longTermKey(username, realm, password, 'md5');
    expect(verifyIntegrity(message, { algorithm: 'sha1', key })).toBe('valid');
    expect(hasRightFingerprint(bytes)).toBe(false);
  });

  it('§2.4 comes out byte for byte, its padding being zeros', () => {
    const { username, realm, password, nonce, bytes, transactionId } = SAMPLE_LONG_TERM_REQUEST;
    const encoded = encodeMessage({
      class: 'request',
      transactionId: transactionId as TransactionId,
      attributes: [USERNAME.of(username), NONCE.of(nonce), REALM.of(realm)],
      integrity: { algorithm: 'sha1', key: longTermKey(username, realm, password, 'md5') },
    });
    expect(encoded).toEqual(bytes);
  });

  it('§2.1 to §2.3 come out byte for byte up to the padding, and verify with zeros there', () => {
    for (const sample of [SAMPLE_REQUEST, SAMPLE_IPV4_RESPONSE, SAMPLE_IPV6_RESPONSE]) {
      const message = decodedMessage(sample.bytes);
      const encoded = encodeMessage({
        class: message.class,
        transactionId: message.transactionId,
        attributes: message.attributes
          .filter(({ type }) => type !== 0x0008 && type !== 0x8028)
          .map(({ type, value }) => rawAttribute(type, value)),
        integrity: shortTerm,
        fingerprint: true,
      });
      // The last 28 bytes, the HMAC and FINGERPRINT, depend on the padding.
      const withoutPadding = Uint8Array.from(sample.bytes);
      for (const [index, byte] of encoded.entries()) {
        if (byte === 0 && withoutPadding[index] === 0x20) withoutPadding[index] = 0;
      }
      expect(encoded.subarray(0, -28)).toEqual(withoutPadding.subarray(0, -28));
      expect(verifyIntegrity(decodedMessage(encoded), shortTerm)).toBe('valid');
    }
  });

  it('no longer verify with any one bit changed', () => {
    for (const { bytes } of [SAMPLE_REQUEST, SAMPLE_IPV4_RESPONSE, SAMPLE_IPV6_RESPONSE]) {
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Uint8Array.from(bytes);
        changed[bit >> 3]! ^= 1 << (bit & 7);
        const decoded = decodeMessage(changed);
        const believed =
          decoded.kind === 'message' &&
          decoded.message.attributes.at(-1)?.type === 0x8028 &&
          verifyIntegrity(decoded.message, shortTerm) === 'valid';
        expect(believed).toBe(false);
      }
    }
  });
});

describe('RFC 8489 Appendix B.1', () => {
  const { username, realm, password, nonce, bytes, transactionId } = SAMPLE_SHA256_REQUEST;
  const integrity = { algorithm: 'sha256', key: longTermKey(username, realm, password, 'sha256') } as const;
  const sha256 = { algorithm: PASSWORD_ALGORITHM_NUMBERS.sha256, parameters: new Uint8Array(0) };

  it('decodes, and verifies under its SHA-256 key', () => {
    const message = decodedMessage(bytes);
    expect(readAttribute(message, USERHASH)).toEqual(Uint8Array.from(userHash(username, realm)));
    expect(readAttribute(message, NONCE)).toBe(nonce);
    expect(readAttribute(message, REALM)).toBe(realm);
    expect(readAttribute(message, PASSWORD_ALGORITHM)).toEqual(sha256);
    expect(verifyIntegrity(message, integrity)).toBe('valid');
    expect(verifyIntegrity(message, { ...integrity, algorithm: 'sha1' })).toBe('absent');
  });

  it('comes out byte for byte', () => {
    const encoded = encodeMessage({
      class: 'request',
      transactionId: transactionId as TransactionId,
      attributes: [
        USERHASH.of(userHash(username, realm)),
        NONCE.of(nonce),
        REALM.of(realm),
        PASSWORD_ALGORITHM.of(sha256),
      ],
      integrity,
    });
    expect(encoded).toEqual(bytes);
  });
});

describe('CRC-32', () => {
  it('has the check value of ITU V.42 and agrees with Node’s on a range', () => {
    expect(crc32(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926);
    const bytes = SAMPLE_REQUEST.bytes;
    for (let start = 0; start < bytes.length; start += 7) {
      expect(crc32(bytes, start, bytes.length - 3)).toBe(nodeCrc32(bytes.subarray(start, bytes.length - 3)));
    }
  });
});
