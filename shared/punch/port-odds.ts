/**
 * Where the next mapping of a NAT will be, boiled down to how likely it is among the n likeliest
 * ports; and from that what guessing costs (MEASURING.md §3 and §7).
 */
import {
  FIRST_PORT,
  isDrawn,
  PORT_COUNT,
  type PortLaw,
  type PortRange,
  type Situation,
  wrapPort,
} from '../nat/port-law.ts';
import { describePorts, type PortsAxis } from '../nat/ports.ts';
import {
  countPorts,
  likeliestOf,
  massAtRank,
  massesUnder,
  massOfRuns,
  mergeRuns,
  portsIn,
  runsOf,
} from './port-ranks.ts';

export interface PortOdds {
  /** How ports are picked, in a sentence for people. */
  readonly text: string;
  readonly value: PortsAxis['value'];
  /** False where it is assumed. */
  readonly measured: boolean;
  /** That the first mapping of a new socket has its local port. */
  readonly fresh: number;
  /** One for each law that may hold; the weights sum to 1. */
  readonly parts: readonly OddsPart[];
}

export interface OddsPart {
  readonly weight: number;
  /** Whether each mapping is drawn anew, so that more sockets are more chances. */
  readonly drawn: boolean;
  /** Whether it is a step from the last one. */
  readonly counted: boolean;
  /** At n - 1: that a mapping has one of the first n ports to be guessed; the last entry holds beyond. */
  readonly within: Float64Array;
}

/** What of the axis it takes. */
export type KnownPorts = Pick<PortsAxis, 'value' | 'delta' | 'block' | 'seenRange' | 'whenTaken' | 'model'>;

/** More guesses than this are made towards nobody. */
export const MAX_GUESSES = 2048;

/** Where so much chance is reached, or so much of what can be reached, more packets hardly add to it. */
export const ENOUGH = 0.99;
/** Of these the local port has to be kept in so many cases; enough sockets for some to be taken, or lost on the way. */
const LEAST_FRESH = 0.5;
export const FRESH_SOCKETS = 8;

/** From the plan to the new mapping: the start time agreed on, and what a check at the server takes before it. */
const PLAN_LAG_MS = 200;

/**
 * The next mapping is one towards the peer, of a socket that the server has just seen. Which ports
 * these are doesn't matter to how likely the likeliest are.
 */
const SITUATION: Situation = {
  localPort: 40_000,
  ownPort: 30_000,
  afterMs: PLAN_LAG_MS,
  latest: { port: 30_000, agoMs: PLAN_LAG_MS },
};

/** A NAT of which nothing is known: all ports alike, the worst case for whoever guesses. */
export const UNKNOWN_ODDS: PortOdds = {
  text: `how it picks ports was not measured, so each of ${PORT_COUNT} is taken for as likely`,
  value: 'unknown',
  measured: false,
  fresh: 0,
  parts: [{ weight: 1, drawn: true, counted: false, within: uniform(PORT_COUNT) }],
};

/** netfilter maps a local port of these into these (MEASURING.md §7). */
export const LOW_PORTS = { first: 600, last: 1023 } as const;

export const LOW_PORT_ODDS: PortOdds = {
  text: 'a local port from 600 to 1023 is mapped into the same 424 ports',
  value: 'random',
  measured: true,
  fresh: 0,
  parts: [{ weight: 1, drawn: true, counted: false, within: uniform(LOW_PORTS.last - LOW_PORTS.first + 1) }],
};

export function portOddsOf(axis: KnownPorts): PortOdds {
  const laws = axis.model.newEndpoint;
  const guesses = guessPorts(axis, SITUATION, MAX_GUESSES);
  return {
    text: describePorts(axis),
    value: axis.value,
    measured: true,
    fresh: axis.model.newSocket.reduce(
      (sum, { weight, law }) => sum + (law.kind === 'preserved' ? weight : 0),
      0,
    ),
    parts: laws.map(({ weight, law }) => {
      const massAt = massesUnder(law, SITUATION);
      let sum = 0;
      const within = Float64Array.from(guesses, (port) => Math.min(1, (sum += massAt(port))));
      return { weight, drawn: isDrawn(law), counted: isCounted(law), within };
    }),
  };
}

/** The ports in the order in which they are best tried, at most `count`: the likeliest first, of those alike the lowest. */
export function guessPorts(
  { model }: Pick<PortsAxis, 'model'>,
  situation: Situation,
  count: number,
): number[] {
  const runs = runsOf(model.newEndpoint, situation);
  return portsIn(likeliestOf(runs, massAtRank(runs, count), count));
}

/**
 * The ports that `count` are drawn from: all that are about as likely, where that costs next to nothing. Of
 * a NAT that picks among fewer than it seemed to, the likeliest by a hair may all be wrong. In a later
 * attempt they were: then it may cost something.
 */
export function portsToDraw(
  { model }: Pick<PortsAxis, 'model'>,
  situation: Situation,
  count: number,
  draw: Draw = 'first',
): PortRange[] {
  const { asLikely, asGood } = DRAWS[draw];
  const runs = runsOf(model.newEndpoint, situation);
  const atRank = massAtRank(runs, count);
  const likely = runs.filter(({ first, mass }) => first >= FIRST_PORT && mass >= atRank * asLikely);
  const best = likeliestOf(runs, atRank, count);
  const mean = massOfRuns(likely) / countPorts(likely);
  return mergeRuns(mean * countPorts(best) >= asGood * massOfRuns(best) ? likely : best);
}

/**
 * A port of so many times the last good one's mass counts, if those drawn are so many times as good as the
 * best. `elsewhere`: where a NAT's ports depend on the address, and towards this one none has been seen, what
 * seemed to crowd may be what one address had; and where that was tried, it was.
 */
const DRAWS = {
  first: { asLikely: 0.8, asGood: 0.95 },
  later: { asLikely: 0.2, asGood: 0.3 },
  elsewhere: { asLikely: 0.4, asGood: 0.7 },
  elsewhereLater: { asLikely: 0.05, asGood: 0.2 },
} as const;
export type Draw = keyof typeof DRAWS;

/** The first `count` ports ahead of a counted one, each `stride` mappings on; undefined if it isn't counted. */
export function portsAhead(
  { model }: Pick<PortsAxis, 'model'>,
  { ownPort, localPort, latest }: Situation,
  count: number,
  stride: number,
): number[] | undefined {
  const laws = model.newEndpoint.flatMap(({ weight, law }) =>
    law.kind === 'after-last' || law.kind === 'after-own' ? [{ weight, law }] : [],
  );
  // Several may differ in the traffic alone that they reckon with.
  if (laws.reduce((sum, { weight }) => sum + weight, 0) < LEAST_COUNTED) return undefined;
  const { law } = laws.reduce((best, next) => (next.weight > best.weight ? next : best));
  const own = ownPort ?? localPort;
  const from = law.kind === 'after-last' ? (latest?.port ?? own) : own;
  return Array.from({ length: count }, (_, index) => wrapPort(from + law.delta * (1 + index * stride)));
}

/** That ports are counted has to be so likely, or the likeliest ports are tried instead. */
export const LEAST_COUNTED = 0.5;

/**
 * That one of `sockets` mappings is among `probes` guessed ports. For ports that are drawn without
 * putting them back; where they are counted more sockets bring nothing.
 */
export function chanceOfHit({ parts }: PortOdds, sockets: number, probes: number): number {
  return parts.reduce((sum, { weight, drawn, within }) => {
    const mass = massWithin(within, probes);
    return sum + weight * (drawn ? 1 - chanceOfMissing(mass, probes, sockets) : mass);
  }, 0);
}

function isCounted({ kind }: PortLaw): boolean {
  return kind === 'after-last' || kind === 'after-own';
}

/** Whether new sockets on known local ports are better than guesses of the main one's next port. */
export function keepsFreshPorts({ fresh }: PortOdds): boolean {
  return fresh >= LEAST_FRESH;
}

/** That a mapping has one of the first so many ports to be guessed. */
export function massWithin(within: Float64Array, guesses: number): number {
  return guesses < 1 ? 0 : within[Math.min(guesses, within.length) - 1]!;
}

/** Of ports that are alike, those guessed are `probes` of probes / mass: hypergeometric. */
function chanceOfMissing(mass: number, probes: number, sockets: number): number {
  if (mass === 0) return 1;
  const ports = probes / mass;
  let missing = 1;
  for (let drawn = 0; drawn < sockets && missing > 0; drawn++)
    missing *= Math.max(0, 1 - probes / Math.max(1, ports - drawn));
  return missing;
}

function uniform(ports: number): Float64Array {
  return Float64Array.from({ length: Math.min(ports, MAX_GUESSES) }, (_, index) => (index + 1) / ports);
}

/** The least number from 1 for which something holds that holds for all greater ones; `most` if there is none. */
export function fewest(most: number, isEnough: (number: number) => boolean): number {
  let [low, high] = [1, most];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
