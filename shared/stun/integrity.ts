/** MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256, and the keys for them (RFC 8489 §9, §14.5, §14.6). */
import { createHash, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { ATTRIBUTE, HEADER_LENGTH } from './registry.ts';
import type { StunMessage } from './message.ts';
import type { MessageWriter } from './writer.ts';

export type IntegrityAlgorithm = 'sha1' | 'sha256';

/** With what a message is to be authenticated. */
export interface Integrity {
  readonly algorithm: IntegrityAlgorithm;
  readonly key: Uint8Array;
}

const INTEGRITY = {
  sha1: { type: ATTRIBUTE.MESSAGE_INTEGRITY, length: 20 },
  sha256: { type: ATTRIBUTE.MESSAGE_INTEGRITY_SHA256, length: 32 },
} as const;

/** RFC 8489 §14.6: the least that -SHA256 may be cut to. */
const SHORTEST_SHA256 = 16;

/** RFC 3489 §11.2.8 has the HMAC's input filled with zeros to a multiple of this. */
const RFC3489_BLOCK = 64;

/** The key of the short-term credential mechanism (RFC 8489 §9.1.1). Throws RangeError as opaqueString. */
export function shortTermKey(password: string): Uint8Array {
  return Buffer.from(opaqueString(password));
}

/**
 * The key of the long-term credential mechanism (RFC 8489 §9.2.2, §18.5.1): a hash of username, realm
 * and password. Throws RangeError as opaqueString.
 */
export function longTermKey(
  username: string,
  realm: string,
  password: string,
  algorithm: 'md5' | 'sha256',
): Uint8Array {
  const parts = [opaqueString(username), opaqueString(realm), opaqueString(password)];
  return createHash(algorithm).update(parts.join(':')).digest();
}

/** The value of USERHASH (RFC 8489 §14.4). Throws RangeError as opaqueString. */
export function userHash(username: string, realm: string): Uint8Array {
  return createHash('sha256')
    .update(`${opaqueString(username)}:${opaqueString(realm)}`)
    .digest();
}

/**
 * Text as the OpaqueString profile prepares it (RFC 8265 §4.2): other spaces become U+0020, then
 * Unicode NFC. Throws RangeError for empty text and for what the profile disallows. RFC 5389's
 * SASLprep also maps compatibility characters, which is left to whoever still has such passwords.
 */
export function opaqueString(text: string): string {
  const prepared = text.replace(/\p{Zs}/gu, ' ').normalize('NFC');
  if (prepared === '') throw new RangeError('an empty user name, realm or password');
  if (DISALLOWED.test(prepared))
    throw new RangeError('a control or invisible character in a user name, realm or password');
  return prepared;
}

// RFC 8264 §4.3.3: controls, ignorable and unassigned code points, old Hangul conjoining jamo.
const DISALLOWED =
  /[\p{Cc}\p{Cs}\p{Cn}\p{Default_Ignorable_Code_Point}\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]/u;

/** Appends the integrity attribute to the message being written. Throws RangeError for -SHA256 in an RFC 3489 message. */
export function writeIntegrity(writer: MessageWriter, { algorithm, key }: Integrity): void {
  if (!writer.modern && algorithm !== 'sha1') throw new RangeError('RFC 3489 messages know HMAC-SHA1 alone');
  const { type, length } = INTEGRITY[algorithm];
  const offset = writer.open(type, length);
  writer.writeLengthField();
  const mac = hmac(algorithm, key, writer.buffer, offset - 4, length, writer.modern);
  writer.buffer.set(mac, offset);
}

/** What the integrity attribute of a message says under a key. */
export type IntegrityVerdict = 'valid' | 'invalid' | 'absent';

/** Checks the message's integrity attribute of that algorithm, in constant time where it has the right length. */
export function verifyIntegrity(message: StunMessage, { algorithm, key }: Integrity): IntegrityVerdict {
  const { type, length } = INTEGRITY[algorithm];
  const attribute = message.attributes.find((candidate) => candidate.type === type);
  if (attribute === undefined || (algorithm === 'sha256' && !message.modern)) return 'absent';
  const { value } = attribute;
  const shortest = algorithm === 'sha256' ? SHORTEST_SHA256 : length;
  if (value.length < shortest || value.length > length || value.length % 4 !== 0) return 'invalid';
  const attributeOffset = value.byteOffset - message.bytes.byteOffset - 4;
  const mac = hmac(algorithm, key, message.bytes, attributeOffset, value.length, message.modern);
  return timingSafeEqual(mac, value) ? 'valid' : 'invalid';
}

/** The HMAC over all before the integrity attribute, with a length field that ends at that attribute. */
function hmac(
  algorithm: IntegrityAlgorithm,
  key: Uint8Array,
  bytes: Uint8Array,
  attributeOffset: number,
  valueLength: number,
  modern: boolean,
): Uint8Array {
  const header = Buffer.from(bytes.subarray(0, HEADER_LENGTH));
  header.writeUInt16BE(attributeOffset - HEADER_LENGTH + 4 + valueLength, 2);
  // With the bytes themselves Node takes four times as long to look at the key.
  const mac = createHmac(algorithm, createSecretKey(key))
    .update(header)
    .update(bytes.subarray(HEADER_LENGTH, attributeOffset));
  if (!modern) mac.update(new Uint8Array(-attributeOffset & (RFC3489_BLOCK - 1)));
  return mac.digest().subarray(0, valueLength);
}
