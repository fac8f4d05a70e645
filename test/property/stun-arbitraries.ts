/** Random messages for the property tests: every attribute with every value that it can carry. */
import fc from 'fast-check';
import { formatIpv4, formatIpv6 } from '../../shared/address.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import {
  ALTERNATE_SERVER,
  CHANGED_ADDRESS,
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  REFLECTED_FROM,
  RESPONSE_ADDRESS,
  RESPONSE_ORIGIN,
  SOURCE_ADDRESS,
  XOR_MAPPED_ADDRESS,
  XOR_PEER_ADDRESS,
  XOR_RELAYED_ADDRESS,
} from '../../shared/stun/attributes/address.ts';
import type { Attribute, AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../shared/stun/attributes/behaviour.ts';
import {
  PASSWORD_ALGORITHM,
  PASSWORD_ALGORITHMS,
  USERHASH,
} from '../../shared/stun/attributes/credential.ts';
import { DIAL_BACK, DIAL_ORIGINS, DIAL_OUTCOMES } from '../../shared/stun/attributes/dial-back.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../shared/stun/attributes/error.ts';
import {
  ICE_CONTROLLED,
  ICE_CONTROLLING,
  PRIORITY,
  USE_CANDIDATE,
} from '../../shared/stun/attributes/ice.ts';
import {
  RECEIPT,
  RECEIPT_REQUEST,
  SERVICE,
  WITNESS,
  WITNESS_PURPOSES,
} from '../../shared/stun/attributes/natprobe.ts';
import {
  ALTERNATE_DOMAIN,
  NONCE,
  PASSWORD,
  REALM,
  SOFTWARE,
  USERNAME,
} from '../../shared/stun/attributes/text.ts';
import {
  CHANNEL_NUMBER,
  CHANNELS,
  DATA,
  LIFETIME,
  REQUESTED_ADDRESS_FAMILY,
  REQUESTED_TRANSPORT,
} from '../../shared/stun/attributes/turn.ts';
import type { Integrity } from '../../shared/stun/integrity.ts';
import { transactionIdOf } from '../../shared/stun/message.ts';
import type { MessageToEncode } from '../../shared/stun/message.ts';
import { MESSAGE_CLASSES } from '../../shared/stun/registry.ts';

/** An attribute with a value, and the value apart, to be compared with what is read back. */
export interface AttributeCase {
  readonly attribute: Attribute<unknown>;
  readonly value: unknown;
  readonly encodable: AttributeValue;
}

/** A message to encode, and what was put into it. */
export interface MessageCase {
  readonly toEncode: MessageToEncode;
  readonly cases: readonly AttributeCase[];
}

const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

const port = fc.integer({ min: 0, max: 0xffff });
const address = fc.oneof(
  bytes(4).map((value) => formatIpv4(value, 0)),
  bytes(16).map((value) => formatIpv6(value, 0)),
);
const endpoint: fc.Arbitrary<Endpoint> = fc.record({ address, port });
const fillerLength = fc.integer({ min: 0, max: 100 });
const passwordAlgorithm = fc.record({
  algorithm: fc.integer({ min: 0, max: 0xffff }),
  parameters: bytes(0, 9),
});

/** Well-formed text of at most 127 code points, of all planes. */
const text = fc.string({ unit: 'binary', maxLength: 127 });
/** As RFC 3489 has it: a multiple of four bytes. */
const alignedText = fc.string({ unit: 'binary-ascii', maxLength: 31 }).map((part) => part.repeat(4));

function attributeCase<T>(attribute: Attribute<T>, values: fc.Arbitrary<T>): fc.Arbitrary<AttributeCase> {
  return values.map((value) => ({ attribute, value, encodable: attribute.of(value) }));
}

function attributeCases(modern: boolean): fc.Arbitrary<AttributeCase>[] {
  const credential = modern ? text : alignedText;
  // RFC 3489 pads the reason with spaces, so one that ends in a space can't come back as it was.
  const reason = modern ? text : text.map((phrase) => phrase.replace(/ +$/, ''));
  return [
    ...[
      MAPPED_ADDRESS,
      XOR_MAPPED_ADDRESS,
      SOURCE_ADDRESS,
      CHANGED_ADDRESS,
      RESPONSE_ADDRESS,
      REFLECTED_FROM,
      OTHER_ADDRESS,
      RESPONSE_ORIGIN,
      ALTERNATE_SERVER,
      XOR_PEER_ADDRESS,
      XOR_RELAYED_ADDRESS,
    ].map((attribute) => attributeCase(attribute, endpoint)),
    attributeCase(CHANGE_REQUEST, fc.record({ address: fc.boolean(), port: fc.boolean() })),
    attributeCase(RESPONSE_PORT, port),
    attributeCase(PADDING, fillerLength),
    attributeCase(ERROR_CODE, fc.record({ code: fc.integer({ min: 100, max: 699 }), reason })),
    attributeCase(UNKNOWN_ATTRIBUTES, fc.uniqueArray(fc.integer({ min: 0, max: 0xffff }), { maxLength: 9 })),
    ...[USERNAME, PASSWORD, REALM, NONCE, SOFTWARE].map((attribute) => attributeCase(attribute, credential)),
    attributeCase(ALTERNATE_DOMAIN, alignedText),
    attributeCase(USERHASH, bytes(32)),
    attributeCase(PASSWORD_ALGORITHM, passwordAlgorithm),
    attributeCase(PASSWORD_ALGORITHMS, fc.array(passwordAlgorithm, { maxLength: 4 })),
    attributeCase(PRIORITY, fc.integer({ min: 0, max: 0xffffffff })),
    attributeCase(USE_CANDIDATE, fc.constant(true as const)),
    attributeCase(ICE_CONTROLLED, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
    attributeCase(ICE_CONTROLLING, fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
    attributeCase(LIFETIME, fc.integer({ min: 0, max: 0xffffffff })),
    attributeCase(CHANNEL_NUMBER, fc.integer({ min: CHANNELS.first, max: CHANNELS.last })),
    attributeCase(DATA, bytes(0, 99)),
    attributeCase(REQUESTED_TRANSPORT, fc.integer({ min: 0, max: 0xff })),
    attributeCase(REQUESTED_ADDRESS_FAMILY, fc.constantFrom('ipv4' as const, 'ipv6' as const)),
    attributeCase(RECEIPT_REQUEST, fillerLength),
    attributeCase(
      RECEIPT,
      fc.record({ sentFrom: endpoint, relayDelayMs: fc.integer({ min: 0, max: 0xffffffff }) }),
    ),
    attributeCase(
      WITNESS,
      fc.oneof(
        fc.record({
          kind: fc.constant('asked' as const),
          purpose: fc.constantFrom(...WITNESS_PURPOSES),
          nonce: bytes(0, 255),
          fillerLength,
        }),
        fc.record({
          kind: fc.constant('given' as const),
          keyId: fc.integer({ min: 0, max: 0xffff }),
          madeAtMs: fc.maxSafeNat(),
          mac: bytes(32),
        }),
      ),
    ),
    attributeCase(
      SERVICE,
      fc.oneof(
        fc.constant({ kind: 'asked' as const }),
        fc.record({
          kind: fc.constant('given' as const),
          scheme: fc.constantFrom('http' as const, 'https' as const),
          port: fc.integer({ min: 1, max: 0xffff }),
        }),
      ),
    ),
    attributeCase(
      DIAL_BACK,
      fc.oneof(
        fc.record({
          kind: fc.constantFrom('asked' as const, 'dialling' as const),
          origin: fc.constantFrom(...DIAL_ORIGINS),
          timeoutMs: fc.integer({ min: 0, max: 0xffff }),
        }),
        fc.record(
          {
            kind: fc.constant('ended' as const),
            outcome: fc.constantFrom(...DIAL_OUTCOMES),
            tookMs: fc.integer({ min: 0, max: 0xffff }),
            dialledFrom: endpoint,
          },
          { requiredKeys: ['kind', 'outcome', 'tookMs'] },
        ),
      ),
    ),
  ];
}

function integrity(modern: boolean): fc.Arbitrary<Integrity | undefined> {
  const algorithms = modern ? (['sha1', 'sha256'] as const) : (['sha1'] as const);
  return fc.option(fc.record({ algorithm: fc.constantFrom(...algorithms), key: bytes(1, 80) }), {
    nil: undefined,
  });
}

function messageCase(modern: boolean): fc.Arbitrary<MessageCase> {
  return fc
    .record({
      class: fc.constantFrom(...MESSAGE_CLASSES),
      method: fc.integer({ min: 0, max: 0xfff }),
      // A leading zero keeps an RFC 3489 id from beginning with the magic cookie.
      id: modern ? bytes(12) : bytes(15).map((rest) => Uint8Array.of(0, ...rest)),
      cases: fc.uniqueArray(fc.oneof(...attributeCases(modern)), {
        selector: ({ attribute }) => attribute.type,
        maxLength: 8,
      }),
      integrity: integrity(modern),
      fingerprint: modern ? fc.boolean() : fc.constant(false),
    })
    .map(({ id, cases, integrity: chosen, ...rest }) => ({
      toEncode: {
        ...rest,
        transactionId: transactionIdOf(id),
        attributes: cases.map(({ encodable }) => encodable),
        ...(chosen === undefined ? {} : { integrity: chosen }),
      },
      cases,
    }));
}

/** Any message that encodeMessage can make, in either dialect. */
export const anyMessage: fc.Arbitrary<MessageCase> = fc.oneof(messageCase(true), messageCase(false));

/** Each attribute alone, in the modern dialect. */
export const everyAttribute: readonly fc.Arbitrary<AttributeCase>[] = attributeCases(true);

/** One edit of a message's bytes. */
export type Mutation =
  | { readonly kind: 'set'; readonly at: number; readonly value: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'append'; readonly bytes: Uint8Array }
  | { readonly kind: 'remove'; readonly at: number; readonly length: number }
  /** Makes the length field right again, so that the attributes are looked at. */
  | { readonly kind: 'fix-length' };

// Positions are shares of the message's length, so that they fit any.
const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });

export const anyMutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({
    kind: fc.constant('set' as const),
    at: position,
    value: fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0x20, 0x28, 0x80, 0xff)),
  }),
  fc.record({ kind: fc.constant('cut' as const), at: position }),
  fc.record({ kind: fc.constant('append' as const), bytes: bytes(1, 12) }),
  fc.record({ kind: fc.constant('remove' as const), at: position, length: fc.integer({ min: 1, max: 8 }) }),
  fc.constant({ kind: 'fix-length' as const }),
);

/** The bytes after the edits. */
export function mutate(message: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  let result = Buffer.from(message);
  for (const mutation of mutations) {
    switch (mutation.kind) {
      case 'set':
        if (result.length > 0) result[Math.floor(mutation.at * result.length)] = mutation.value;
        break;
      case 'cut':
        result = result.subarray(0, Math.floor(mutation.at * result.length));
        break;
      case 'append':
        result = Buffer.concat([result, mutation.bytes]);
        break;
      case 'remove': {
        const at = Math.floor(mutation.at * result.length);
        result = Buffer.concat([result.subarray(0, at), result.subarray(at + mutation.length)]);
        break;
      }
      case 'fix-length':
        if (result.length >= 20) result.writeUInt16BE(result.length - 20, 2);
        break;
    }
  }
  return Uint8Array.from(result);
}
