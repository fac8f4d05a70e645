/** Which requests of a TCP connection ask for a dial-back, and what is said of it. Pure. */
import { DIAL_BACK, type DialBack, type DialOrigin } from '../../shared/stun/attributes/dial-back.ts';
import {
  type TransactionId,
  decodeMessage,
  encodeMessage,
  readAttribute,
} from '../../shared/stun/message.ts';
import { METHOD } from '../../shared/stun/registry.ts';

/** Where to is not for the asker to say: a dial goes to the remote end of the connection that asks. */
export interface DialRequest {
  readonly transactionId: TransactionId;
  readonly origin: DialOrigin;
  readonly timeoutMs: number;
}

/** Undefined for all but a Binding request (RFC 8489) with DIAL-BACK in its form `asked`. */
export function readDialRequest(bytes: Uint8Array): DialRequest | undefined {
  const decoded = decodeMessage(bytes);
  if (decoded.kind !== 'message') return undefined;
  const { message } = decoded;
  if (message.class !== 'request' || message.method !== METHOD.BINDING || !message.modern) return undefined;
  const dial = readAttribute(message, DIAL_BACK);
  if (dial?.kind !== 'asked') return undefined;
  return { transactionId: message.transactionId, origin: dial.origin, timeoutMs: dial.timeoutMs };
}

/** The indication, with the request's transaction id, that says how a dial stands. */
export function encodeDialIndication(
  transactionId: TransactionId,
  dial: Exclude<DialBack, { kind: 'asked' }>,
): Uint8Array {
  return encodeMessage({ class: 'indication', transactionId, attributes: [DIAL_BACK.of(dial)] });
}
