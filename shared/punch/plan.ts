/**
 * What each side of a punch does, and when (MEASURING.md §4 and §7). One plan is made for both, so that
 * what one guesses the other opens; it is plain data, to be sent to them.
 */
import { type Endpoint, type Family, familyOf } from '../endpoint.ts';
import type { PortRange } from '../nat/port-law.ts';
import type { PortsAxis } from '../nat/ports.ts';
import { behaviourOf, type PunchBehaviour } from './behaviour.ts';
import { isMoving, type Side, simulatePunch } from './plain.ts';
import { planSteps } from './plan-steps.ts';
import { likeliestSide, predict, predictOver, type Prediction } from './predict.ts';
import type { SideToPlan } from './side-to-plan.ts';
import { DEFAULT_BUDGET, MOST_ATTEMPTS, type StrategyName } from './strategy.ts';

/**
 * `public`: the witnessed endpoint of the main socket. `mapped`: opened by a port mapper. `private`: for
 * a peer behind the same NAT alone. `ipv6`: the witnessed one of that family.
 */
export const CANDIDATE_KINDS = ['public', 'mapped', 'private', 'ipv6'] as const;
export type CandidateKind = (typeof CANDIDATE_KINDS)[number];

export interface PunchCandidate {
  readonly kind: CandidateKind;
  readonly endpoint: Endpoint;
}

export const TRANSPORTS = ['udp', 'tcp'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** What one side is told. Times are milliseconds, those of steps from the common start. */
export interface PunchPlan {
  readonly transport: Transport;
  /** The controlling side nominates the pair that is used. */
  readonly role: PunchRole;
  readonly peer: {
    /** X25519, base64url: the session key is agreed between the peers. */
    readonly publicKey: string;
    readonly candidates: readonly PunchCandidate[];
  };
  /** From the arrival of this plan to the start; corrected by the way that it takes. */
  readonly startInMs: number;
  readonly steps: readonly PunchStep[];
  /** From the start: who has no hole by then has failed. */
  readonly timeMs: number;
  readonly limits: PunchLimits;
  /** Half of the shorter lifetime of both sides' mappings. */
  readonly keepaliveMs: number;
  /** Which attempt of how many: each has fresh sockets, freshly registered (MEASURING.md §7). */
  readonly attempt: number;
  readonly attempts: number;
  readonly predicted: { readonly strategy: StrategyName; readonly probability: number };
}

export const PUNCH_ROLES = ['controlling', 'controlled'] as const;
export type PunchRole = (typeof PUNCH_ROLES)[number];

/** No side sends more, whatever its plan says and its peer asks for. */
export interface PunchLimits {
  readonly packetsPerSecond: number;
  /** Until the hole is open. */
  readonly packets: number;
}

export interface PunchStep {
  readonly strategy: StrategyName;
  readonly atMs: number;
  readonly untilMs: number;
  readonly action: StepAction;
}

export type StepAction =
  /** From the main socket, again and again. With `ttl` packets die on the way: they open, and are not heard. */
  | { readonly kind: 'check'; readonly to: readonly Endpoint[]; readonly ttl?: number }
  /** From the main socket to each of these ports in this order, `rounds` times. */
  | {
      readonly kind: 'guess';
      readonly address: string;
      readonly ports: readonly number[];
      readonly rounds: number;
    }
  /** From the main socket once to each of `probes` ports that are drawn from these ranges. */
  | {
      readonly kind: 'spray';
      readonly address: string;
      readonly ranges: readonly PortRange[];
      readonly probes: number;
    }
  /**
   * Once, or `rounds` times, from each of so many sockets, bound to local ports of a range if there is one.
   * With `isPaired` each sends to one port above that of the socket before.
   */
  | {
      readonly kind: 'spread';
      readonly to: Endpoint;
      readonly sockets: number;
      readonly localPorts?: { readonly first: number; readonly last: number };
      readonly ttl?: number;
      readonly rounds?: number;
      readonly isPaired?: boolean;
    }
  /**
   * Over TCP: a connection from the main port to each of these, and where one fails another each
   * `everyMs`, if there is such a time. A `guess` is one from there to each of its ports.
   */
  | { readonly kind: 'connect'; readonly to: readonly Endpoint[]; readonly everyMs?: number }
  /** Over TCP: takes connections in on the main port. */
  | { readonly kind: 'listen'; readonly family: Family };

/** One side, as the broker or a report knows it. */
export interface PlannedSide {
  readonly behaviour: PunchBehaviour;
  /** What the peer may send to. */
  readonly candidates: readonly PunchCandidate[];
  readonly publicKey: string;
  /** From its report: without it ports that move are taken for random. */
  readonly ports?: Pick<PortsAxis, 'model'>;
  /** To whoever hands over the plan. */
  readonly rttMs: number;
  /** Since its public candidate was seen. */
  readonly seenAgoMs?: number;
  /** NATs in front of it, one in another, where that is known. */
  readonly natLayers?: number;
  /** How long its mappings live. */
  readonly lifetimeMs?: number;
}

export interface PunchPlans {
  readonly prediction: Prediction;
  readonly a: PunchPlan;
  readonly b: PunchPlan;
}

/** Plans a punch that `a` asks for; `attempt` counts from 1. */
export function planPunch(a: PlannedSide, b: PlannedSide, attempt = 1): PunchPlans {
  const families = commonFamilies(a, b);
  const startMs = leadMs(a, b);
  const pairs = families.map((family, index) => ({
    atMs: index * SECOND_FAMILY_MS,
    a: withMappedPort(sideOver(a, family, startMs)),
    b: withMappedPort(sideOver(b, family, startMs)),
  }));
  const predictions = pairs.map((pair) => predictOver(pair.a.behaviour, pair.b.behaviour));
  const prediction =
    predictions.length === 0
      ? predict(a.behaviour, b.behaviour)
      : predictions.reduce((best, next) => (next.probability > best.probability ? next : best));
  const steps = pairs.map((pair, index) =>
    planSteps(pair.a, pair.b, predictions[index]!, attempt, pair.atMs),
  );
  const both = steps.flatMap((pair) => [...pair.a, ...pair.b]);
  const timeMs = Math.max(0, ...both.map(({ untilMs }) => untilMs));
  const lifetimeMs = Math.min(a.lifetimeMs ?? Infinity, b.lifetimeMs ?? Infinity);
  const common = {
    transport: 'udp' as const,
    timeMs,
    limits: MOST_SENT,
    keepaliveMs: Number.isFinite(lifetimeMs) ? Math.max(SHORTEST_KEEPALIVE_MS, lifetimeMs / 2) : KEEPALIVE_MS,
    attempt,
    // What nothing is expected to open isn't tried again.
    attempts: prediction.strategy === 'relay' ? attempt : Math.max(attempt, MOST_ATTEMPTS),
    predicted: { strategy: prediction.strategy, probability: prediction.probability },
  };
  const first = pairs[0] === undefined ? 'a' : firstToHear(pairs[0].a, pairs[0].b);
  return {
    prediction,
    a: {
      ...common,
      role: first === 'a' ? 'controlling' : 'controlled',
      peer: { publicKey: b.publicKey, candidates: b.candidates },
      startInMs: startMs - a.rttMs / 2,
      steps: steps.flatMap((pair) => pair.a),
    },
    b: {
      ...common,
      role: first === 'b' ? 'controlling' : 'controlled',
      peer: { publicKey: a.publicKey, candidates: a.candidates },
      startInMs: startMs - b.rttMs / 2,
      steps: steps.flatMap((pair) => pair.b),
    },
  };
}

/** In which both can be sent to. */
export function commonFamilies(a: PlannedSide, b: PlannedSide): Family[] {
  return FAMILIES.filter((family) => [a, b].every((side) => hasCandidate(side, family)));
}

/** From when the plans are handed over to the start that both can keep. */
export function leadMs(a: PlannedSide, b: PlannedSide): number {
  return LEAD_MS + Math.max(a.rttMs, b.rttMs) / 2;
}

/** IPv6 first, where there is mostly no NAT. */
const FAMILIES: readonly Family[] = ['ipv6', 'ipv4'];
const SECOND_FAMILY_MS = 100;

/** What the plan may be late by. */
const LEAD_MS = 20;
/** Of one side, whatever its plan says. Guesses at 1 ms pace were measured (MEASURING.md §7); the rest is for answers. */
export const MOST_SENT: PunchLimits = { packetsPerSecond: 1200, packets: DEFAULT_BUDGET.packets };
/** Where the lifetime is unknown: half of the shortest that RFC 4787 REQ-5's exception has seen widely, 30 s. */
const KEEPALIVE_MS = 15_000;
const SHORTEST_KEEPALIVE_MS = 1000;

function hasCandidate({ candidates }: PlannedSide, family: Family): boolean {
  return candidates.some(({ endpoint }) => familyOf(endpoint.address) === family);
}

/** The side over one family, with the endpoints that were seen now in place of those of a report. */
export function sideOver(side: PlannedSide, family: Family, startMs: number): SideToPlan {
  const { behaviour, ports, seenAgoMs = 0, natLayers } = side;
  const candidates = side.candidates.filter(({ endpoint }) => familyOf(endpoint.address) === family);
  const known =
    behaviour.family === undefined || behaviour.family === family ? behaviour : behaviour.otherFamily;
  const seen = candidates.find(({ kind }) => kind === 'public' || kind === 'ipv6')?.endpoint;
  const local = candidates.find(({ kind }) => kind === 'private')?.endpoint ?? known?.local;
  return {
    behaviour: {
      ...(known ?? behaviourOf({ mapping: 'unknown', filtering: 'unknown' })),
      ...(local !== undefined && { local }),
      ...(seen !== undefined && { mapped: seen }),
    },
    candidates,
    natLayers,
    seenAgoMs: seenAgoMs + startMs,
    ...(known === behaviour && ports !== undefined && { ports }),
  };
}

/** A port that the side's router maps lets anybody in, and its answers out by the same endpoint. */
function withMappedPort(side: SideToPlan): SideToPlan {
  if (!side.candidates.some(({ kind }) => kind === 'mapped')) return side;
  const { family, local, mapped, hairpin } = side.behaviour;
  return {
    ...side,
    behaviour: {
      ...behaviourOf({ mapping: 'endpoint-independent', filtering: 'endpoint-independent' }),
      unsolicited: 'dropped',
      hairpin,
      ...(family !== undefined && { family }),
      ...(local !== undefined && { local }),
      ...(mapped !== undefined && { mapped }),
    },
  };
}

/**
 * The side whose first packet is heard, and so answered first: it can nominate soonest. Where that is
 * both or neither, one that is heard from a new endpoint; else the one that asks.
 */
function firstToHear(a: SideToPlan, b: SideToPlan): Side {
  const [one, other] = [likeliestSide(a.behaviour), likeliestSide(b.behaviour)];
  if (one === undefined || other === undefined) return 'a';
  const heard = simulatePunch(one, other).packets.filter((packet) => packet.round === 1 && packet.heard);
  if (heard.length === 1) return heard[0]!.sender;
  return isMoving(other) && !isMoving(one) ? 'b' : 'a';
}
