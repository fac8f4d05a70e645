/** Whole messages, for whoever may allocate: built on the cursor and the writer, so there is one codec. */
import type { Attribute, AttributeValue } from './attributes/attribute.ts';
import { MessageCursor, readU32 } from './cursor.ts';
import { writeIntegrity } from './integrity.ts';
import type { Integrity } from './integrity.ts';
import { HEADER_LENGTH, MAGIC_COOKIE, MESSAGE_CLASSES, METHOD, messageType } from './registry.ts';
import type { MessageClass, MessageClassNumber } from './registry.ts';
import { MessageWriter } from './writer.ts';

/** Lower-case hexadecimal: 24 digits, or 32 for RFC 3489 messages, which have no magic cookie. */
export type TransactionId = string & { readonly brand: 'TransactionId' };

/** An attribute as it stands in a message: its value without the padding. */
export interface RawAttribute {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface StunMessage {
  readonly class: MessageClass;
  readonly method: number;
  /** Whether the magic cookie is there (RFC 5389 and later), as against RFC 3489. */
  readonly modern: boolean;
  readonly transactionId: TransactionId;
  /** In order, without those that RFC 8489 §14.5 has a receiver ignore. */
  readonly attributes: readonly RawAttribute[];
  /** The message itself; the attributes' values are views of it. */
  readonly bytes: Uint8Array;
}

export type DecodedMessage =
  | { readonly kind: 'message'; readonly message: StunMessage }
  /** A STUN header whose attributes don't parse: a request is answered with 400. */
  | {
      readonly kind: 'malformed';
      readonly class: MessageClass;
      readonly method: number;
      readonly transactionId: TransactionId;
      readonly reason: string;
    }
  | { readonly kind: 'not-stun'; readonly reason: string };

/** What encodeMessage makes a message of. */
export interface MessageToEncode {
  readonly class: MessageClass;
  /** Binding if left out. */
  readonly method?: number;
  /** Its length decides the dialect. */
  readonly transactionId: TransactionId;
  readonly attributes: readonly AttributeValue[];
  /** Adds MESSAGE-INTEGRITY or -SHA256 after the attributes. */
  readonly integrity?: Integrity;
  /** Adds FINGERPRINT at the end; RFC 5389 and later only. */
  readonly fingerprint?: boolean;
}

/**
 * Decodes one whole datagram (or one message of a stream). Never throws. The result keeps views of
 * `bytes`, which must not be reused while it lives.
 */
export function decodeMessage(bytes: Uint8Array): DecodedMessage {
  const verdict = cursor.reset(bytes, 0, bytes.length);
  if (verdict === 'not-stun') return NOT_STUN;
  const transactionId = cursor.modern ? hexId(bytes, 8) : hexId(bytes, 4);
  const messageClass = MESSAGE_CLASSES[cursor.messageClass];
  const { method, modern } = cursor;
  if (verdict === 'malformed') {
    return { kind: verdict, class: messageClass, method, transactionId, reason: ATTRIBUTE_PAST_THE_END };
  }
  const attributes: RawAttribute[] = [];
  while (cursor.next()) {
    const { attributeType, valueOffset, valueLength } = cursor;
    attributes.push({ type: attributeType, value: bytes.subarray(valueOffset, valueOffset + valueLength) });
  }
  return {
    kind: verdict,
    message: { class: messageClass, method, modern, transactionId, attributes, bytes },
  };
}

/**
 * Encodes a message. Throws RangeError for what can't be: more than the 16-bit length field says, text
 * that is no transaction id, FINGERPRINT or -SHA256 in an RFC 3489 message.
 */
export function encodeMessage(message: MessageToEncode): Uint8Array {
  const messageClass = MESSAGE_CLASSES.indexOf(message.class) as MessageClassNumber;
  placeTransactionId(message.transactionId);
  writer.begin(messageType(messageClass, message.method ?? METHOD.BINDING), scratch, 0);
  for (const attribute of message.attributes) attribute.encode(writer);
  if (message.integrity !== undefined) writeIntegrity(writer, message.integrity);
  if (message.fingerprint === true) {
    if (!writer.modern) throw new RangeError('RFC 3489 messages have no FINGERPRINT');
    writer.fingerprint();
  }
  return new Uint8Array(scratch.subarray(0, writer.end()));
}

/** The first such attribute of the message (RFC 8489 §14), or undefined if it is absent or malformed. */
export function readAttribute<T>(message: StunMessage, attribute: Attribute<T>): T | undefined {
  for (const { type, value } of message.attributes) {
    if (type === attribute.type) return attribute.decode(value, message);
  }
  return undefined;
}

/** Whether the message carries the attribute, well-formed or not. */
export function hasAttribute(message: StunMessage, attributeType: number): boolean {
  return message.attributes.some(({ type }) => type === attributeType);
}

/**
 * The transaction id of these random bytes: 12, or 16 for an RFC 3489 message. Throws RangeError
 * for another length, and for 16 bytes that begin with the magic cookie, which would not be RFC 3489's.
 */
export function transactionIdOf(random: Uint8Array): TransactionId {
  if (random.length !== 12 && random.length !== 16) {
    throw new RangeError(`a transaction id of ${random.length} bytes`);
  }
  if (random.length === 16 && readU32(random, 0) === MAGIC_COOKIE) {
    throw new RangeError('an RFC 3489 transaction id that begins with the magic cookie');
  }
  return Buffer.from(random).toString('hex') as TransactionId;
}

const LONGEST_MESSAGE = HEADER_LENGTH + 0xffff;
const ATTRIBUTE_PAST_THE_END = 'an attribute runs past the end of the message';
const NOT_STUN: DecodedMessage = {
  kind: 'not-stun',
  reason: 'too short, no STUN header, a wrong length field or a wrong FINGERPRINT',
};

const cursor = new MessageCursor();
const scratch = Buffer.alloc(LONGEST_MESSAGE);
const writer = new MessageWriter(scratch);
const idBytes = Buffer.alloc(16);

/** Puts the transaction id, and the cookie before a short one, where the message's header has them. */
function placeTransactionId(id: TransactionId): void {
  const modern = id.length === 24;
  const written = scratch.write(id, modern ? 8 : 4, 'hex');
  if (written !== (modern ? 12 : 16)) throw new RangeError(`not a transaction id: ${JSON.stringify(id)}`);
  if (modern) scratch.writeUInt32BE(MAGIC_COOKIE, 4);
}

/** The transaction id from `offset` to the header's end. */
function hexId(bytes: Uint8Array, offset: number): TransactionId {
  const length = HEADER_LENGTH - offset;
  for (let i = 0; i < length; i += 1) idBytes[i] = bytes[offset + i]!;
  return idBytes.toString('hex', 0, length) as TransactionId;
}
