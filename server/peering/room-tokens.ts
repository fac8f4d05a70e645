/** Tokens with which peers show that they may be in a room: JWTs (RFC 7519) of whoever runs the server. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type Algorithm, createVerifier, TokenError } from 'fast-jwt';
import Type from 'typebox';
import { Compile } from 'typebox/compile';
import { NatprobeError } from '../../shared/errors.ts';
import { keyOf } from '../broker/names.ts';

/** What a token is checked with. */
export interface RoomTokenKey {
  /** A shared secret, or a public key as PEM. */
  readonly key: string;
  /** Those alone: the token has no say in how it is checked. */
  readonly algorithms: readonly Algorithm[];
  readonly audience: string;
}

/**
 * `text`: a PEM of a public key (RSA, P-256, P-384, P-521, Ed25519), or a secret for HS256. Throws a
 * RangeError that says what is wrong with it.
 */
export function readRoomTokenKey(text: string, audience: string): RoomTokenKey {
  const key = text.trim();
  if (!key.includes('-----BEGIN')) {
    if (Buffer.byteLength(key) < SHORTEST_SECRET)
      throw new RangeError(`a secret takes at least ${SHORTEST_SECRET} characters`);
    return { key, algorithms: ['HS256'], audience };
  }
  if (!key.startsWith('-----BEGIN PUBLIC KEY-----'))
    throw new RangeError('of PEM files it takes those of a PUBLIC KEY');
  return { key, algorithms: algorithmsOf(parseKey(key)), audience };
}

/** How long that token is good for this peer in this room, in milliseconds. Throws ERR_ROOM_TOKEN. */
export function checkRoomToken(
  { key, algorithms, audience }: RoomTokenKey,
  token: string | undefined,
  room: string,
  name: string,
  nowMs: number,
): number {
  if (token === undefined) throw refused('none was given');
  const claims = readClaims(verifySignature(token, key, algorithms, nowMs));
  if (!listOf(claims.aud ?? audience).includes(audience)) throw refused('it is for another server');
  if (!listOf(claims.room).some((one) => keyOf(one) === keyOf(room))) throw refused('it is for another room');
  if (claims.name !== undefined && keyOf(claims.name) !== keyOf(name))
    throw refused('it is for another name');
  return claims.exp * 1000 - nowMs;
}

/** RFC 7518 §3.2: as long as the hash. */
const SHORTEST_SECRET = 32;

const Texts = Type.Union([Type.String(), Type.Array(Type.String())]);
const CLAIMS = Compile(
  Type.Object({
    exp: Type.Number(),
    room: Texts,
    name: Type.Optional(Type.String()),
    aud: Type.Optional(Texts),
  }),
);

function verifySignature(
  token: string,
  key: string,
  algorithms: readonly Algorithm[],
  nowMs: number,
): unknown {
  // One each time, since it takes the clock as it is made.
  const verify = createVerifier({ key, algorithms: [...algorithms], clockTimestamp: nowMs });
  try {
    return verify(token);
  } catch (error) {
    if (!(error instanceof TokenError)) throw refused('it is none', error);
    throw refused(WHY[error.code] ?? 'its signature is not that of the server’s key', error);
  }
}

/** What is wrong apart from the signature. */
const WHY: Readonly<Record<string, string>> = {
  [TokenError.codes.expired]: 'it has expired',
  [TokenError.codes.inactive]: 'it is not valid yet',
  [TokenError.codes.malformed]: 'it is none',
  [TokenError.codes.invalidClaimType]: 'its claims are not as they should be',
};

function readClaims(payload: unknown) {
  if (CLAIMS.Check(payload)) return payload;
  throw refused('its claims have to be `room`, a text or a list of them, and `exp`');
}

function listOf(claim: string | readonly string[]): readonly string[] {
  return typeof claim === 'string' ? [claim] : claim;
}

function parseKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (error) {
    throw new RangeError('its key cannot be read', { cause: error });
  }
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Algorithm[] {
  if (asymmetricKeyType === 'ed25519') return ['EdDSA'];
  if (asymmetricKeyType === 'rsa') return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
  const curve = CURVES[asymmetricKeyDetails?.namedCurve ?? ''];
  if (curve === undefined) throw new RangeError('it takes an RSA, P-256, P-384, P-521 or Ed25519 key');
  return [curve];
}

const CURVES: Readonly<Record<string, Algorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

function refused(detail: string, cause?: unknown): NatprobeError {
  return new NatprobeError('ERR_ROOM_TOKEN', 'roomToken', detail, { cause });
}
