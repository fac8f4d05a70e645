import type { Endpoint } from '../../shared/endpoint.ts';
import { OTHER_ADDRESS } from '../../shared/stun/attributes/address.ts';
import { rawAttribute } from '../../shared/stun/attributes/attribute.ts';
import {
  decodeMessage,
  encodeMessage,
  type RawAttribute,
  type TransactionId,
} from '../../shared/stun/message.ts';
import { ATTRIBUTE, OWN_ATTRIBUTES } from '../../shared/stun/registry.ts';

/**
 * Whose server the answer core plays. All but natprobed's own know nothing of receipts.
 *
 * - `rfc5780`: OTHER-ADDRESS and CHANGE-REQUEST as they should be.
 * - `rfc3489`: no XOR-MAPPED-ADDRESS; SOURCE-ADDRESS and CHANGED-ADDRESS (the vovida server).
 * - `fixed-other-address`: names its second address even to who asks there (coturn; FIELD.md).
 * - `ignores-change-request`: names another address, and answers from the asked endpoint all the same.
 * - `ignores-response-port`: answers to where it was asked from; `refuses-response-port`: with 420.
 */
export type ServerKind =
  | 'natprobed'
  | 'rfc5780'
  | 'rfc3489'
  | 'fixed-other-address'
  | 'ignores-change-request'
  | 'ignores-response-port'
  | 'refuses-response-port';

/** In place of the magic cookie, so that the answer core takes a request for RFC 3489's. */
const CLASSIC_PREFIX = 'ffffffff';
/** Comprehension-required and assigned to nothing. */
const UNKNOWN_TYPE = 0x7ffe;

/** The request as the answer core must see it to answer as that server would. */
export function adaptRequest(kind: ServerKind, request: Uint8Array): Uint8Array {
  const decoded = decodeMessage(request);
  if (kind === 'natprobed' || decoded.kind !== 'message') return request;
  const { transactionId, attributes } = decoded.message;
  const ignored: number[] = [...OWN_ATTRIBUTES, ATTRIBUTE.FINGERPRINT];
  if (kind === 'ignores-change-request') ignored.push(ATTRIBUTE.CHANGE_REQUEST);
  if (kind === 'ignores-response-port') ignored.push(ATTRIBUTE.RESPONSE_PORT);
  const refused = kind === 'refuses-response-port' ? ATTRIBUTE.RESPONSE_PORT : undefined;
  return encodeMessage({
    class: decoded.message.class,
    method: decoded.message.method,
    transactionId:
      kind === 'rfc3489' ? (`${CLASSIC_PREFIX}${transactionId}` as TransactionId) : transactionId,
    attributes: copied(
      attributes.filter(({ type }) => !ignored.includes(type)),
      refused,
    ),
  });
}

/** The answer core's response as that server would send it; `second` is its alternate address and port. */
export function adaptResponse(
  kind: ServerKind,
  response: Uint8Array,
  second: Endpoint | undefined,
): Uint8Array {
  const decoded = decodeMessage(response);
  if (decoded.kind !== 'message') throw new Error('the answer core wrote something that is not STUN');
  const { class: messageClass, method, transactionId, attributes } = decoded.message;
  switch (kind) {
    case 'rfc3489':
      return encodeMessage({
        class: messageClass,
        method,
        transactionId: transactionId.slice(CLASSIC_PREFIX.length) as TransactionId,
        attributes: copied(attributes),
      });
    case 'fixed-other-address': {
      const others = attributes.filter(({ type }) => type !== ATTRIBUTE.OTHER_ADDRESS);
      const named = second === undefined ? [] : [OTHER_ADDRESS.of(second)];
      return encodeMessage({
        class: messageClass,
        method,
        transactionId,
        attributes: [...copied(others), ...named],
      });
    }
    case 'natprobed':
    case 'rfc5780':
    case 'ignores-change-request':
    case 'ignores-response-port':
    case 'refuses-response-port':
      return response;
  }
}

function copied(attributes: readonly RawAttribute[], unknownHere?: number) {
  return attributes.map(({ type, value }) => rawAttribute(type === unknownHere ? UNKNOWN_TYPE : type, value));
}
