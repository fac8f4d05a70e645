/**
 * What each side of a punch over TCP does, and when: both connect from the ports that the server saw to
 * each other's (simultaneous open, RFC 9293 §3.5), or one after the other where one refuses what comes
 * too early; who may be called by ports that aren't known listens as well (MEASURING.md §4).
 */
import type { Endpoint, Family } from '../endpoint.ts';
import { isMoving, type Side } from './plain.ts';
import {
  commonFamilies,
  leadMs,
  type PlannedSide,
  type PunchPlan,
  type PunchPlans,
  type PunchRole,
  type PunchStep,
  sideOver,
} from './plan.ts';
import { portsOf, publicOf, type SideToPlan } from './side-to-plan.ts';
import { predictTcp, predictTcpOver, firstToConnect, isRefusing, TCP_TIME_MS } from './tcp-predict.ts';
import type { Prediction } from './predict.ts';
import { shareAddress } from './strategies.ts';
import { MOST_ATTEMPTS, type StrategyName } from './strategy.ts';
import { type CertainTcpSide, likeliestTcpSide, meetsOverTcp, type TcpSide, tcpSideOf } from './tcp-side.ts';

/** Plans a punch that `a` asks for over TCP; the candidates are those of TCP ports. `attempt` counts from 1. */
export function planTcpPunch(a: PlannedSide, b: PlannedSide, attempt = 1): PunchPlans {
  const startMs = leadMs(a, b);
  const pairs = commonFamilies(a, b).map((family, index) => ({
    family,
    atMs: index * SECOND_FAMILY_MS,
    a: sideOver(a, family, startMs),
    b: sideOver(b, family, startMs),
  }));
  const predictions = pairs.map((pair) => predictTcpOver(pair.a.behaviour, pair.b.behaviour));
  const prediction =
    predictions.length === 0
      ? predictTcp(a.behaviour, b.behaviour)
      : predictions.reduce((best, next) => (next.probability > best.probability ? next : best));
  const steps = pairs.map((pair, index) => new Planner(pair, predictions[index]!, attempt).plan());
  const planOf = (own: PlannedSide, peer: PlannedSide, side: Side): PunchPlan => {
    const ownSteps = steps.flatMap((both) => both[side]);
    return {
      transport: 'tcp',
      role: ROLES[side],
      peer: { publicKey: peer.publicKey, candidates: peer.candidates },
      startInMs: startMs - own.rttMs / 2,
      steps: ownSteps,
      timeMs: Math.max(0, ...steps.flatMap((both) => [...both.a, ...both.b]).map(({ untilMs }) => untilMs)),
      limits: LIMITS,
      keepaliveMs: KEEPALIVE_MS,
      attempt,
      attempts: prediction.strategy === 'relay' ? attempt : Math.max(attempt, MOST_ATTEMPTS),
      predicted: { strategy: prediction.strategy, probability: prediction.probability },
    };
  };
  return { prediction, a: planOf(a, b, 'a'), b: planOf(b, a, 'b') };
}

const ROLES: Readonly<Record<Side, PunchRole>> = { a: 'controlling', b: 'controlled' };
const SECOND_FAMILY_MS = 100;
/** How much later the second side connects: more than both sides' clocks are apart. */
const FOLLOW_MS = 150;
/** What a side waits for the other to have done. */
const WAIT_MS = {
  none: 0,
  /** To listen: what the plan may be late by. */
  called: 20,
  first: FOLLOW_MS,
} as const;
/**
 * When the first side takes its call back in the last attempt: a system that doesn't take a SYN for its own
 * call (RFC 9293 §3.5) has a listener to take it with, then. NATs may be in the way of that: it comes last.
 */
const TAKEN_BACK_MS = FOLLOW_MS / 2;
/** Who can be called calls itself only if nobody has: two connections between the same ports are in each other's way. */
const CALLED_MS = 1500;
/** From a refused connection to the next one, at most. */
const RETRY_MS = 120;
/** On one LAN nothing has to be timed: who doesn't listen tries until the other does. */
const LAN_RETRY_MS = 50;
/** That NATs turn connections is slower than a way of one's own: the LAN is tried first. */
const HAIRPIN_AFTER_MS = 300;
/** Of connections and checks; a SYN takes more than a datagram, of NATs as well. */
const LIMITS = { packetsPerSecond: 200, packets: 400 } as const;
/** Where the lifetime matters it is some minutes at least, whatever RFC 5382 REQ-5 wants (2 h 4 min). */
const KEEPALIVE_MS = 60_000;

interface Pair {
  readonly family: Family;
  readonly atMs: number;
  readonly a: SideToPlan;
  readonly b: SideToPlan;
}

class Planner {
  readonly #pair: Pair;
  readonly #prediction: Prediction;
  readonly #sides: Readonly<Record<Side, TcpSide>>;
  /** Who can be called at any time, and waits for that. */
  readonly #called: Side | undefined;
  /** Who connects first, if not both at once. */
  readonly #first: Side | undefined;
  readonly #isLast: boolean;

  constructor(pair: Pair, prediction: Prediction, attempt: number) {
    this.#pair = pair;
    this.#isLast = attempt >= MOST_ATTEMPTS;
    this.#prediction = prediction;
    this.#sides = { a: tcpSideOf('a', pair.a.behaviour), b: tcpSideOf('b', pair.b.behaviour) };
    this.#called = chooseCalled(likeliestTcpSide(this.#sides.a), likeliestTcpSide(this.#sides.b));
    this.#first = chooseFirst(this.#sides.a, this.#sides.b, attempt);
  }

  plan(): Readonly<Record<Side, PunchStep[]>> {
    return { a: this.#planSide('a', 'b'), b: this.#planSide('b', 'a') };
  }

  #planSide(own: Side, peer: Side): PunchStep[] {
    const near = this.#connectPrivate(own, this.#pair[peer]);
    const { a, b } = this.#pair;
    const isTurned = shareAddress(a.behaviour, b.behaviour);
    if (isTurned && [a, b].some(({ behaviour }) => behaviour.hairpin === 'none')) return near;
    return [...near, ...this.#connectPublic(own, peer, isTurned ? HAIRPIN_AFTER_MS : 0)];
  }

  /** Without a NAT in between what comes too early is refused always: one side listens. */
  #connectPrivate(own: Side, { candidates }: SideToPlan): PunchStep[] {
    const to = candidates.filter(({ kind }) => kind === 'private').map(({ endpoint }) => endpoint);
    if (to.length === 0) return [];
    return ROLES[own] === 'controlled'
      ? [this.#step('lan', 0, { kind: 'listen', family: this.#pair.family })]
      : [this.#step('lan', 0, { kind: 'connect', to, everyMs: LAN_RETRY_MS })];
  }

  #connectPublic(own: Side, peer: Side, afterMs: number): PunchStep[] {
    const to = publicOf(this.#pair[peer]);
    if (to.length === 0) return [];
    const { strategy } = this.#prediction;
    const name: StrategyName = strategy === 'relay' || strategy === 'lan' ? 'plain' : strategy;
    const listen = this.#step(name, afterMs, { kind: 'listen', family: this.#pair.family });
    if (this.#called === own)
      return [listen, this.#step(name, afterMs + CALLED_MS, { kind: 'connect', to, everyMs: RETRY_MS })];
    const first = this.#called === peer ? 'called' : this.#first === peer ? 'first' : 'none';
    const atMs = afterMs + WAIT_MS[first];
    // A peer whose ports move calls from one that isn't known.
    const listens =
      this.#called === undefined && (isMoving(likeliestTcpSide(this.#sides[peer])) || this.#first === own);
    // A listener is in the way of connecting again, and takes what comes as well.
    const connect = { kind: 'connect', to, ...(!listens && { everyMs: RETRY_MS }) } as const;
    return [
      this.#step(name, atMs, connect, this.#isLast && this.#first === own ? TAKEN_BACK_MS : undefined),
      ...(listens ? [listen] : []),
      ...this.#guess(own, peer, to[0]!, atMs),
    ];
  }

  #guess(own: Side, peer: Side, { address }: Endpoint, atMs: number): PunchStep[] {
    const guessing = this.#prediction.strategies.find(({ name }) => name === 'port-prediction')?.guessing;
    const [ownSide, peerSide] = [this.#sides[own], this.#sides[peer]].map(likeliestTcpSide);
    if (guessing === undefined || !isMoving(peerSide!)) return [];
    if (meetsOverTcp(ownSide!, peerSide!, 'plain') || !meetsOverTcp(ownSide!, peerSide!, 'bGuessed'))
      return [];
    const ports = portsOf(this.#pair[peer], guessing.probes) ?? [];
    if (ports.length === 0) return [];
    return [this.#step('port-prediction', atMs, { kind: 'guess', address, ports, rounds: 1 })];
  }

  #step(strategy: StrategyName, atMs: number, action: PunchStep['action'], lastsMs?: number): PunchStep {
    const begins = this.#pair.atMs + atMs;
    const untilMs =
      lastsMs === undefined ? this.#pair.atMs + HAIRPIN_AFTER_MS + TCP_TIME_MS : begins + lastsMs;
    return { strategy, atMs: begins, untilMs, action };
  }
}

/** Of two who can be called it is the one who hasn't asked. */
function chooseCalled(a: CertainTcpSide, b: CertainTcpSide): Side | undefined {
  if (meetsOverTcp(a, b, 'aAlone')) return 'b';
  return meetsOverTcp(a, b, 'bAlone') ? 'a' : undefined;
}

/** As predicted; where that isn't known later attempts try either order. */
function chooseFirst(a: TcpSide, b: TcpSide, attempt: number): Side | undefined {
  const known = firstToConnect(a, b)?.side;
  if (known !== undefined || [a, b].every(isRefusing)) return known;
  return ([undefined, 'a', 'b'] as const)[(attempt - 1) % 3];
}
