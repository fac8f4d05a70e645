/** The key of a punch: agreed between the two peers by what the broker passes on, and not known to it. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { NatprobeError } from '../../shared/errors.ts';

/** Random bytes that keyPairOf takes. */
export const PRIVATE_KEY_BYTES = 32;
const KEY_BYTES = 32;

/** An X25519 key pair (RFC 7748). */
export interface KeyPair {
  /** In base64url, as the broker passes it on. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

export interface Agreement {
  readonly own: KeyPair;
  /** As the plan has it. */
  readonly peerPublicKey: string;
  /** Of the plan: no two punches of the same two peers have one key. */
  readonly introduction: number;
  /** A secret that the two people have told each other: a broker that swaps keys doesn't know it. */
  readonly psk?: string;
}

/** The pair whose private key is made of these random bytes. */
export function keyPairOf(random: Uint8Array): KeyPair {
  if (random.length !== PRIVATE_KEY_BYTES) throw new RangeError(`a private key of ${random.length} bytes`);
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_X25519, random]),
    format: 'der',
    type: 'pkcs8',
  });
  return { publicKey: createPublicKey(privateKey).export({ format: 'jwk' }).x!, privateKey };
}

/**
 * 32 bytes that both ends come to, and nobody else (HKDF-SHA256, RFC 5869). Another key of either or
 * another `psk` gives another result, and so no check of the peer is authentic. Throws ERR_PEER_KEY.
 */
export function agreeKey({ own, peerPublicKey, introduction, psk }: Agreement): Uint8Array {
  const secret = sharedSecret(own.privateKey, peerPublicKey);
  const salt = psk === undefined ? '' : createHash('sha256').update(psk.normalize('NFC')).digest();
  const info = ['natprobe punch', ...[own.publicKey, peerPublicKey].sort(), introduction].join(' ');
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, KEY_BYTES));
}

/** What stands before the 32 bytes of a private key in PKCS #8 (RFC 8410 §7). */
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex');

function sharedSecret(privateKey: KeyObject, peerPublicKey: string): Buffer {
  try {
    const key = { kty: 'OKP', crv: 'X25519', x: peerPublicKey };
    // OpenSSL refuses the points that give everybody the same secret (RFC 7748 §6.1).
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'jwk' }) });
  } catch (error) {
    throw new NatprobeError('ERR_PEER_KEY', 'public key', undefined, { cause: error });
  }
}
