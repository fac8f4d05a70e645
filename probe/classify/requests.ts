/** The classifier's STUN messages: what it sends and what it makes of what comes. */
import { type Endpoint, type Family, sameEndpoint } from '../../shared/endpoint.ts';
import type { ResponseReply } from '../../shared/nat/evidence.ts';
import type { AttributeValue } from '../../shared/stun/attributes/attribute.ts';
import {
  CHANGED_ADDRESS,
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  SOURCE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST, PADDING, RESPONSE_PORT } from '../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../shared/stun/attributes/error.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../shared/stun/attributes/natprobe.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  type StunMessage,
  type TransactionId,
} from '../../shared/stun/message.ts';
import type { UnmatchedReply } from './evidence-log.ts';
import { asksForReceipt, type Request } from './request.ts';

/**
 * Filler that makes a request at least as long as the response and the receipt that it draws
 * together, so that the server honours it.
 */
const RECEIPT_FILLER_BYTES: Readonly<Record<Family, number>> = { ipv4: 120, ipv6: 200 };

/** Makes a plain request as long as what it draws: there are servers that send nobody more than that. */
const PLAIN_FILLER_BYTES: Readonly<Record<Family, number>> = { ipv4: 44, ipv6: 92 };

/** For a plain request, where RECEIPT-REQUEST asks for nothing; others than natprobed ignore it. */
export function plainFiller(family: Family): AttributeValue {
  return RECEIPT_REQUEST.of(PLAIN_FILLER_BYTES[family]);
}

/** The bytes of `request`; one that moves its response asks for a receipt too. `more` comes last. */
export function encodeBindingRequest(
  family: Family,
  transactionId: TransactionId,
  request: Pick<Request, 'change' | 'responsePort' | 'paddingBytes'>,
  more: readonly AttributeValue[] = [],
): Uint8Array {
  const { change, responsePort, paddingBytes } = request;
  const attributes: AttributeValue[] = [];
  if (change !== undefined) attributes.push(CHANGE_REQUEST.of(change));
  if (responsePort !== undefined) attributes.push(RESPONSE_PORT.of(responsePort));
  if (paddingBytes !== undefined) attributes.push(PADDING.of(paddingBytes));
  if (asksForReceipt(request)) attributes.push(RECEIPT_REQUEST.of(RECEIPT_FILLER_BYTES[family]));
  attributes.push(...more);
  return encodeMessage({ class: 'request', transactionId, attributes });
}

export interface DecodedReply {
  readonly transactionId: TransactionId;
  readonly reply: UnmatchedReply;
}

/** The transaction id of a Binding request, which only one's own other socket can have sent. */
export function decodeRequestId(bytes: Uint8Array): TransactionId | undefined {
  const decoded = decodeMessage(bytes);
  return decoded.kind === 'message' && decoded.message.class === 'request'
    ? decoded.message.transactionId
    : undefined;
}

/** Reads what a server sent; undefined for anything that is no reply to a Binding request. */
export function decodeReply(bytes: Uint8Array, from: Endpoint, atMs: number): DecodedReply | undefined {
  const decoded = decodeMessage(bytes);
  if (decoded.kind !== 'message') return undefined;
  const { message } = decoded;
  const reply = replyOf(message, bytes.length, from, atMs);
  return reply === undefined ? undefined : { transactionId: message.transactionId, reply };
}

function replyOf(
  message: StunMessage,
  bytes: number,
  from: Endpoint,
  atMs: number,
): UnmatchedReply | undefined {
  switch (message.class) {
    case 'success': {
      const xorMapped = readAttribute(message, XOR_MAPPED_ADDRESS);
      const plainMapped = readAttribute(message, MAPPED_ADDRESS);
      const mapped = xorMapped ?? plainMapped;
      if (mapped === undefined) return undefined;
      const origin = readAttribute(message, RESPONSE_ORIGIN) ?? readAttribute(message, SOURCE_ADDRESS);
      const other = readAttribute(message, OTHER_ADDRESS) ?? readAttribute(message, CHANGED_ADDRESS);
      const rewritten = plainMapped !== undefined && !sameEndpoint(plainMapped, mapped);
      return {
        kind: 'response',
        atMs,
        from,
        mapped,
        ...(rewritten ? { plainMapped } : {}),
        ...mappedIn(xorMapped, plainMapped),
        ...(readAttribute(message, PADDING) === undefined ? {} : { bytes }),
        ...(origin === undefined ? {} : { origin }),
        ...(other === undefined ? {} : { other }),
      };
    }
    case 'indication': {
      const receipt = readAttribute(message, RECEIPT);
      return receipt === undefined ? undefined : { kind: 'receipt', atMs, from, ...receipt };
    }
    case 'error': {
      const error = readAttribute(message, ERROR_CODE);
      const unknownAttributes = readAttribute(message, UNKNOWN_ATTRIBUTES) ?? [];
      return error === undefined
        ? undefined
        : { kind: 'error', atMs, from, code: error.code, unknownAttributes };
    }
    case 'request':
      return undefined;
  }
}

/** Which attribute alone carried the mapped address, if one alone did. */
function mappedIn(
  xorMapped: Endpoint | undefined,
  plainMapped: Endpoint | undefined,
): Pick<ResponseReply, 'mappedIn'> {
  if (xorMapped === undefined) return { mappedIn: 'mapped-address' };
  return plainMapped === undefined ? { mappedIn: 'xor-mapped-address' } : {};
}
