/** Whether a punch between two sides will work, how, and why (MEASURING.md §3). */
import type { Family } from '../endpoint.ts';
import type { Filtering, Mapping, NatType } from '../nat/behaviour.ts';
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import { isMoving, punchesPlainly, simulatePunch } from './plain.ts';
import { assumptionsAbout, type CertainSide, type KnownOfSide, possibilitiesOf } from './possibilities.ts';
import { planStrategies, shareAddress } from './strategies.ts';
import { chanceOver, type PunchSide, type Strategy, type StrategyName } from './strategy.ts';

export const PREDICTION_SCHEMA = 'natprobe/predict@1';

/**
 * `direct`: nothing has to be timed, and at least 0.99; `likely`: at least 0.8; `unlikely`: at least
 * 0.05 within the default budget; else `relay`.
 */
export const PREDICTED_OUTCOMES = ['direct', 'likely', 'unlikely', 'relay'] as const;
export type PredictedOutcome = (typeof PREDICTED_OUTCOMES)[number];

/** What `natprobe predict --json` prints. */
export interface Prediction {
  readonly schema: typeof PREDICTION_SCHEMA;
  readonly a: PredictedSide;
  readonly b: PredictedSide;
  readonly outcome: PredictedOutcome;
  /** That `strategy` opens a hole, 0 to 1; from models, not from counted punches. */
  readonly probability: number;
  readonly strategy: StrategyName;
  /** Whether simple simultaneous sending, with no port prediction, ends with both hearing each other. */
  readonly plain: boolean;
  /** In the order in which they are tried; the last is `relay`, which opens no hole. */
  readonly strategies: readonly Strategy[];
  readonly reasons: readonly Reason[];
}

/** A side as the prediction took it. */
export interface PredictedSide {
  readonly name: string;
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  readonly confidence: number;
  readonly unsolicited: PunchBehaviour['unsolicited'];
  /** How ports are picked, where that was measured and matters. */
  readonly ports?: string;
  /** The family that the prediction is about, where the side says. */
  readonly family?: Family;
}

/** Predicts a punch that `a` asks for. Of two families that both have, the better one is taken. */
export function predict(a: PunchBehaviour, b: PunchBehaviour): Prediction {
  const predictions = pairFamilies(a, b).map(([one, other]) => predictOver(one, other));
  if (predictions.length === 0) return withoutCommonFamily(a, b);
  return predictions.reduce((best, next) => (next.probability > best.probability ? next : best));
}

/** The likeliest of what a side may be; undefined where UDP is blocked. */
export function likeliestSide(behaviour: KnownOfSide): CertainSide | undefined {
  const [first, ...others] = possibilitiesOf(behaviour);
  if (first === undefined) return undefined;
  return others.reduce((best, next) => (next.weight > best.weight ? next : best), first).side;
}

/** Both sides over one family each; IPv6 first, where there is mostly no NAT. A named type stands for any. */
export function pairFamilies(a: PunchBehaviour, b: PunchBehaviour): [PunchBehaviour, PunchBehaviour][] {
  if (a.family === undefined || b.family === undefined) return [[a, b]];
  return (['ipv6', 'ipv4'] as const).flatMap((family): [PunchBehaviour, PunchBehaviour][] => {
    const [one, other] = [a, b].map((side) =>
      [side, side.otherFamily].find((item) => item?.family === family),
    );
    return one === undefined || other === undefined ? [] : [[one, other]];
  });
}

/** Over one family: that of both. */
export function predictOver(a: PunchBehaviour, b: PunchBehaviour): Prediction {
  const one: PunchSide = { side: 'a', behaviour: a, possibilities: possibilitiesOf(a) };
  const other: PunchSide = { side: 'b', behaviour: b, possibilities: possibilitiesOf(b) };
  const strategies = planStrategies(one, other);
  const plainChance = chanceOver(one, other, (x, y) => (punchesPlainly(x, y) ? 1 : 0));
  const hairpinless = shareAddress(a, b) && [a, b].some(({ hairpin }) => hairpin === 'none');
  const best = chooseStrategy(strategies);
  return {
    schema: PREDICTION_SCHEMA,
    a: describeSide(a),
    b: describeSide(b),
    outcome: best === undefined ? 'relay' : outcomeOf(best),
    probability: best?.probability ?? 0,
    strategy: best?.name ?? 'relay',
    plain: plainChance > 0.5 && !hairpinless,
    strategies: [...strategies, RELAY],
    reasons: [
      ...reasonsAbout(one, other, plainChance),
      ...assumptionsAbout('A', a),
      ...assumptionsAbout('B', b),
    ],
  };
}

/** Within so much of the best chance the strategy that is tried earlier is the better one. */
const ABOUT_AS_LIKELY = 0.05;

/** Undefined if there is none. */
export function chooseStrategy(strategies: readonly Strategy[]): Strategy | undefined {
  if (strategies.length === 0) return undefined;
  const best = strategies.reduce((one, next) => (next.probability > one.probability ? next : one));
  return strategies.find(
    (strategy) =>
      strategy.probability >= best.probability - ABOUT_AS_LIKELY &&
      isAsGood(outcomeOf(strategy), outcomeOf(best)),
  );
}

function isAsGood(one: PredictedOutcome, other: PredictedOutcome): boolean {
  return PREDICTED_OUTCOMES.indexOf(one) <= PREDICTED_OUTCOMES.indexOf(other);
}

const UNTIMED: ReadonlySet<StrategyName> = new Set(['direct', 'reversal', 'lan']);

/** What a chance of that strategy is called. */
export function outcomeOf({ name, probability }: Pick<Strategy, 'name' | 'probability'>): PredictedOutcome {
  if (UNTIMED.has(name) && probability >= 0.99) return 'direct';
  if (probability >= 0.8) return 'likely';
  return probability >= 0.05 ? 'unlikely' : 'relay';
}

/** What is left where no hole is opened. */
export const RELAY: Strategy = {
  name: 'relay',
  probability: 0,
  packets: 0,
  timeMs: 0,
  reasons: [{ code: 'relay', text: 'a TURN server carries the traffic; no hole is opened' }],
};

function reasonsAbout(a: PunchSide, b: PunchSide, plainChance: number): Reason[] {
  const blocked = [a, b].filter(({ behaviour }) => behaviour.type === 'udp-blocked');
  if (blocked.length > 0)
    return blocked.map(({ side }) => ({ code: 'udp-blocked', text: `${side.toUpperCase()} has no UDP` }));
  const reasons: Reason[] = [];
  if (shareAddress(a.behaviour, b.behaviour))
    reasons.push({
      code: 'same-nat',
      text: 'both are seen under one public address: they are behind one NAT',
    });
  const [one, other] = [likeliestSide(a.behaviour)!, likeliestSide(b.behaviour)!];
  reasons.push(explainPlain(one, other));
  if (plainChance > 0.01 && plainChance < 0.99)
    reasons.push({
      code: 'plain-depends',
      text: `over all that is possible, plain sending works in ${Math.round(100 * plainChance)} %`,
    });
  return reasons;
}

/** Why plain sending works between two certain sides, or doesn't. */
function explainPlain(a: CertainSide, b: CertainSide): Reason {
  const { works, packets } = simulatePunch(a, b);
  if (!works) {
    const moving = [a, b].map(isMoving);
    const who = moving[0] && moving[1] ? 'each side' : moving[0] ? 'A' : 'B';
    const whom = moving[0] && moving[1] ? 'the other' : moving[0] ? 'B' : 'A';
    return {
      code: 'plain-fails',
      text: `plain sending fails: ${who} leaves from a new public endpoint towards ${whom}, which ${whom} can’t know and so doesn’t let in`,
    };
  }
  const reflexive = packets.some(({ heard, source }) => heard && source > 0);
  const text = reflexive
    ? 'plain sending works: one side is heard from another endpoint than the server saw, and is answered there'
    : 'plain sending works: each side is heard from the endpoint that the server saw';
  return { code: 'plain-works', text };
}

/** The prediction where `pairFamilies` finds no pair. */
export function withoutCommonFamily(a: PunchBehaviour, b: PunchBehaviour): Prediction {
  return {
    schema: PREDICTION_SCHEMA,
    a: describeSide(a),
    b: describeSide(b),
    outcome: 'relay',
    probability: 0,
    strategy: 'relay',
    plain: false,
    strategies: [RELAY],
    reasons: [{ code: 'no-common-family', text: 'one side has only IPv4, and the other only IPv6' }],
  };
}

export function describeSide(side: PunchBehaviour): PredictedSide {
  const { name, type, mapping, filtering, confidence, unsolicited, ports, family } = side;
  return {
    name,
    type,
    mapping,
    filtering,
    confidence,
    unsolicited,
    ...(ports !== undefined && { ports: ports.text }),
    ...(family !== undefined && { family }),
  };
}
