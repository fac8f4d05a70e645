/** What the ends of a stream know of each other, from the key that they agreed on for the hole. */
import { hkdfSync } from 'node:crypto';
import { PUNCH_ROLES, type PunchRole } from '../../shared/punch/plan.ts';

export interface StreamEnd {
  /** Of its Ed25519 key pair. */
  readonly seed: Uint8Array;
  /** Which packets are its stream's. Nobody else knows it, so nobody off the path can reach the stream. */
  readonly id: number;
}

/**
 * Both ends. Each can work out the other's key pair as well: what is proven by it is that one has the
 * hole's key, which is all that is to be proven. The keys of the session come from fresh ones.
 */
export function streamEnds(holeKey: Uint8Array, role: PunchRole): { own: StreamEnd; peer: StreamEnd } {
  const other = PUNCH_ROLES.find((name) => name !== role)!;
  return { own: streamEnd(holeKey, role), peer: streamEnd(holeKey, other) };
}

function streamEnd(holeKey: Uint8Array, role: PunchRole): StreamEnd {
  const derive = (what: string, bytes: number): Buffer =>
    Buffer.from(hkdfSync('sha256', holeKey, '', `natprobe stream ${what} ${role}`, bytes));
  return { seed: derive('seed', 32), id: derive('id', 4).readUInt32BE() };
}
