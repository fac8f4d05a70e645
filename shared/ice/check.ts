/** Connectivity checks: Binding requests between two ICE agents, and their answers (RFC 8445 §7). */
import type { Endpoint } from '../endpoint.ts';
import { XOR_MAPPED_ADDRESS } from '../stun/attributes/address.ts';
import { ERROR_CODE } from '../stun/attributes/error.ts';
import { ICE_CONTROLLED, ICE_CONTROLLING, PRIORITY, USE_CANDIDATE } from '../stun/attributes/ice.ts';
import { USERNAME } from '../stun/attributes/text.ts';
import { shortTermKey, verifyIntegrity } from '../stun/integrity.ts';
import { encodeMessage, hasAttribute, readAttribute } from '../stun/message.ts';
import type { StunMessage, TransactionId } from '../stun/message.ts';
import { ATTRIBUTE, METHOD } from '../stun/registry.ts';

/** Which end of a session an agent is (RFC 8445 §6.1.1), and its tie-breaker of 64 bits. */
export interface IceRole {
  readonly kind: 'controlling' | 'controlled';
  readonly tieBreaker: bigint;
}

/** What a check says. */
export interface Check {
  readonly transactionId: TransactionId;
  /** Whose password the check is authenticated with: the receiver's. */
  readonly receiverUfrag: string;
  readonly senderUfrag: string;
  /** What a peer-reflexive candidate that this check shows would have (RFC 8445 §7.1.1). */
  readonly priority: number;
  readonly role: IceRole;
  readonly nominates: boolean;
}

/** A check, authenticated with the receiver's password, with FINGERPRINT. Throws RangeError for what can't be said. */
export function encodeCheck(check: Check, receiverPassword: string): Uint8Array {
  const { transactionId, receiverUfrag, senderUfrag, priority, role, nominates } = check;
  const roleAttribute = role.kind === 'controlling' ? ICE_CONTROLLING : ICE_CONTROLLED;
  return encodeMessage({
    class: 'request',
    transactionId,
    attributes: [
      USERNAME.of(`${receiverUfrag}:${senderUfrag}`),
      roleAttribute.of(role.tieBreaker),
      PRIORITY.of(priority),
      ...(nominates ? [USE_CANDIDATE.of(true)] : []),
    ],
    integrity: { algorithm: 'sha1', key: shortTermKey(receiverPassword) },
    fingerprint: true,
  });
}

/** The success response to a check that came from `source`, authenticated with the same password as the check. */
export function encodeCheckResponse(
  transactionId: TransactionId,
  source: Endpoint,
  password: string,
): Uint8Array {
  return encodeMessage({
    class: 'success',
    transactionId,
    attributes: [XOR_MAPPED_ADDRESS.of(source)],
    integrity: { algorithm: 'sha1', key: shortTermKey(password) },
    fingerprint: true,
  });
}

/**
 * The check that a message is, or undefined if it is none: a Binding request that has all that
 * RFC 8445 §7.1 wants in one. Nothing is authenticated yet: see isAuthentic.
 */
export function decodeCheck(message: StunMessage): Check | undefined {
  if (message.class !== 'request' || message.method !== METHOD.BINDING || !message.modern) return undefined;
  if (!hasAttribute(message, ATTRIBUTE.FINGERPRINT)) return undefined;
  const [receiverUfrag, senderUfrag, ...more] = readAttribute(message, USERNAME)?.split(':') ?? [];
  const priority = readAttribute(message, PRIORITY);
  const role = readRole(message);
  if (receiverUfrag === undefined || senderUfrag === undefined || more.length > 0) return undefined;
  if (priority === undefined || role === undefined) return undefined;
  return {
    transactionId: message.transactionId,
    receiverUfrag,
    senderUfrag,
    priority,
    role,
    nominates: hasAttribute(message, ATTRIBUTE.USE_CANDIDATE),
  };
}

/** What an answer to a check says: success with the source that was seen, or an error. */
export type CheckAnswer =
  | { readonly kind: 'success'; readonly transactionId: TransactionId; readonly mapped: Endpoint }
  | { readonly kind: 'error'; readonly transactionId: TransactionId; readonly code: number };

/** The answer to a check that a message is, or undefined if it is none. Nothing is authenticated yet. */
export function decodeCheckAnswer(message: StunMessage): CheckAnswer | undefined {
  const { class: messageClass, method, transactionId } = message;
  if (method !== METHOD.BINDING) return undefined;
  if (messageClass === 'success') {
    const mapped = readAttribute(message, XOR_MAPPED_ADDRESS);
    return mapped && { kind: 'success', transactionId, mapped };
  }
  if (messageClass !== 'error') return undefined;
  const error = readAttribute(message, ERROR_CODE);
  return error && { kind: 'error', transactionId, code: error.code };
}

/** Whether the message's MESSAGE-INTEGRITY is valid under this password (RFC 8489 §9.1). */
export function isAuthentic(message: StunMessage, password: string): boolean {
  return verifyIntegrity(message, { algorithm: 'sha1', key: shortTermKey(password) }) === 'valid';
}

function readRole(message: StunMessage): IceRole | undefined {
  const controlling = readAttribute(message, ICE_CONTROLLING);
  if (controlling !== undefined) return { kind: 'controlling', tieBreaker: controlling };
  const controlled = readAttribute(message, ICE_CONTROLLED);
  return controlled === undefined ? undefined : { kind: 'controlled', tieBreaker: controlled };
}
