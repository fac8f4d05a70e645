/** What two punchers authenticate their checks with, derived from the key that they agreed on. */
import { createHmac } from 'node:crypto';
import type { IceRole } from '../../shared/ice/check.ts';
import { CREDENTIAL_BYTES, type IceCredentials, iceCredentials } from '../../shared/ice/credentials.ts';
import { PUNCH_ROLES, type PunchRole } from '../../shared/punch/plan.ts';

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
