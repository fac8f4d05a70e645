/** Guessing the public port of a side that has another one for each peer: by prediction, or by birthday. */
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import { isMoving, opens, punchesPlainly, type Side } from './plain.ts';
import { chanceOfHit, chanceOfMeeting, LOW_PORT_ODDS, type PortOdds, UNKNOWN_ODDS } from './port-odds.ts';
import type { CertainSide } from './possibilities.ts';
import {
  chanceOfOpening,
  chanceOver,
  DEFAULT_BUDGET,
  GUESS_PACE_MS,
  type Guessing,
  labelOf,
  labelsOf,
  PLAIN_COST,
  type PunchSide,
  type Strategy,
} from './strategy.ts';

type Odds = Readonly<Record<Side, PortOdds>>;

/** By prediction, with one socket a side, and by birthday, where more sockets bring more. */
export function tryGuessing(a: PunchSide, b: PunchSide): Strategy[] {
  const moving = [a, b].filter(mayMove);
  if (moving.length === 0) return [];
  const odds: Odds = { a: oddsOf(a.behaviour), b: oddsOf(b.behaviour) };
  const sides = moving.map(({ side }) => odds[side]);
  const prediction = largest(sides.map((side) => planGuesses(side).prediction));
  const meeting = moving.length === 2 ? planMeeting(odds) : 0;
  const drawnSides = sides.filter((side) => !keepsFreshPorts(side));
  const birthday = largest(drawnSides.map((side) => planGuesses(side).birthday));
  const reasons = reasonsOfGuessing(a, b, moving, odds);
  const predicted: Strategy = {
    name: 'port-prediction',
    probability: chanceOver(a, b, chanceBy(reckon(odds, { ...prediction, sockets: 1 }, meeting))),
    packets: Math.max(1 + prediction.probes, 2 * ROUNDS_OF_BOTH * meeting) + PLAIN_COST.packets,
    timeMs: Math.max(prediction.probes, ROUNDS_OF_BOTH * meeting) * GUESS_PACE_MS + PLAIN_COST.timeMs,
    guessing: prediction,
    reasons: [
      { code: 'port-prediction', text: describePrediction(moving, odds, prediction, meeting) },
      ...reasons,
    ],
  };
  const drawn: Strategy = {
    name: 'birthday',
    probability: chanceOver(a, b, chanceBy(reckon(odds, birthday, 0))),
    packets: birthday.sockets + birthday.probes + PLAIN_COST.packets,
    timeMs: Math.max(birthday.sockets, birthday.probes) * GUESS_PACE_MS + PLAIN_COST.timeMs,
    guessing: birthday,
    reasons: [
      {
        code: 'birthday',
        text: `${moving.length === 2 ? 'each side' : labelsOf(moving)} opens ${birthday.sockets} sockets, and up to ${birthday.probes} ports are tried until one is hit`,
      },
      ...reasons,
    ],
  };
  return drawnSides.length === 0 ? [predicted] : [predicted, drawn];
}

/** Whether new sockets on known local ports are better than guesses of the main one's next port. */
export function keepsFreshPorts({ fresh }: PortOdds): boolean {
  return fresh >= LEAST_FRESH;
}

/** Whose ports are drawn and tried, where each side's could be: those of `a`, if that is not the worse choice. */
export function isBetterDrawn(a: PunchBehaviour, b: PunchBehaviour): boolean {
  const [one, other] = [oddsOf(a), oddsOf(b)];
  return hitBy(one, planGuesses(one).birthday) >= hitBy(other, planGuesses(other).birthday);
}

/** How many packets each sends at a time where both have to guess. */
export function packetsToMeet(a: PunchBehaviour, b: PunchBehaviour): number {
  return planMeeting({ a: oddsOf(a), b: oddsOf(b) });
}

function describePrediction(
  moving: readonly PunchSide[],
  odds: Odds,
  { probes }: Guessing,
  meeting: number,
): string {
  const fresh = moving.filter(({ side }) => keepsFreshPorts(odds[side]));
  if (fresh.length > 0)
    return `${labelsOf(fresh)} opens ${FRESH_SOCKETS} more sockets on local ports that are told, which its NAT keeps for what they send first`;
  if (moving.length === 2)
    return `each predicts the other's next port, with up to ${meeting} packets at a time`;
  const guesses = probes === 1 ? 'one port is tried' : `the ${probes} likeliest are tried`;
  return `the next port of ${labelsOf(moving)} is predicted: ${guesses}`;
}

function reasonsOfGuessing(a: PunchSide, b: PunchSide, moving: readonly PunchSide[], odds: Odds): Reason[] {
  const reasons = moving.map((side) => ({
    code: 'ports',
    text: `${labelOf(side)}: ${odds[side.side].text}`,
  }));
  if ([a, b].some(({ behaviour }) => behaviour.unsolicited === 'tracked'))
    reasons.push({
      code: 'low-ttl',
      text: 'it takes low-TTL first packets, or what comes too early spoils the port that is right',
    });
  return reasons;
}

/** What guessing comes to, whatever both sides turn out to be. */
interface Reckoning {
  /** That a side's port is hit by the other. */
  readonly hit: Readonly<Record<Side, number>>;
  /** Of two that could be hit only one is: it has no time to guess meanwhile. */
  readonly isEither: boolean;
  /** That both are, where each is the same for all that is sent, and where it is new for each port sent to. */
  readonly bothKept: number;
  readonly bothNew: number;
  /** Where one draws, its ports of the first round are still taken in a second, and small blocks full. */
  readonly rounds: number;
}

function reckon(odds: Odds, guessing: Guessing, meeting: number): Reckoning {
  return {
    hit: { a: hitBy(odds.a, guessing), b: hitBy(odds.b, guessing) },
    isEither: guessing.sockets > 1,
    bothKept: chanceOfBoth(odds, meeting),
    bothNew: chanceOfMeeting(odds.a, odds.b, meeting),
    rounds: [odds.a, odds.b].some(isDrawn) ? 1 : ROUNDS_OF_BOTH,
  };
}

/** That a hole opens between two certain sides, by guessing where plain sending isn't enough. */
function chanceBy({
  hit,
  isEither,
  bothKept,
  bothNew,
  rounds,
}: Reckoning): (a: CertainSide, b: CertainSide) => number {
  return (a, b) => {
    const opening = chanceOfOpening(a, b);
    if (punchesPlainly(a, b)) return opening;
    const alone = { a: opens(a, b, 'aGuessed') ? hit.a : 0, b: opens(a, b, 'bGuessed') ? hit.b : 0 };
    const both = isEither ? Math.max(alone.a, alone.b) : 1 - (1 - alone.a) * (1 - alone.b);
    if (both > 0) return opening * both;
    const keepsPort = a.mapping === 'address-dependent' || b.mapping === 'address-dependent';
    return opening * (1 - (1 - (keepsPort ? bothKept : bothNew)) ** rounds);
  };
}

/** That each hits the other's port, where these are the same for all that is sent. */
function chanceOfBoth({ a, b }: Odds, packets: number): number {
  return chanceOfHit(a, 1, packets) * chanceOfHit(b, 1, packets);
}

function isDrawn({ parts }: PortOdds): boolean {
  return parts.reduce((sum, { weight, drawn }) => sum + (drawn ? weight : 0), 0) > 0.5;
}

function hitBy(odds: PortOdds, { sockets, probes }: Guessing): number {
  return keepsFreshPorts(odds) ? odds.fresh : chanceOfHit(odds, sockets, probes);
}

/** Where both guess: they try again from fresh sockets once. */
const ROUNDS_OF_BOTH = 2;

function mayMove({ possibilities }: PunchSide): boolean {
  return possibilities.some(({ side }) => isMoving(side));
}

function oddsOf({ ports, lowPorts }: PunchBehaviour): PortOdds {
  return lowPorts === true ? LOW_PORT_ODDS : (ports ?? UNKNOWN_ODDS);
}

/** Where so much chance is reached, or so much of what can be reached, more packets hardly add to it. */
const ENOUGH = 0.99;
/** More guesses than this are no prediction: 20 are enough beside ten other flows (MEASURING.md §7). */
const MOST_PREDICTED = 128;

interface GuessPlans {
  readonly prediction: Guessing;
  readonly birthday: Guessing;
}

/** They depend on nothing else, and a report is held against many peers. */
const PLANS = new WeakMap<PortOdds, GuessPlans>();

function planGuesses(odds: PortOdds): GuessPlans {
  const plans = PLANS.get(odds) ?? { prediction: planPrediction(odds), birthday: planBirthday(odds) };
  PLANS.set(odds, plans);
  return plans;
}

/** Of these the local port has to be kept in so many cases; enough sockets for some to be taken, or lost on the way. */
const LEAST_FRESH = 0.5;
const FRESH_SOCKETS = 8;

/** One socket, and as few guesses as bring nearly all that many would; or new ones whose ports are known. */
function planPrediction(odds: PortOdds): Guessing {
  if (keepsFreshPorts(odds)) return { sockets: FRESH_SOCKETS, probes: FRESH_SOCKETS };
  const wanted = ENOUGH * chanceOfHit(odds, 1, MOST_PREDICTED);
  return {
    sockets: 1,
    probes: fewest(MOST_PREDICTED, (probes) => chanceOfHit(odds, 1, probes) >= wanted),
  };
}

/** The fewest that bring nearly all that the budget would. */
function planMeeting(odds: Odds): number {
  const most = Math.floor((DEFAULT_BUDGET.packets - PLAIN_COST.packets) / (2 * ROUNDS_OF_BOTH));
  const wanted = [chanceOfMeeting(odds.a, odds.b, most), chanceOfBoth(odds, most)];
  return fewest(
    most,
    (packets) =>
      chanceOfMeeting(odds.a, odds.b, packets) >= ENOUGH * wanted[0]! &&
      chanceOfBoth(odds, packets) >= ENOUGH * wanted[1]!,
  );
}

/** The numbers of sockets that were tried in the kernel (MEASURING.md §3 and §7). */
const BIRTHDAY_SOCKETS = [16, 64, 256];

/** The cheapest that has ENOUGH chance, or else the most that the budget allows. */
function planBirthday(odds: PortOdds): Guessing {
  const plans = BIRTHDAY_SOCKETS.map((sockets) => {
    const most = DEFAULT_BUDGET.packets - PLAIN_COST.packets - sockets;
    return { sockets, probes: fewest(most, (probes) => chanceOfHit(odds, sockets, probes) >= ENOUGH) };
  });
  const enough = plans.filter(({ sockets, probes }) => chanceOfHit(odds, sockets, probes) >= ENOUGH);
  const cost = ({ sockets, probes }: Guessing): number => sockets + probes;
  return enough.length === 0
    ? plans.at(-1)!
    : enough.reduce((best, plan) => (cost(plan) < cost(best) ? plan : best));
}

/** The least number from 1 for which something holds that holds for all greater ones; `most` if there is none. */
function fewest(most: number, isEnough: (number: number) => boolean): number {
  let [low, high] = [1, most];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isEnough(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function largest(plans: readonly Guessing[]): Guessing {
  return {
    sockets: Math.max(0, ...plans.map(({ sockets }) => sockets)),
    probes: Math.max(0, ...plans.map(({ probes }) => probes)),
  };
}
