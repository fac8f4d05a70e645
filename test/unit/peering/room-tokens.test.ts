/** Room tokens: made by whoever runs the server with a JWT library, and nobody else's are taken. */
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { createSigner } from 'fast-jwt';
import { describe, expect, it } from 'vitest';
import { checkRoomToken, readRoomTokenKey, type RoomTokenKey } from '../../../server/peering/room-tokens.ts';

const NOW = Date.UTC(2026, 0, 1);
const SECRET = 'a secret of at least thirty-two characters';
const KEY = readRoomTokenKey(`${SECRET}\n`, 'natprobed');
const IN_AN_HOUR = NOW / 1000 + 3600;
const CLAIMS = { room: 'attic', exp: IN_AN_HOUR };

const sign = (claims: object, key = SECRET): string =>
  createSigner({ key, algorithm: 'HS256', noTimestamp: true })({ ...claims });
const check = (token: string | undefined, key: RoomTokenKey = KEY, name = 'ann', room = 'attic'): number =>
  checkRoomToken(key, token, room, name, NOW);

function encode(header: object, claims: object, signature = ''): string {
  const [head, body] = [header, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  return `${head!}.${body!}.${signature}`;
}

describe('a room token', () => {
  it('is good until it expires', () => {
    expect(check(sign(CLAIMS))).toBe(3_600_000);
  });

  it.each<[string, object]>([
    ['several rooms', { room: ['cellar', 'attic'] }],
    ['a room and a name as they are typed', { room: 'ATTIC', name: 'Ann' }],
    ['this server', { aud: 'natprobed' }],
    ['several servers', { aud: ['other', 'natprobed'] }],
    ['claims that nobody asked for', { sub: 'x', iat: NOW / 1000, jti: '1' }],
  ])('may name %s', (_, more) => {
    expect(check(sign({ ...CLAIMS, ...more }))).toBe(3_600_000);
  });

  it.each<[string, string | undefined, string]>([
    ['none', undefined, 'none was given'],
    ['nothing', '', 'it is none'],
    ['no token', 'three.little.words', 'it is none'],
    ['four parts', `${sign(CLAIMS)}.x`, 'it is none'],
    ['another key', sign(CLAIMS, 'another secret of thirty-two characters'), 'its signature'],
    ['an expired one', sign({ ...CLAIMS, exp: NOW / 1000 - 1 }), 'it has expired'],
    ['one for later', sign({ ...CLAIMS, nbf: NOW / 1000 + 60 }), 'it is not valid yet'],
    ['one that never expires', sign({ room: 'attic' }), 'its claims'],
    ['an end that is a text', encode({ alg: 'none' }, { ...CLAIMS, exp: 'never' }), 'its signature'],
    ['another room', sign({ ...CLAIMS, room: 'cellar' }), 'it is for another room'],
    ['no room', sign({ exp: IN_AN_HOUR }), 'its claims'],
    ['a list of no rooms', sign({ ...CLAIMS, room: [] }), 'it is for another room'],
    ['a room that is none', sign({ ...CLAIMS, room: { attic: true } }), 'its claims'],
    ['another name', sign({ ...CLAIMS, name: 'bob' }), 'it is for another name'],
    ['another server', sign({ ...CLAIMS, aud: 'elsewhere' }), 'it is for another server'],
    ['no signature', encode({ alg: 'HS256' }, CLAIMS), 'its signature'],
    ['algorithm none', encode({ alg: 'none' }, CLAIMS), 'its signature'],
    [
      'another part',
      sign(CLAIMS).replace(/\.[^.]+\./, `.${claimsOf({ ...CLAIMS, name: 'x' })}.`),
      'its signature',
    ],
  ])('is refused: %s', (_, token, detail) => {
    expect(() => check(token)).toThrow(
      expect.objectContaining({ code: 'ERR_ROOM_TOKEN', detail: expect.stringContaining(detail) as string }),
    );
  });
});

function claimsOf(claims: object): string {
  return Buffer.from(JSON.stringify(claims)).toString('base64url');
}

describe('public keys', () => {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS512: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ES384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    ES512: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    EdDSA: generateKeyPairSync('ed25519'),
  } as const;
  const pem = (algorithm: keyof typeof pairs): string =>
    pairs[algorithm].publicKey.export({ type: 'spki', format: 'pem' }).toString();

  it.each(Object.keys(pairs) as (keyof typeof pairs)[])('check tokens of %s', (algorithm) => {
    const key = pairs[algorithm].privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const token = createSigner({ key, algorithm })(CLAIMS);
    expect(check(token, readRoomTokenKey(pem(algorithm), 'natprobed'))).toBe(3_600_000);
  });

  it('are no secrets: a token that was signed with one as such is refused', () => {
    for (const text of [pem('RS256'), pem('RS256').trim()]) {
      const input = encode({ alg: 'HS256', typ: 'JWT' }, CLAIMS).slice(0, -1);
      const mac = createHmac('sha256', text).update(input).digest('base64url');
      expect(() => check(`${input}.${mac}`, readRoomTokenKey(pem('RS256'), 'natprobed'))).toThrow(
        expect.objectContaining({ code: 'ERR_ROOM_TOKEN' }),
      );
    }
  });

  it.each([
    ['a short secret', 'short', /32 characters/],
    [
      'a private key',
      pairs.ES256.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /PUBLIC KEY/,
    ],
    ['half a key', pem('ES256').slice(0, 60), /cannot be read/],
    [
      'a curve without an algorithm',
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
        .publicKey.export({ type: 'spki', format: 'pem' })
        .toString(),
      /P-256/,
    ],
  ])('are not to be had from %s', (_, text, problem) => {
    expect(() => readRoomTokenKey(text, 'natprobed')).toThrow(problem);
  });
});
