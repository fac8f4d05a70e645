import { describe, expect, it } from 'vitest';
import { MAPPED_ADDRESS, XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { SOFTWARE } from '../../../shared/stun/attributes/text.ts';
import {
  decodeMessage,
  encodeMessage,
  hasAttribute,
  readAttribute,
  transactionIdOf,
} from '../../../shared/stun/message.ts';
import type { TransactionId } from '../../../shared/stun/message.ts';
import { ATTRIBUTE, METHOD } from '../../../shared/stun/registry.ts';
import { fromHex, toHex } from '../../vectors/hex.ts';
import { CLASSIC_ID, decodedMessage, MODERN_ID } from './messages.ts';

describe('encodeMessage', () => {
  it('makes a modern Binding request of a 24-digit transaction id', () => {
    const bytes = encodeMessage({
      class: 'request',
      transactionId: MODERN_ID,
      attributes: [CHANGE_REQUEST.of({ address: true, port: false })],
    });
    expect(toHex(bytes)).toBe('00010008' + '2112a442b7e7a701bc34d686fa87dfae' + '0003000400000004');
  });

  it('makes an RFC 3489 message of a 32-digit one, with its method', () => {
    const bytes = encodeMessage({
      class: 'error',
      method: METHOD.SHARED_SECRET,
      transactionId: CLASSIC_ID,
      attributes: [],
    });
    expect(toHex(bytes)).toBe('01120000' + '0f0e0d0c0b0a09080706050403020100');
  });

  it('makes messages that don’t share memory', () => {
    const first = encodeMessage({ class: 'request', transactionId: MODERN_ID, attributes: [] });
    const kept = toHex(first);
    encodeMessage({ class: 'error', transactionId: CLASSIC_ID, attributes: [] });
    expect(toHex(first)).toBe(kept);
    expect(first.buffer.byteLength).toBe(first.length);
  });

  it.each([
    '',
    '00',
    '000102030405060708090a0',
    '000102030405060708090a0x',
    '0001020304050607080900010203040506',
  ])('refuses %j as a transaction id', (id) => {
    expect(() =>
      encodeMessage({ class: 'request', transactionId: id as TransactionId, attributes: [] }),
    ).toThrow(new RangeError(`not a transaction id: ${JSON.stringify(id)}`));
  });

  it('refuses what RFC 3489 messages don’t have', () => {
    const message = { class: 'request', transactionId: CLASSIC_ID, attributes: [] } as const;
    expect(() => encodeMessage({ ...message, fingerprint: true })).toThrow(
      new RangeError('RFC 3489 messages have no FINGERPRINT'),
    );
    const integrity = { algorithm: 'sha256', key: Uint8Array.of(1) } as const;
    expect(() => encodeMessage({ ...message, integrity })).toThrow(
      new RangeError('RFC 3489 messages know HMAC-SHA1 alone'),
    );
  });

  it('takes messages up to what the length field can say', () => {
    const most = encodeMessage({
      class: 'request',
      transactionId: MODERN_ID,
      attributes: [PADDING.of(0xfff8)],
    });
    expect(most.length).toBe(20 + 0xfffc);
    expect(decodedMessage(most).attributes[0]?.value.length).toBe(0xfff8);
    expect(() =>
      encodeMessage({
        class: 'request',
        transactionId: MODERN_ID,
        attributes: [PADDING.of(0xfff8), SOFTWARE.of('')],
      }),
    ).toThrow(RangeError);
    // The failure leaves nothing behind.
    expect(encodeMessage({ class: 'request', transactionId: MODERN_ID, attributes: [] }).length).toBe(20);
  });
});

describe('decodeMessage', () => {
  it('gives a message with its attributes in order, known or not', () => {
    const message = decodedMessage(
      fromHex(
        '01010018 2112a442 b7e7a701bc34d686fa87dfae 7abc0003 aabbcc00 80220001 41000000 7abc0000 00250000',
      ),
    );
    expect(message).toMatchObject({
      class: 'success',
      method: METHOD.BINDING,
      modern: true,
      transactionId: 'b7e7a701bc34d686fa87dfae',
    });
    expect(message.attributes.map(({ type, value }) => [type, toHex(value)])).toEqual([
      [0x7abc, 'aabbcc'],
      [ATTRIBUTE.SOFTWARE, '41'],
      [0x7abc, ''],
      [ATTRIBUTE.USE_CANDIDATE, ''],
    ]);
  });

  it('says of a malformed request what an answer needs', () => {
    expect(decodeMessage(fromHex('00010004 0f0e0d0c 0b0a0908 07060504 03020100 00030004'))).toEqual({
      kind: 'malformed',
      class: 'request',
      method: METHOD.BINDING,
      transactionId: CLASSIC_ID,
      reason: 'an attribute runs past the end of the message',
    });
  });

  it('says of other bytes that they are not STUN', () => {
    expect(decodeMessage(Buffer.from('GET / HTTP/1.1\r\n\r\n')).kind).toBe('not-stun');
    // DTLS, RTP and TURN channel data share a socket with STUN (RFC 7983 §7).
    for (const first of [0x14, 0x3f, 0x40, 0x4f, 0x80, 0xbf]) {
      const bytes = new Uint8Array(40).fill(0x55);
      bytes[0] = first;
      expect(decodeMessage(bytes).kind).toBe('not-stun');
    }
  });

  it('takes Node’s Buffers, which are views of larger memory', () => {
    const message = encodeMessage({
      class: 'success',
      transactionId: MODERN_ID,
      attributes: [XOR_MAPPED_ADDRESS.of({ address: '2001:db8::1', port: 5 })],
    });
    const view = Buffer.concat([fromHex('ffffff'), message, fromHex('ff')]).subarray(3, 3 + message.length);
    expect(readAttribute(decodedMessage(view), XOR_MAPPED_ADDRESS)).toEqual({
      address: '2001:db8::1',
      port: 5,
    });
  });
});

describe('readAttribute', () => {
  const first = { address: '192.0.2.1', port: 1 };

  it('takes the first of several (RFC 8489 §14)', () => {
    const message = decodedMessage(
      encodeMessage({
        class: 'success',
        transactionId: MODERN_ID,
        attributes: [MAPPED_ADDRESS.of(first), MAPPED_ADDRESS.of({ address: '192.0.2.2', port: 2 })],
      }),
    );
    expect(readAttribute(message, MAPPED_ADDRESS)).toEqual(first);
  });

  it('gives undefined for one that is absent, and for one that is malformed', () => {
    const message = decodedMessage(
      encodeMessage({
        class: 'success',
        transactionId: MODERN_ID,
        attributes: [rawAttribute(ATTRIBUTE.MAPPED_ADDRESS, fromHex('00010001')), MAPPED_ADDRESS.of(first)],
      }),
    );
    expect(readAttribute(message, XOR_MAPPED_ADDRESS)).toBeUndefined();
    expect(hasAttribute(message, ATTRIBUTE.XOR_MAPPED_ADDRESS)).toBe(false);
    expect(readAttribute(message, MAPPED_ADDRESS)).toBeUndefined();
    expect(hasAttribute(message, ATTRIBUTE.MAPPED_ADDRESS)).toBe(true);
  });
});

describe('transactionIdOf', () => {
  it('refuses other lengths, and an RFC 3489 id that would not be one', () => {
    expect(() => transactionIdOf(new Uint8Array(13))).toThrow(new RangeError('a transaction id of 13 bytes'));
    expect(() => transactionIdOf(fromHex('2112a442b7e7a701bc34d686fa87dfae'))).toThrow(
      new RangeError('an RFC 3489 transaction id that begins with the magic cookie'),
    );
  });
});
