/** How two sides meet that have a new port for each that they send to, and so have to guess both. */
import type { Side } from './plain.ts';
import {
  chanceOfHit,
  ENOUGH,
  fewest,
  FRESH_SOCKETS,
  keepsFreshPorts,
  LEAST_COUNTED,
  massWithin,
  type OddsPart,
  type PortOdds,
} from './port-odds.ts';
import type { CertainSide } from './possibilities.ts';
import { DEFAULT_BUDGET, PLAIN_COST } from './strategy.ts';

type OddsOfBoth = Readonly<Record<Side, PortOdds>>;

/** How two sides meet, in packets of a round. */
export type Meeting =
  /** Each to the ports that the other may have next. */
  | { readonly kind: 'each-other'; readonly packets: number }
  /** Each from new sockets, on local ports that its NAT keeps, to those of the other. */
  | { readonly kind: 'told'; readonly packets: number }
  | OnePort;

/** `opener` from many sockets to one port of the other, which tries the ports of those. */
export interface OnePort {
  readonly kind: 'one-port';
  readonly opener: Side;
  /** Of the opener. */
  readonly packets: number;
  readonly tries: number;
}

/** `chance`: that they meet. */
type Likely<Way extends Meeting> = Way & { readonly chance: number };

export interface MeetingPlan {
  /** Where each has a new port for each port that it sends to; `told` if its ports can be. */
  readonly anew: Likely<Exclude<Meeting, OnePort>>;
  /** As `anew`, by who opens. */
  readonly atOnePort: Readonly<Record<Side, Likely<OnePort>>> | undefined;
  /** Where one of them keeps its port towards one address. */
  readonly kept: Likely<Meeting & { readonly kind: 'each-other' }>;
  /** The most of any way. */
  readonly packets: number;
}

/** A second time for what was lost. */
export const ROUNDS_OF_BOTH = 2;

/**
 * Where both sides count their ports: how many others' mappings may have come in between on both
 * together, so that the two still meet. The one sends to each port ahead, the other to every second, so
 * that after each further pair of packets they would meet with one mapping more in between.
 */
export const MEETING_SKIPS = 16;

/** With the fewest packets that bring nearly all that the budget would. */
export function planMeeting(odds: OddsOfBoth): MeetingPlan {
  const { a, b } = odds;
  const most = Math.floor((DEFAULT_BUDGET.packets - PLAIN_COST.packets) / (2 * ROUNDS_OF_BOTH));
  const wanted = [chanceOfMeeting(a, b, most), chanceOfBoth(odds, most)];
  const packets = fewest(
    most,
    (count) =>
      chanceOfMeeting(a, b, count) >= ENOUGH * wanted[0]! && chanceOfBoth(odds, count) >= ENOUGH * wanted[1]!,
  );
  const areTold = keepsFreshPorts(a) && keepsFreshPorts(b);
  const anew: MeetingPlan['anew'] = areTold
    ? { kind: 'told', packets: FRESH_SOCKETS, chance: a.fresh * b.fresh }
    : { kind: 'each-other', packets, chance: chanceOfMeeting(a, b, packets) };
  const atOnePort = { a: planOnePort('a', a, b, most), b: planOnePort('b', b, a, most) };
  const isBetter = Math.max(atOnePort.a.chance, atOnePort.b.chance) > anew.chance + WORTH_SOCKETS;
  return {
    anew,
    atOnePort: isBetter ? atOnePort : undefined,
    kept: { kind: 'each-other', packets, chance: chanceOfBoth(odds, packets) },
    packets: isBetter ? Math.max(packets, atOnePort.a.packets, atOnePort.b.packets) : packets,
  };
}

/**
 * The way of two that have a new port for each port that they send to. The one that opens has to let in
 * nothing but answers: each packet let in would be answered from a port more.
 */
export function meetAnew({ anew, atOnePort }: MeetingPlan, a: CertainSide, b: CertainSide): Likely<Meeting> {
  if (atOnePort === undefined) return anew;
  const [ofA, ofB] = [a, b].map(({ filtering }) => filtering === 'address-and-port-dependent');
  const better = atOnePort.a.chance >= atOnePort.b.chance ? atOnePort.a : atOnePort.b;
  const way = ofA === ofB ? better : ofA ? atOnePort.a : atOnePort.b;
  return way.chance > anew.chance ? way : anew;
}

/** Less than this more chance isn't worth as many sockets. */
const WORTH_SOCKETS = 0.01;

function planOnePort(opener: Side, opening: PortOdds, trying: PortOdds, most: number): Likely<OnePort> {
  const least = isCounting(trying) ? 2 * MEETING_SKIPS : 1;
  const wanted = ENOUGH * chanceAtOnePort(opening, trying, most);
  const packets = Math.max(
    least,
    fewest(most, (count) => chanceAtOnePort(opening, trying, count) >= wanted),
  );
  return {
    kind: 'one-port',
    opener,
    packets,
    tries: isCounting(trying) ? least : packets,
    chance: chanceAtOnePort(opening, trying, packets),
  };
}

function isCounting({ parts }: PortOdds): boolean {
  return parts.reduce((sum, { weight, counted }) => sum + (counted ? weight : 0), 0) > LEAST_COUNTED;
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
 * sends to is one of those sockets'; one that counts comes to it. Tries of every port at every other
 * meet far less often.
 */
export function chanceAtOnePort(opening: PortOdds, trying: PortOdds, count: number): number {
  if (isCounting(opening)) return sumOver(trying, ({ drawn, within }) => (drawn ? count * within[0]! : 0));
  const taken = sumOver(trying, ({ drawn, counted, within }) =>
    counted ? massWithin(within, MEETING_SKIPS) : drawn ? count * within[0]! : 0,
  );
  return (
    taken *
    (keepsFreshPorts(opening) ? opening.fresh : sumOver(opening, ({ within }) => massWithin(within, count)))
  );
}

function sumOver({ parts }: PortOdds, chanceOf: (part: OddsPart) => number): number {
  return parts.reduce((sum, part) => sum + part.weight * Math.min(1, chanceOf(part)), 0);
}
