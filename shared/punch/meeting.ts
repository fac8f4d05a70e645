/** How two sides meet that have a new port for each that they send to, and so have to guess both. */
import type { Side } from './plain.ts';
import {
  chanceOfHit,
  ENOUGH,
  fewest,
  FRESH_SOCKETS,
  keepsFreshPorts,
  massWithin,
  type OddsPart,
  type PortOdds,
} from './port-odds.ts';
import { DEFAULT_BUDGET, PLAIN_COST } from './strategy.ts';

type OddsOfBoth = Readonly<Record<Side, PortOdds>>;

/** How two sides meet. `packets` are sent by each, in each round. */
export type Meeting =
  /** Each to the ports that the other may have next. */
  | { readonly kind: 'each-other'; readonly packets: number }
  /** `opener` from many sockets to one port of the other, which tries the ports of those. */
  | { readonly kind: 'one-port'; readonly packets: number; readonly opener: Side }
  /** Each from new sockets, on local ports that its NAT keeps, to those of the other. */
  | { readonly kind: 'told'; readonly packets: number };

export interface MeetingPlan {
  readonly eachOther: Meeting & { readonly kind: 'each-other' };
  /** Where it is the better way, if each has a new port for each port that it sends to. */
  readonly atOnePort: (Meeting & { readonly kind: 'one-port' }) | undefined;
  readonly told: (Meeting & { readonly kind: 'told' }) | undefined;
  readonly packets: number;
  /** That they meet. */
  readonly bothKept: number;
  readonly bothNew: number;
}

export const NO_MEETING: MeetingPlan = {
  eachOther: { kind: 'each-other', packets: 0 },
  atOnePort: undefined,
  told: undefined,
  packets: 0,
  bothKept: 0,
  bothNew: 0,
};

/** A second time for what was lost. */
export const ROUNDS_OF_BOTH = 2;

/**
 * Where both sides count their ports: how many others' mappings may have come in between on both
 * together, so that the two still meet. The one sends to each port ahead, the other to every second, so
 * that after each further pair of packets they would meet with one mapping more in between.
 */
export const MEETING_SKIPS = 16;

/** The fewest packets that bring nearly all that the budget would. */
export function planMeeting(odds: OddsOfBoth): MeetingPlan {
  const most = Math.floor((DEFAULT_BUDGET.packets - PLAIN_COST.packets) / (2 * ROUNDS_OF_BOTH));
  const wanted = [chanceOfMeeting(odds.a, odds.b, most), chanceOfBoth(odds, most)];
  const packets = fewest(
    most,
    (count) =>
      chanceOfMeeting(odds.a, odds.b, count) >= ENOUGH * wanted[0]! &&
      chanceOfBoth(odds, count) >= ENOUGH * wanted[1]!,
  );
  const bothNew = chanceOfMeeting(odds.a, odds.b, packets);
  const plan: MeetingPlan = {
    eachOther: { kind: 'each-other', packets },
    atOnePort: undefined,
    told: undefined,
    packets,
    bothKept: chanceOfBoth(odds, packets),
    bothNew,
  };
  const told = [odds.a, odds.b].every(keepsFreshPorts) ? odds.a.fresh * odds.b.fresh : 0;
  if (told > bothNew) return { ...plan, told: { kind: 'told', packets: FRESH_SOCKETS }, bothNew: told };
  const chanceOf = {
    a: chanceAtOnePort(odds.a, odds.b, most),
    b: chanceAtOnePort(odds.b, odds.a, most),
  };
  const opener = chanceOf.a >= chanceOf.b ? 'a' : 'b';
  if (chanceOf[opener] <= bothNew) return plan;
  const [opening, trying] = opener === 'a' ? [odds.a, odds.b] : [odds.b, odds.a];
  const sockets = fewest(
    most,
    (count) => chanceAtOnePort(opening, trying, count) >= ENOUGH * chanceOf[opener],
  );
  return {
    ...plan,
    atOnePort: { kind: 'one-port', packets: sockets, opener },
    packets: Math.max(packets, sockets),
    bothNew: chanceAtOnePort(opening, trying, sockets),
  };
}

/** That each hits the other's port, where these are the same for all that is sent. */
function chanceOfBoth({ a, b }: OddsOfBoth, packets: number): number {
  return chanceOfHit(a, 1, packets) * chanceOfHit(b, 1, packets);
}

/**
 * That a pair of packets meets where both sides have a new mapping for each port that they send to,
 * and `packets` are sent each way: each has to leave from just the port that the other sends to.
 */
export function chanceOfMeeting(a: PortOdds, b: PortOdds, packets: number): number {
  let chance = 0;
  for (const one of a.parts) {
    for (const other of b.parts) {
      const [p, q] = [one.within[0]!, other.within[0]!];
      const meeting =
        one.drawn && other.drawn
          ? 1 - (1 - p * q) ** (packets * packets)
          : one.drawn
            ? chanceAgainst(other, p, packets)
            : other.drawn
              ? chanceAgainst(one, q, packets)
              : one.counted && other.counted
                ? chanceOfSkipsWithin(one.within, other.within, Math.min(packets, MEETING_SKIPS))
                : p * q;
      chance += one.weight * other.weight * meeting;
    }
  }
  return chance;
}

/** A counted port is in what is sent to however many came in between; then one of many has to leave from where it is awaited. */
function chanceAgainst({ counted, within }: OddsPart, drawn: number, packets: number): number {
  return (counted ? 1 : within[0]!) * (1 - (1 - drawn) ** packets);
}

/** That fewer than `most` mappings of others came in between, on both sides together. */
function chanceOfSkipsWithin(one: Float64Array, other: Float64Array, most: number): number {
  let chance = 0;
  for (let skips = 0; skips < most; skips++)
    chance += (massWithin(one, skips + 1) - massWithin(one, skips)) * massWithin(other, most - skips);
  return chance;
}

/**
 * That they meet at one port of the trying side: the other opens `count` sockets and sends from each to
 * that port alone, and the trying side sends from its main socket to as many ports. NATs that draw from
 * few don't draw one twice, so that with nearly all of them taken one mapping has that port, and what it
 * sends to is one of those sockets'. Tries of every port at every other meet far less often.
 */
export function chanceAtOnePort(opening: PortOdds, trying: PortOdds, count: number): number {
  const taken = trying.parts.reduce(
    (sum, { weight, drawn, within }) => sum + (drawn ? weight * Math.min(1, count * within[0]!) : 0),
    0,
  );
  const found = keepsFreshPorts(opening)
    ? opening.fresh
    : opening.parts.reduce(
        (sum, { weight, drawn, counted, within }) =>
          sum + weight * (counted ? 1 : drawn ? massWithin(within, count) : within[0]!),
        0,
      );
  return taken * found;
}
