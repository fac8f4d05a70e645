/** What two punchers authenticate their checks with, derived from the key that they agreed on. */
import { createHmac } from 'node:crypto';
import { decodeCheck, decodeCheckAnswer, type IceRole, isAuthentic } from '../../shared/ice/check.ts';
import { CREDENTIAL_BYTES, type IceCredentials, iceCredentials } from '../../shared/ice/credentials.ts';
import { PUNCH_ROLES, type PunchRole } from '../../shared/punch/plan.ts';
import { decodeMessage } from '../../shared/stun/message.ts';
import { isGoodbye } from './goodbye.ts';

export interface PunchSession {
  readonly own: IceCredentials;
  readonly peer: IceCredentials;
  readonly role: IceRole;
}

/** Each direction has a password of its own, so that nothing can be sent back to whom it came from. */
export function punchSession(key: Uint8Array, role: PunchRole): PunchSession {
  const derive = (label: string): Buffer =>
    createHmac('sha256', key).update(`natprobe punch ${label}`).digest();
  const credentialsOf = (side: PunchRole): IceCredentials =>
    iceCredentials(derive(`credentials ${side}`).subarray(0, CREDENTIAL_BYTES));
  const other = PUNCH_ROLES.find((name) => name !== role)!;
  return {
    own: credentialsOf(role),
    peer: credentialsOf(other),
    role: { kind: role, tieBreaker: derive(`tie-breaker ${role}`).readBigUInt64BE() },
  };
}

/** What the two have a key for besides their checks: another one, which tells nothing of that. */
export function holeKey(key: Uint8Array): Uint8Array {
  return createHmac('sha256', key).update('natprobe hole').digest();
}

/** Whether a datagram is the peer's check, its answer to one or its goodbye; else it is for who uses the hole. */
export function isOfSession({ own, peer }: PunchSession, bytes: Uint8Array): boolean {
  // Two zero bits are first in every STUN message (RFC 8489 §5).
  if (bytes.length === 0 || bytes[0]! > 3) return false;
  const decoded = decodeMessage(bytes);
  if (decoded.kind !== 'message') return false;
  const { message } = decoded;
  if (message.class === 'indication') return isGoodbye(message, { own, peer });
  const check = decodeCheck(message);
  if (check !== undefined) return check.receiverUfrag === own.ufrag && isAuthentic(message, own.password);
  return decodeCheckAnswer(message) !== undefined && isAuthentic(message, peer.password);
}
