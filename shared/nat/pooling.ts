/**
 * Which public addresses an inside host gets (RFC 4787 §4.1, IP address pooling), and two uplinks
 * that share the load, which look like a symmetric NAT to who compares endpoints alone. Judged from
 * the sockets of the `ports` inquiry and, where there are two inside addresses, of `collisions`.
 */
import { type Axis, unknownAxis } from './axis.ts';
import type { Evidence } from './evidence.ts';
import { observe } from './observations.ts';
import { sightingsOf, type TimedSighting } from './sightings.ts';

/**
 * `paired`: each inside address has one public address of its own; only a second inside address
 * shows that. `two-uplinks`: the destination or the flow decides on the address.
 */
export type PoolingValue = 'single' | 'paired' | 'arbitrary' | 'two-uplinks';

export interface PoolingAxis extends Axis<PoolingValue> {
  /** Public addresses seen. */
  readonly addresses: readonly string[];
  /** Local ports that were compared. */
  readonly sockets: number;
  /** What decides between two uplinks. */
  readonly by?: 'destination' | 'flow';
  /** With several addresses: whether a socket has the same public port on each of them. */
  readonly portKept?: boolean;
}

/** Fewer local ports than this say nothing about a pool. */
const FEWEST_SOCKETS = 3;
const REQUIRED = 0.9;

/** Throws TypeError if the evidence lacks its `run`. */
export function assessPooling(evidence: readonly Evidence[]): PoolingAxis {
  const observations = observe(evidence);
  const sightings = [...sightingsOf(observations, 'ports'), ...sightingsOf(observations, 'collisions')];
  const bySocket = Map.groupBy(sightings, ({ socket }) => socket);
  const addresses = addressesOf(sightings);
  const base = { addresses, sockets: bySocket.size };
  if (bySocket.size < FEWEST_SOCKETS)
    return { ...unknownAxis('pooling-few', 'too few local ports were seen from outside'), ...base };
  const { value, confidence, ...details } = conclude(sightings, bySocket);
  if (value === 'unknown' || confidence < REQUIRED)
    return { ...unknownAxis('pooling-undecided', describePooling({ value: 'unknown', addresses })), ...base };
  const axis = { value, confidence, ...base, ...details };
  return { ...axis, reasons: [{ code: `pooling-${value}`, text: describePooling(axis) }] };
}

/** What the axis says, in a sentence for people. */
export function describePooling({
  value,
  addresses,
  by,
  portKept,
}: Pick<PoolingAxis, 'value' | 'addresses' | 'by' | 'portKept'>): string {
  switch (value) {
    case 'single':
      return 'one public address for all of this machine (a pool that keeps to one for each machine looks the same)';
    case 'paired':
      return `each inside address has a public address of its own: ${addresses.join(', ')}`;
    case 'arbitrary':
      return `a local port gets any address of a pool; seen were ${addresses.join(', ')}`;
    case 'two-uplinks':
      return (
        `two uplinks share the load: the ${by ?? 'flow'} decides between ${addresses.join(' and ')}` +
        (portKept === true ? ', and the port stays the same' : '')
      );
    case 'unknown':
      return addresses.length === 0
        ? 'which public addresses there are is not known'
        : `seen from outside as ${addresses.join(', ')}, and by what rule is not known`;
  }
}

type Conclusion = Pick<PoolingAxis, 'value' | 'confidence' | 'by' | 'portKept'>;

function conclude(
  sightings: readonly TimedSighting[],
  bySocket: ReadonlyMap<string, readonly TimedSighting[]>,
): Conclusion {
  const addresses = addressesOf(sightings);
  const inside = [...Map.groupBy(sightings, ({ local }) => local.address).values()].map(addressesOf);
  if (addresses.length === 1) return { value: 'single', confidence: notByChance(2, bySocket.size) };
  if (inside.length > 1 && inside.every((list) => list.length === 1))
    return { value: 'paired', confidence: notByChance(2, bySocket.size) };

  const sockets = [...bySocket.values()];
  const portKept = sockets.every((list) => new Set(list.map(({ mapped }) => mapped.port)).size === 1);
  const isSplit = sockets.some((list) => addressesOf(list).length > 1);
  if (!isSplit) {
    // Where each socket sent to one address only, two uplinks that go by flow look just like a pool.
    const sentFar = sockets.some((list) => new Set(list.map(({ to }) => to.address)).size > 1);
    return sentFar ? { value: 'arbitrary', confidence: 1, portKept } : { value: 'unknown', confidence: 0 };
  }
  const destinations = [...Map.groupBy(sightings, ({ to }) => to.address).values()];
  if (destinations.every((list) => addressesOf(list).length === 1)) {
    const repeated = sightings.length - destinations.length;
    return { value: 'two-uplinks', by: 'destination', confidence: notByChance(2, repeated + 1), portKept };
  }
  if (addresses.length === 2 && splitsByFlow(sockets))
    return { value: 'two-uplinks', by: 'flow', confidence: notByChance(3, sightings.length), portKept };
  return { value: 'arbitrary', confidence: 1, portKept };
}

/**
 * Two ports of one destination address may get different addresses (so it is not the destination that
 * is mapped for), and yet on each of them a socket has one port (so each maps by itself).
 */
function splitsByFlow(sockets: readonly (readonly TimedSighting[])[]): boolean {
  const splits = sockets.some((list) =>
    [...Map.groupBy(list, ({ to }) => to.address).values()].some((same) => addressesOf(same).length > 1),
  );
  const mapsOnce = sockets.every((list) =>
    [...Map.groupBy(list, ({ mapped }) => mapped.address).values()].every(
      (same) => new Set(same.map(({ mapped }) => mapped.port)).size === 1,
    ),
  );
  return splits && mapsOnce;
}

/** That not all of `draws` from a pool of `size` addresses avoided one of them: each address alike, any may be the one. */
function notByChance(size: number, draws: number): number {
  return Math.max(0, 1 - size * (1 - 1 / size) ** draws);
}

function addressesOf(sightings: readonly TimedSighting[]): string[] {
  return [...new Set(sightings.map(({ mapped }) => mapped.address))].sort();
}
