/** Guessing the public port of a side that has another one for each peer: by prediction, or by birthday. */
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import { isMoving, opens, punchesPlainly, type Side } from './plain.ts';
import { meetAnew, type Meeting, type MeetingPlan, planMeeting, ROUNDS_OF_BOTH } from './meeting.ts';
import {
  chanceOfHit,
  ENOUGH,
  fewest,
  FRESH_SOCKETS,
  keepsFreshPorts,
  LOW_PORT_ODDS,
  type PortOdds,
  UNKNOWN_ODDS,
} from './port-odds.ts';
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
  const meeting =
    moving.length === 2 ? planMeeting({ a: oddsOfMain(a.behaviour), b: oddsOfMain(b.behaviour) }) : undefined;
  const meetingPackets = meeting?.packets ?? 0;
  const drawnSides = sides.filter((side) => !keepsFreshPorts(side));
  const alone = largest(drawnSides.map((side) => planGuesses(side).birthday));
  const birthday = moving.length === 2 ? withLateSockets(alone) : alone;
  const reasons = reasonsOfGuessing(a, b, moving, odds);
  const predicted: Strategy = {
    name: 'port-prediction',
    probability: chanceOver(a, b, chanceBy(reckon(odds, { ...prediction, sockets: 1 }, meeting))),
    packets: Math.max(1 + prediction.probes, 2 * ROUNDS_OF_BOTH * meetingPackets) + PLAIN_COST.packets,
    timeMs: Math.max(prediction.probes, ROUNDS_OF_BOTH * meetingPackets) * GUESS_PACE_MS + PLAIN_COST.timeMs,
    guessing: prediction,
    reasons: [
      { code: 'port-prediction', text: describePrediction(moving, odds, prediction, meeting) },
      ...reasons,
    ],
  };
  const drawn: Strategy = {
    name: 'birthday',
    probability: chanceOver(
      a,
      b,
      chanceBy(reckon(odds, moving.length === 2 ? withoutLateSockets(birthday) : birthday, undefined)),
    ),
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

/** Whose ports are drawn and tried, where each side's could be: those of `a`, if that is not the worse choice. */
export function isBetterDrawn(a: PunchBehaviour, b: PunchBehaviour): boolean {
  const [one, other] = [oddsOf(a), oddsOf(b)];
  return hitBy(one, planGuesses(one).birthday) >= hitBy(other, planGuesses(other).birthday);
}

/** How two sides meet that have to guess both, if they are of that kind. */
export function meetingOf(
  behaviours: Readonly<Record<Side, PunchBehaviour>>,
  { a, b }: Readonly<Record<Side, CertainSide>>,
): Meeting {
  const plan = planMeeting({ a: oddsOfMain(behaviours.a), b: oddsOfMain(behaviours.b) });
  return keepsPort(a) || keepsPort(b) ? plan.kept : meetAnew(plan, a, b);
}

function describePrediction(
  moving: readonly PunchSide[],
  odds: Odds,
  { probes }: Guessing,
  meeting: MeetingPlan | undefined,
): string {
  const fresh = moving.filter(({ side }) => keepsFreshPorts(odds[side]));
  if (fresh.length > 0)
    return `${labelsOf(fresh)} opens ${FRESH_SOCKETS} more sockets on local ports that are told, which its NAT keeps for what they send first`;
  if (meeting?.atOnePort !== undefined)
    return `one opens up to ${meeting.packets} sockets towards one port of the other, which sends to theirs until it has that port`;
  if (meeting !== undefined)
    return `each predicts the other's next port, with up to ${meeting.packets} packets at a time`;
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
  /** Where each has to guess the other's. */
  readonly meeting: MeetingPlan | undefined;
  /** Where one draws, its ports of the first round are still taken in a second, and small blocks full. */
  readonly rounds: number;
}

function reckon(odds: Odds, guessing: Guessing, meeting: MeetingPlan | undefined): Reckoning {
  return {
    hit: { a: hitBy(odds.a, guessing), b: hitBy(odds.b, guessing) },
    isEither: guessing.sockets > 1,
    meeting,
    rounds: [odds.a, odds.b].some(isDrawn) ? 1 : ROUNDS_OF_BOTH,
  };
}

/** That a hole opens between two certain sides, by guessing where plain sending isn't enough. */
function chanceBy({ hit, isEither, meeting, rounds }: Reckoning): (a: CertainSide, b: CertainSide) => number {
  return (a, b) => {
    const opening = chanceOfOpening(a, b);
    if (punchesPlainly(a, b)) return opening;
    const alone = { a: opens(a, b, 'aGuessed') ? hit.a : 0, b: opens(a, b, 'bGuessed') ? hit.b : 0 };
    const both = isEither ? Math.max(alone.a, alone.b) : 1 - (1 - alone.a) * (1 - alone.b);
    if (both > 0) return opening * both;
    if (meeting === undefined) return 0;
    const { chance } = keepsPort(a) || keepsPort(b) ? meeting.kept : meetAnew(meeting, a, b);
    return opening * (1 - (1 - chance) ** rounds);
  };
}

/** Towards one address. */
function keepsPort({ mapping }: CertainSide): boolean {
  return mapping === 'address-dependent';
}

function isDrawn({ parts }: PortOdds): boolean {
  return parts.reduce((sum, { weight, drawn }) => sum + (drawn ? weight : 0), 0) > 0.5;
}

function hitBy(odds: PortOdds, { sockets, probes }: Guessing): number {
  return keepsFreshPorts(odds) ? odds.fresh : chanceOfHit(odds, sockets, probes);
}

function mayMove({ possibilities }: PunchSide): boolean {
  return possibilities.some(({ side }) => isMoving(side));
}

function oddsOf(behaviour: PunchBehaviour): PortOdds {
  return behaviour.lowPorts === true ? LOW_PORT_ODDS : oddsOfMain(behaviour);
}

/** Of sockets on ports as the system chooses them, low ones never among them: two that guess each other's have no others. */
function oddsOfMain({ ports }: PunchBehaviour): PortOdds {
  return ports ?? UNKNOWN_ODDS;
}

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

/** One socket, and as few guesses as bring nearly all that many would; or new ones whose ports are known. */
function planPrediction(odds: PortOdds): Guessing {
  if (keepsFreshPorts(odds)) return { sockets: FRESH_SOCKETS, probes: FRESH_SOCKETS };
  const wanted = ENOUGH * chanceOfHit(odds, 1, MOST_PREDICTED);
  return {
    sockets: 1,
    probes: fewest(MOST_PREDICTED, (probes) => chanceOfHit(odds, 1, probes) >= wanted),
  };
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

/**
 * A side that has a new port for each that it tries lets in only what answers: a try is for nothing where the
 * socket that it would hit has yet to send. While the sockets are opened that is half of them on average.
 */
function withoutLateSockets({ sockets, probes }: Guessing): Guessing {
  return { sockets, probes: probes - Math.floor(sockets / 2) };
}

/** With as many tries more, as far as the budget goes. */
function withLateSockets({ sockets, probes }: Guessing): Guessing {
  const most = DEFAULT_BUDGET.packets - PLAIN_COST.packets - sockets;
  return { sockets, probes: Math.min(most, probes + Math.floor(sockets / 2)) };
}

function largest(plans: readonly Guessing[]): Guessing {
  return {
    sockets: Math.max(0, ...plans.map(({ sockets }) => sockets)),
    probes: Math.max(0, ...plans.map(({ probes }) => probes)),
  };
}
