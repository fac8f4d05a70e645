import { Allowance } from './allowance.ts';
import type { BrokerLimits } from './limits.ts';
import type { PeerSession } from './session.ts';

/** One connection, from its opening on. */
export interface Connection {
  readonly number: number;
  /** Whom limits go by. */
  readonly client: string;
  readonly frames: Allowance;
  readonly bytes: Allowance;
  session: PeerSession | undefined;
  /** When its room token expires. */
  admittedUntil: number;
  beat: number;
  /** Until the heartbeat is answered. */
  beatSentAt: number | undefined;
}

export function openConnection(
  number: number,
  client: string,
  limits: BrokerLimits,
  now: number,
): Connection {
  return {
    number,
    client,
    frames: new Allowance(limits.framesPerSecond, now),
    bytes: new Allowance(limits.bytesPerSecond, now),
    session: undefined,
    admittedUntil: Infinity,
    beat: 0,
    beatSentAt: undefined,
  };
}
