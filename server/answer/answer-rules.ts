/**
 * How large an answer may be: one written rule per kind of request. UDP sources can be forged, so
 * what a request draws, all datagrams together, is what a stranger can aim at somebody else.
 * The core keeps to these; the fuzz holds each answer against them.
 */
import type { Family } from '../../shared/endpoint.ts';
import { HEADER_LENGTH } from '../../shared/stun/registry.ts';

/** The kinds of requests that draw an answer; all else draws none. */
export const ANSWER_KINDS = [
  'binding',
  'change',
  'response-port',
  'padding',
  'receipt',
  'witness',
  'bad-request',
  'malformed',
  'unknown-attribute',
  'unsupported',
] as const;
export type AnswerKind = (typeof ANSWER_KINDS)[number];

/** What a rule needs to know of a request. */
export interface RequestFacts {
  readonly bytes: number;
  readonly family: Family;
  /** With the magic cookie; otherwise RFC 3489. */
  readonly modern: boolean;
  readonly fingerprint: boolean;
  /** SERVICE was asked for, with filler of at least its answer's size, and there is one to name. */
  readonly service: boolean;
  /** Distinct comprehension-required attributes that the server refuses. */
  readonly refusedAttributes: number;
}

export interface AnswerRule {
  readonly kind: AnswerKind;
  /** Which requests it is for. */
  readonly request: string;
  /** The limit in words. */
  readonly limit: string;
  /** The most bytes that all datagrams drawn by such a request may have together. */
  maxBytes(request: RequestFacts): number;
}

/** UNKNOWN-ATTRIBUTES names no more than the first 32: enough for any honest client. */
export const MAX_UNKNOWN_ATTRIBUTES = 32;

/** FINGERPRINT, SERVICE: bytes in the answer, and never more than they had in the request. */
const FINGERPRINT_BYTES = 8;
const SERVICE_BYTES = 8;
/** ERROR-CODE 400 with its phrase, and 420 with its own. */
const BAD_REQUEST_BYTES = 20;
const UNKNOWN_ATTRIBUTE_BYTES = 28;

export const ANSWER_RULES: readonly AnswerRule[] = [
  {
    kind: 'binding',
    request: 'Binding request that asks for nothing more',
    limit: 'header, 4 addresses (RFC 3489: 3), FINGERPRINT and SERVICE if the request had them',
    maxBytes: successBytes,
  },
  {
    kind: 'change',
    request: 'CHANGE-REQUEST with a flag set',
    limit: 'as for binding',
    maxBytes: successBytes,
  },
  {
    kind: 'response-port',
    request: 'RESPONSE-PORT',
    limit: 'as for binding',
    maxBytes: successBytes,
  },
  {
    kind: 'padding',
    request: 'PADDING that leaves room for PADDING in the answer',
    limit: 'the size of the request',
    maxBytes: (request) => request.bytes,
  },
  {
    kind: 'receipt',
    request: 'RECEIPT-REQUEST with CHANGE-REQUEST or RESPONSE-PORT, and filler enough',
    limit: 'response and receipt together: the size of the request',
    maxBytes: (request) => request.bytes,
  },
  {
    kind: 'witness',
    request: 'WITNESS that asks for one, and filler enough',
    limit: 'the size of the request',
    maxBytes: (request) => request.bytes,
  },
  {
    kind: 'bad-request',
    request: 'a known attribute with a wrong length or value',
    limit: 'header, ERROR-CODE 400, FINGERPRINT if the request had one',
    maxBytes: (request) => HEADER_LENGTH + BAD_REQUEST_BYTES + fingerprintBytes(request),
  },
  {
    kind: 'malformed',
    request: 'attributes that run past the end',
    limit: 'the size of the request; shorter requests draw nothing',
    maxBytes: (request) =>
      request.bytes < HEADER_LENGTH + BAD_REQUEST_BYTES ? 0 : HEADER_LENGTH + BAD_REQUEST_BYTES,
  },
  {
    kind: 'unknown-attribute',
    request: 'unknown comprehension-required attributes, RESPONSE-ADDRESS among them',
    limit: 'header, ERROR-CODE 420, the first 32 unknown types, FINGERPRINT if the request had one',
    maxBytes: refusalBytes,
  },
  {
    kind: 'unsupported',
    request: 'CHANGE-REQUEST without a second address; CHANGE-REQUEST or RESPONSE-PORT over TCP',
    limit: 'header, ERROR-CODE 420, the refused types, FINGERPRINT if the request had one',
    maxBytes: refusalBytes,
  },
];

/** Bytes of one address attribute: type and length, then RFC 8489 §14.1. */
export function addressAttributeBytes(family: Family): number {
  return family === 'ipv4' ? 12 : 24;
}

/** Bytes of a receipt: header, RECEIPT (an address and a delay), XOR-MAPPED-ADDRESS. */
export function receiptBytes(family: Family, fingerprint: boolean): number {
  return HEADER_LENGTH + 2 * addressAttributeBytes(family) + 4 + (fingerprint ? FINGERPRINT_BYTES : 0);
}

function successBytes(request: RequestFacts): number {
  const addresses = request.modern ? 4 : 3;
  return (
    HEADER_LENGTH +
    addresses * addressAttributeBytes(request.family) +
    fingerprintBytes(request) +
    (request.service ? SERVICE_BYTES : 0)
  );
}

function refusalBytes(request: RequestFacts): number {
  const types = Math.min(request.refusedAttributes, MAX_UNKNOWN_ATTRIBUTES);
  return HEADER_LENGTH + UNKNOWN_ATTRIBUTE_BYTES + 4 + 4 * Math.ceil(types / 2) + fingerprintBytes(request);
}

function fingerprintBytes(request: RequestFacts): number {
  return request.fingerprint ? FINGERPRINT_BYTES : 0;
}
