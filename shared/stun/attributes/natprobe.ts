/**
 * natprobe's own attributes: comprehension-optional and unregistered. Other implementations ignore
 * them; each request form is filled up so that its answer form is never longer.
 */
import type { Endpoint } from '../../endpoint.ts';
import { readU32 } from '../cursor.ts';
import { ATTRIBUTE, SERVICE_LENGTH, SERVICE_SCHEME_NUMBERS } from '../registry.ts';
import { packEndpoint, unpackXorEndpoint } from './address.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';

/** Asks for a receipt, and carries this many bytes of filling to be as long as what it draws. */
export const RECEIPT_REQUEST = defineAttribute<number>(ATTRIBUTE.RECEIPT_REQUEST, {
  check: (length) => checkWholeNumber('a filler length of', length, 0, 0xffff),
  encode: (writer, length) => writer.filler(ATTRIBUTE.RECEIPT_REQUEST, length),
  decode: (value) => value.length,
});

/** The server's word that it has just sent the response. */
export interface Receipt {
  readonly sentFrom: Endpoint;
  /** What a relay between paired hosts may add to the response's way, in milliseconds. */
  readonly relayDelayMs: number;
}

/** The endpoint as in XOR-MAPPED-ADDRESS, then the delay in 32 bits. */
export const RECEIPT = defineAttribute<Receipt>(ATTRIBUTE.RECEIPT, {
  check: ({ relayDelayMs }) => checkWholeNumber('relayDelayMs', relayDelayMs, 0, 0xffffffff),
  encode: (writer, { sentFrom, relayDelayMs }) => {
    writer.receipt(packEndpoint(sentFrom, packed), packed, 0, sentFrom.port, relayDelayMs);
  },
  decode: (value, message) => {
    const addressLength = value.length - 4;
    const sentFrom = unpackXorEndpoint(value, addressLength, message.bytes);
    return sentFrom && { sentFrom, relayDelayMs: readU32(value, addressLength) };
  },
});

/** What a witness is asked for; its HMAC covers it. */
export const WITNESS_PURPOSES = ['broker', 'report'] as const;
export type WitnessPurpose = (typeof WITNESS_PURPOSES)[number];

export type Witness =
  | {
      /** In a request: for what, under which nonce of the asking session (at most 255 bytes), and filling. */
      readonly kind: 'asked';
      readonly purpose: WitnessPurpose;
      readonly nonce: Uint8Array;
      readonly fillerLength: number;
    }
  | {
      /** In a response: which key made the HMAC (32 bytes), and when, in milliseconds since 1970. */
      readonly kind: 'given';
      readonly keyId: number;
      readonly madeAtMs: number;
      readonly mac: Uint8Array;
    };

/** Length of the answer form: form and padding, key id (16 bits), time (64 bits), HMAC-SHA-256. */
export const WITNESS_GIVEN_LENGTH = 44;

/**
 * Asked: a zero byte, the purpose's place in WITNESS_PURPOSES counted from 1, the nonce's length,
 * a zero byte, the nonce, zeros. Given: see WITNESS_GIVEN_LENGTH; the first byte is 1.
 */
export const WITNESS = defineAttribute<Witness>(ATTRIBUTE.WITNESS, {
  check: (witness) => {
    if (witness.kind === 'asked') {
      checkWholeNumber('a nonce length of', witness.nonce.length, 0, 255);
      checkWholeNumber('a filler length of', witness.fillerLength, 0, 0xff00);
    } else {
      checkWholeNumber('key id', witness.keyId, 0, 0xffff);
      checkWholeNumber('madeAtMs', witness.madeAtMs, 0, Number.MAX_SAFE_INTEGER);
      checkWholeNumber('a mac length of', witness.mac.length, 32, 32);
    }
  },
  encode: (writer, witness) => {
    const bytes = witness.kind === 'asked' ? encodeAsked(witness) : encodeGiven(witness);
    writer.bytes(ATTRIBUTE.WITNESS, bytes, 0, bytes.length);
  },
  decode: decodeWitness,
});

/** The witness in this value of the attribute, or undefined if it is none. */
export function decodeWitness(value: Uint8Array): Witness | undefined {
  if (value.length < 4) return undefined;
  if (value[0] === WITNESS_ASKED) return decodeAsked(value);
  if (value[0] === WITNESS_GIVEN) return decodeGiven(value);
  return undefined;
}

/** Where the server's HTTP API is: on the STUN address's host, at this scheme and port. */
export type Service =
  | { readonly kind: 'asked' }
  | { readonly kind: 'given'; readonly scheme: 'http' | 'https'; readonly port: number };

/** Asked: four zero bytes. Given: the scheme's number and the port, 16 bits each. */
export const SERVICE = defineAttribute<Service>(ATTRIBUTE.SERVICE, {
  check: (service) => {
    if (service.kind === 'given') checkWholeNumber('port', service.port, 1, 0xffff);
  },
  encode: (writer, service) => {
    if (service.kind === 'asked') writer.filler(ATTRIBUTE.SERVICE, SERVICE_LENGTH);
    else writer.u16Pair(ATTRIBUTE.SERVICE, SERVICE_SCHEME_NUMBERS[service.scheme], service.port);
  },
  decode: (value) => {
    if (value.length !== SERVICE_LENGTH) return undefined;
    const schemeNumber = (value[0]! << 8) | value[1]!;
    const port = (value[2]! << 8) | value[3]!;
    if (schemeNumber === 0 && port === 0) return { kind: 'asked' };
    if (port === 0) return undefined;
    if (schemeNumber === SERVICE_SCHEME_NUMBERS.http) return { kind: 'given', scheme: 'http', port };
    if (schemeNumber === SERVICE_SCHEME_NUMBERS.https) return { kind: 'given', scheme: 'https', port };
    return undefined;
  },
});

const WITNESS_ASKED = 0;
const WITNESS_GIVEN = 1;
const packed = new Uint8Array(16);

function encodeAsked(witness: Witness & { kind: 'asked' }): Uint8Array {
  const { purpose, nonce, fillerLength } = witness;
  const bytes = new Uint8Array(4 + nonce.length + fillerLength);
  bytes[0] = WITNESS_ASKED;
  bytes[1] = WITNESS_PURPOSES.indexOf(purpose) + 1;
  bytes[2] = nonce.length;
  bytes.set(nonce, 4);
  return bytes;
}

function decodeAsked(value: Uint8Array): Witness | undefined {
  const purpose = WITNESS_PURPOSES[value[1]! - 1];
  const nonceEnd = 4 + value[2]!;
  if (purpose === undefined || nonceEnd > value.length) return undefined;
  return {
    kind: 'asked',
    purpose,
    nonce: value.subarray(4, nonceEnd),
    fillerLength: value.length - nonceEnd,
  };
}

function encodeGiven(witness: Witness & { kind: 'given' }): Uint8Array {
  const bytes = Buffer.alloc(WITNESS_GIVEN_LENGTH);
  bytes[0] = WITNESS_GIVEN;
  bytes.writeUInt16BE(witness.keyId, 2);
  bytes.writeBigUInt64BE(BigInt(witness.madeAtMs), 4);
  bytes.set(witness.mac, 12);
  return bytes;
}

function decodeGiven(value: Uint8Array): Witness | undefined {
  if (value.length !== WITNESS_GIVEN_LENGTH) return undefined;
  const madeAtMs = readU32(value, 4) * 2 ** 32 + readU32(value, 8);
  if (madeAtMs > Number.MAX_SAFE_INTEGER) return undefined;
  return { kind: 'given', keyId: (value[2]! << 8) | value[3]!, madeAtMs, mac: value.subarray(12) };
}
