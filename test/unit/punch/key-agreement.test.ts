/** The key of a punch, by the vectors of RFC 7748 §6.1 and an HKDF (RFC 5869) of HMACs. */
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { agreeKey, keyPairOf } from '../../../probe/punch/key-agreement.ts';

const bytesOf = (hexadecimal: string): Buffer => Buffer.from(hexadecimal, 'hex');
const ALICE = keyPairOf(bytesOf('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
const BOB = keyPairOf(bytesOf('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
const MALLORY = keyPairOf(Buffer.alloc(32, 9));
const SHARED = bytesOf('4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742');

const keyOf = (own: typeof ALICE, peer: string, introduction = 7, psk?: string): string =>
  Buffer.from(
    agreeKey({ own, peerPublicKey: peer, introduction, ...(psk !== undefined && { psk }) }),
  ).toString('hex');

function hkdf(salt: Buffer, info: string): string {
  const extracted = createHmac('sha256', salt).update(SHARED).digest();
  return createHmac('sha256', extracted).update(info).update(Buffer.of(1)).digest('hex');
}

describe('a key pair', () => {
  it('has the public keys of RFC 7748 §6.1', () => {
    expect(
      [ALICE.publicKey, BOB.publicKey].map((key) => Buffer.from(key, 'base64url').toString('hex')),
    ).toEqual([
      '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
      'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    ]);
  });
});

describe('agreeKey', () => {
  const info = ['natprobe punch', ...[ALICE.publicKey, BOB.publicKey].sort(), 7].join(' ');

  it('derives the same key at both ends from the secret, the public keys and the introduction', () => {
    expect(keyOf(ALICE, BOB.publicKey)).toBe(hkdf(Buffer.alloc(32), info));
    expect(keyOf(BOB, ALICE.publicKey)).toBe(keyOf(ALICE, BOB.publicKey));
  });

  it('mixes a psk in, in whichever way its characters are composed', () => {
    const salt = createHash('sha256').update('gr\u00fcn').digest();
    expect(keyOf(ALICE, BOB.publicKey, 7, 'gru\u0308n')).toBe(hkdf(salt, info));
    expect(keyOf(BOB, ALICE.publicKey, 7, 'gr\u00fcn')).toBe(hkdf(salt, info));
  });

  it('comes to different keys where a key was swapped, or psk or introduction are others', () => {
    const keys = [
      keyOf(ALICE, BOB.publicKey),
      keyOf(ALICE, MALLORY.publicKey),
      keyOf(BOB, MALLORY.publicKey),
      keyOf(ALICE, BOB.publicKey, 8),
      keyOf(ALICE, BOB.publicKey, 7, ''),
      keyOf(ALICE, BOB.publicKey, 7, 'one'),
      keyOf(ALICE, BOB.publicKey, 7, 'two'),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it.each([
    ['nothing', ''],
    ['another length', Buffer.alloc(31, 1).toString('base64url')],
    ['a point that gives everybody the same secret', Buffer.alloc(32).toString('base64url')],
  ])('refuses %s as a key', (_, peerPublicKey) => {
    expect(() => agreeKey({ own: ALICE, peerPublicKey, introduction: 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_PEER_KEY' }),
    );
  });
});
