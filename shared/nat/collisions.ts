/**
 * What a NAT that preserves ports does where another inside host holds the port already (RFC 4787
 * §4.2.1). Pairs of sockets have the same local port on two inside addresses: the second of a pair
 * meets the first's port, towards the same endpoint or towards another one.
 */
import { type Endpoint, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import type { Evidence } from './evidence.ts';
import { observe } from './observations.ts';
import { sightingsOf, type TimedSighting } from './sightings.ts';

/**
 * `reassigned`: the second host gets another port. `overloaded`: both have the same public port
 * towards different endpoints, and only towards the same one the second gets another: the mapping of
 * a socket then changes with its destination now and then. `not-preserved`: there is nothing to collide.
 */
export type CollisionsValue = 'reassigned' | 'overloaded' | 'not-preserved';

export interface CollisionsAxis extends Axis<CollisionsValue> {
  /** Pairs of sockets that met on one port. */
  readonly pairs: number;
  /** Which port the second host gets. */
  readonly then?: 'sequential' | 'random';
  /** Without a second inside address: how many of so many sockets had a port that was not theirs. */
  readonly byChance?: { readonly moved: number; readonly sockets: number };
}

/** The sockets of a pair, and whether the second sends to another endpoint than the first. */
export interface CollisionPair {
  readonly holder: string;
  readonly comer: string;
  readonly elsewhere: boolean;
}

export const COLLISION_PAIRS: readonly CollisionPair[] = [1, 2, 3, 4, 5, 6].map((number) => ({
  holder: `collisions-holder-${number}`,
  comer: `collisions-comer-${number}`,
  elsewhere: number % 2 === 0,
}));

/** A port so close above the wanted one, or below, is the next free one. */
const NEXT_PORTS = 16;
/** Two pairs that agree: a third host's flow may have been in the way of one. */
const FEWEST_PAIRS = 2;

/**
 * Judges the evidence of a `collisions` inquiry; of any other it says what was seen by chance. Throws
 * TypeError if the evidence lacks its `run`.
 */
export function assessCollisions(evidence: readonly Evidence[]): CollisionsAxis {
  const observations = observe(evidence);
  const sightings = sightingsOf(observations, 'collisions');
  const holders = firstOf(sightings, 'holder');
  const comers = firstOf(sightings, 'comer');
  if (comers.size === 0) return byChance(sightingsOf(observations, 'ports'));
  const met: Met[] = [];
  let held = 0;
  for (const { holder, comer, elsewhere } of COLLISION_PAIRS) {
    const [first, second] = [holders.get(holder), comers.get(comer)];
    if (first === undefined || second === undefined || first.local.port !== second.local.port) continue;
    held++;
    if (first.mapped.port !== first.local.port || first.mapped.address !== second.mapped.address) continue;
    met.push({ elsewhere, wanted: first.mapped, got: second.mapped });
  }
  const base = { pairs: met.length };
  const preserves = [...holders.values()].filter(({ local, mapped }) => local.port === mapped.port).length;
  if (holders.size >= FEWEST_PAIRS && preserves === 0) {
    const axis = { value: 'not-preserved', confidence: 1, ...base } as const;
    return { ...axis, reasons: [reasonFor(axis)] };
  }
  if (held >= FEWEST_PAIRS && met.length === 0)
    return {
      ...unknownAxis('collisions-apart', 'the two inside addresses have different public addresses'),
      ...base,
    };
  return { ...conclude(met), ...base };
}

/** What the axis says, in a sentence for people. */
export function describeCollisions({
  value,
  then,
  byChance: seen,
}: Pick<CollisionsAxis, 'value' | 'then' | 'byChance'>): string {
  const other =
    then === 'sequential' ? 'the next free port' : then === 'random' ? 'a random port' : 'another port';
  switch (value) {
    case 'reassigned':
      return `where another host holds the port already, it is ${other}`;
    case 'overloaded':
      return `two hosts share a public port towards different servers; towards the same one the second gets ${other}`;
    case 'not-preserved':
      return 'local ports are not kept, so hosts don’t meet on one';
    case 'unknown':
      return seen === undefined
        ? 'what happens where two hosts have the same local port is not known'
        : `${seen.moved} of ${seen.sockets} local ports had another public port; a second inside address tells why (--also)`;
  }
}

/** A pair whose first socket held its own port. */
interface Met {
  readonly elsewhere: boolean;
  readonly wanted: Endpoint;
  readonly got: Endpoint;
}

function conclude(met: readonly Met[]): Omit<CollisionsAxis, 'pairs'> {
  const here = met.filter(({ elsewhere }) => !elsewhere);
  const elsewhere = met.filter((pair) => pair.elsewhere);
  const moved = (pairs: readonly Met[]): Met[] =>
    pairs.filter(({ wanted, got }) => !sameEndpoint(wanted, got));
  const [movedHere, movedElsewhere] = [moved(here), moved(elsewhere)];
  if (here.length < FEWEST_PAIRS || elsewhere.length < FEWEST_PAIRS)
    return unknownAxis('collisions-few', 'too few pairs of sockets met on one port');
  const value =
    movedElsewhere.length === elsewhere.length && movedHere.length === here.length
      ? 'reassigned'
      : movedElsewhere.length === 0
        ? 'overloaded'
        : undefined;
  if (value === undefined)
    return unknownAxis('collisions-undecided', 'some hosts that met on a port shared it, and some didn’t');
  const all = [...movedHere, ...movedElsewhere];
  const then = all.length < FEWEST_PAIRS ? undefined : whereTo(all);
  const axis: Pick<CollisionsAxis, 'value' | 'confidence' | 'then'> = {
    value,
    // A third host in the way of each of them, one time in a hundred.
    confidence: 1 - 0.01 ** Math.min(here.length, elsewhere.length),
    ...(then === undefined ? {} : { then }),
  };
  return { ...axis, reasons: [reasonFor(axis)] };
}

function whereTo(moved: readonly Met[]): CollisionsAxis['then'] {
  const near = moved.filter(({ wanted, got }) => Math.abs(got.port - wanted.port) <= NEXT_PORTS).length;
  if (near === moved.length) return 'sequential';
  return near <= moved.length / 2 ? 'random' : undefined;
}

function byChance(ports: readonly TimedSighting[]): CollisionsAxis {
  const sockets = [...firstOf(ports, '').values()];
  const moved = sockets.filter(({ local, mapped }) => local.port !== mapped.port).length;
  const axis = {
    ...unknownAxis('collisions-one-address', 'it takes a second inside address (--also) to tell'),
    pairs: 0,
  };
  const isPreserving = sockets.length > 0 && moved <= sockets.length / 2;
  return isPreserving ? { ...axis, byChance: { moved, sockets: sockets.length } } : axis;
}

function reasonFor(axis: Pick<CollisionsAxis, 'value' | 'then'>): { code: string; text: string } {
  return { code: `collisions-${axis.value}`, text: describeCollisions(axis) };
}

/** The first sighting of each socket whose name has `part` in it. */
function firstOf(sightings: readonly TimedSighting[], part: string): Map<string, TimedSighting> {
  const first = new Map<string, TimedSighting>();
  for (const sighting of sightings)
    if (sighting.socket.includes(part) && !first.has(sighting.socket)) first.set(sighting.socket, sighting);
  return first;
}
