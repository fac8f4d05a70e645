/** Local ports for sockets that are to find nothing in the NAT of an earlier run. */
import type { SocketPurpose } from '../../shared/nat/evidence.ts';

/**
 * Fresh ports come from two ranges (those that RFC 5780 §4.1 recommends), so that a filtering test
 * never meets what an earlier run's mapping test left in the NAT: that would read as full cone.
 */
const PORTS_THAT_CONTACT_MANY = { first: 32768, count: 16384 };
const PORTS_THAT_CONTACT_ONE = { first: 49152, count: 16384 };
const PURPOSES_THAT_CONTACT_ONE: ReadonlySet<SocketPurpose> = new Set(['filtering', 'lifetime', 'fragments']);

/** A chosen port that is taken is replaced this often before one gives up, or lets the system choose. */
export const PORT_TRIES = 8;

/** A port at random from the range for this purpose. `random` gives as many bytes as it is asked for. */
export function chooseFreshPort(purpose: SocketPurpose, random: (length: number) => Uint8Array): number {
  const { first, count } = PURPOSES_THAT_CONTACT_ONE.has(purpose)
    ? PORTS_THAT_CONTACT_ONE
    : PORTS_THAT_CONTACT_MANY;
  const [high, low] = random(2);
  return first + (((high! << 8) | low!) % count);
}
