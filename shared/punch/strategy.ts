/** What every way to open a hole has, and what they share in reckoning their chances. */
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import type { Side } from './plain.ts';
import { MAX_GUESSES } from './port-odds.ts';
import type { CertainSide, Possibility } from './possibilities.ts';

/** In the order in which they are tried: what takes the fewest packets first. */
export const STRATEGY_NAMES = [
  'direct',
  'reversal',
  'lan',
  'plain',
  'sequential',
  'hairpin',
  'low-ttl',
  'port-prediction',
  'birthday',
  'relay',
] as const;
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/** What one punch may cost by default, both sides together. */
export const DEFAULT_BUDGET: Budget = { packets: MAX_GUESSES, timeMs: 3000 };

export interface Budget {
  readonly packets: number;
  readonly timeMs: number;
}

/** At a hole, by default. */
export const MOST_ATTEMPTS = 3;

export interface Strategy extends Budget {
  readonly name: StrategyName;
  /** That it opens a hole within its packets and time, 0 to 1. */
  readonly probability: number;
  /** Where ports are guessed. */
  readonly guessing?: Guessing;
  readonly reasons: readonly Reason[];
}

/** How many sockets the guessed side opens, and how many ports the other tries. */
export interface Guessing {
  readonly sockets: number;
  readonly probes: number;
}

/** A side with all that it may be. */
export interface PunchSide {
  /** Reasons call it A or B. */
  readonly side: Side;
  readonly behaviour: PunchBehaviour;
  readonly possibilities: readonly Possibility[];
}

interface Uncertain<Certain> {
  readonly possibilities: readonly { readonly weight: number; readonly side: Certain }[];
}

/** The chance of something over all that both sides may be. */
export function chanceOver<Certain>(
  a: Uncertain<Certain>,
  b: Uncertain<Certain>,
  chanceOf: (a: Certain, b: Certain) => number,
): number {
  let chance = 0;
  for (const one of a.possibilities)
    for (const other of b.possibilities) chance += one.weight * other.weight * chanceOf(one.side, other.side);
  return Math.min(1, chance);
}

/** Tries of a packet: at 20 % loss each way all of them and their replies are lost once in a thousand. */
const TRIES = 7;
export const RELIABLE = 0.999;
/** From one try to the next (RFC 8445 §14.2: Ta). */
const TRY_PACE_MS = 50;
/** For the way there and back, of a peer far away. */
const ROUND_TRIP_MS = 300;
export const PLAIN_COST: Budget = { packets: 2 * TRIES, timeMs: TRIES * TRY_PACE_MS + ROUND_TRIP_MS };

/** Time between two guesses, as measured (MEASURING.md §7). */
export const GUESS_PACE_MS = 1;
/** How long first packets have a low TTL: 100 to 150 ms were measured (MEASURING.md §7). */
export const LOW_TTL_MS = 150;

/** Thirty of thirty in the kernel (MEASURING.md §7: at first, after a failure, by birthday), with a Beta(1,1) prior. */
const LOW_TTL_CHANCE = 31 / 32;

/** That both may send to each other, with low-TTL first packets where a side tracks unsolicited ones. */
export function chanceOfOpening(a: CertainSide, b: CertainSide): number {
  return isPoisoned(a, b) ? LOW_TTL_CHANCE : RELIABLE;
}

/** Whether one side may leave from another port than expected, which the other doesn't let in. */
export function isPoisoned(a: CertainSide, b: CertainSide): boolean {
  const strict = 'address-and-port-dependent';
  return (a.tracks && b.filtering === strict) || (b.tracks && a.filtering === strict);
}

export function labelsOf(sides: readonly PunchSide[]): string {
  return sides.map(labelOf).join(' and ');
}

export function labelOf({ side }: PunchSide): string {
  return side.toUpperCase();
}
