/** Punches: planned for both sides, and how they ended. */
import {
  type Outcome,
  type PlannedPrediction,
  type Relay,
  type Relayed,
  type ServerMessage,
  TEXT_LENGTH,
  type Transport,
} from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { type PlannedSide, planPunch, type PunchPlans } from '../../shared/punch/plan.ts';
import type { Prediction } from '../../shared/punch/predict.ts';
import { type Preflight, preflightOf } from '../../shared/punch/preflight.ts';
import { planTcpPunch } from '../../shared/punch/tcp-plan.ts';
import { plainLine } from '../../shared/words.ts';
import { candidatesFor, readEndpoint } from './candidates.ts';
import { Deadlines } from './deadlines.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import { PerPeer } from './per-peer.ts';
import type { PeerSession, SessionCandidates } from './session.ts';

/** Plans a punch that `a` asks for; `attempt` counts from 1. */
export type PlanPunch = (a: PlannedSide, b: PlannedSide, attempt: number) => PunchPlans;

/** One for each transport over which there are punches. */
export type Planners = Readonly<Partial<Record<Transport, PlanPunch>>>;

export const PLANNERS: Planners = { udp: planPunch, tcp: planTcpPunch };

const SIDES = ['a', 'b'] as const;

/** Where peers may be relayed; `user` is what the relay knows a side of a punch as. */
export type NameRelay = (user: string) => Relay;

/** What is predicted, with what has been learned of such pairs. */
export type CorrectPrediction = (
  pair: { readonly transport: Transport; readonly a: string; readonly b: string },
  prediction: PlannedPrediction,
) => PlannedPrediction;

/** How a punch went, as one side has it. */
export type ReportedOutcome = Omit<Outcome, 'kind' | 'introduction'>;

/** What a plan promised, and what became of it. */
export interface PunchRecord {
  readonly introduction: number;
  readonly transport: Transport;
  readonly attempt: number;
  /** The behaviours in short; `a` asked. */
  readonly a: string;
  readonly b: string;
  /** From the behaviours alone, without anything learned. */
  readonly prediction: PlannedPrediction;
}

export type PunchEvent =
  | ({ readonly kind: 'planned' } & PunchRecord)
  /** A side that reported nothing in time is absent. */
  | ({
      readonly kind: 'punched';
      readonly outcomes: { readonly a?: ReportedOutcome; readonly b?: ReportedOutcome };
      /** Of the clients of both, as limits name them. */
      readonly networks: readonly [string, string];
    } & PunchRecord);

/** Where messages and events go. */
export interface Outlet {
  send(session: PeerSession, message: ServerMessage): void;
  refuse(session: PeerSession, error: NatprobeError, id?: number): void;
  emit(event: PunchEvent): void;
}

export interface PunchOptions {
  readonly limits: BrokerLimits;
  readonly times: BrokerTimes;
  readonly outlet: Outlet;
  readonly planners: Planners;
  /** Undefined where there is no relay. */
  readonly nameRelay: NameRelay | undefined;
  readonly correct: CorrectPrediction | undefined;
}

export interface PunchSide {
  readonly session: PeerSession;
  readonly candidates: SessionCandidates;
  /** Its number for its request, if it has asked. */
  readonly id: number | undefined;
}

export interface PunchToPlan {
  readonly introduction: number;
  readonly transport: Transport;
  readonly attempt: number;
  readonly a: PunchSide;
  readonly b: PunchSide;
}

interface Planned {
  readonly record: PunchRecord;
  readonly sides: Readonly<Record<'a' | 'b', PeerSession>>;
  readonly outcomes: { a?: ReportedOutcome; b?: ReportedOutcome };
  /** Whether a failure is followed by another attempt. */
  readonly hasMore: boolean;
  /** What became of it has been told. It is kept where both may be waiting for another attempt. */
  isConcluded: boolean;
  /** Who may still say what became of a relay; nobody where none was named. */
  readonly relaying: Set<'a' | 'b'>;
}

export class Punches {
  private readonly limits: BrokerLimits;
  private readonly outlet: Outlet;
  private readonly planners: Planners;
  private readonly nameRelay: NameRelay | undefined;
  private readonly correct: CorrectPrediction;
  private readonly planned = new Map<number, Planned>();
  private readonly plannedOf = new PerPeer<Planned>();
  private readonly outcomeDue: Deadlines<number>;

  constructor({ limits, times, outlet, planners, nameRelay, correct }: PunchOptions) {
    this.limits = limits;
    this.outlet = outlet;
    this.planners = planners;
    this.nameRelay = nameRelay;
    this.correct = correct ?? ((_, prediction) => prediction);
    this.outcomeDue = new Deadlines(times.outcomeMs);
  }

  /** Sends both their plans. Throws ERR_INTRODUCTIONS or ERR_TRANSPORT. */
  plan({ introduction, transport, attempt, a, b }: PunchToPlan, now: number): void {
    const planner = this.plannerOf(transport);
    this.makeRoom(a.session, b.session);
    const { prediction: predicted, ...plans } = planner(
      sideToPlan(a, b, transport, now),
      sideToPlan(b, a, transport, now),
      attempt,
    );
    const pair = { transport, a: predicted.a.name, b: predicted.b.name };
    const record = { introduction, attempt, ...pair, prediction: plannedPrediction(predicted) };
    const prediction = this.correct(pair, record.prediction);
    // A relay costs its operator: it is named where the punch may well fail, or has failed.
    const mayNeedRelay = attempt > 1 || prediction.outcome === 'unlikely' || prediction.outcome === 'relay';
    const nameRelay = mayNeedRelay ? this.nameRelay : undefined;
    const planned: Planned = {
      record,
      sides: { a: a.session, b: b.session },
      outcomes: {},
      hasMore: attempt < plans.a.attempts,
      isConcluded: false,
      relaying: new Set(nameRelay === undefined ? [] : SIDES),
    };
    this.planned.set(introduction, planned);
    this.plannedOf.add(a.session, planned);
    this.plannedOf.add(b.session, planned);
    this.outcomeDue.set(introduction, now);
    for (const [side, own, other] of [
      ['a', a, b],
      ['b', b, a],
    ] as const)
      this.outlet.send(own.session, {
        kind: 'plan',
        introduction,
        ...(own.id !== undefined && { id: own.id }),
        side,
        peer: other.session.peer,
        prediction,
        plan: plans[side],
        ...(nameRelay && { relay: nameRelay(`${introduction}${side}`) }),
      });
    this.outlet.emit({ kind: 'planned', ...record });
  }

  /**
   * What a punch of these two would promise now, with what is known of their endpoints: those over UDP, as
   * ports for TCP are opened for an introduction alone. Throws ERR_TRANSPORT.
   */
  foresee(a: PeerSession, b: PeerSession, transport: Transport, now: number): Foresight {
    const planner = this.plannerOf(transport, 'foresee');
    const [one, other] = [a, b].map((session) => ({
      session,
      candidates: session.candidates,
      id: undefined,
    }));
    const { prediction } = planner(
      sideToPlan(one!, other!, 'udp', now),
      sideToPlan(other!, one!, 'udp', now),
      1,
    );
    const pair = { transport, a: prediction.a.name, b: prediction.b.name } as const;
    const { budget, reasons } = preflightOf(prediction);
    return { prediction: this.correct(pair, plannedPrediction(prediction)), budget, reasons };
  }

  /** Each side says it once. Throws ERR_NO_INTRODUCTION. */
  report(
    session: PeerSession,
    { introduction, outcome, strategy, path, packets, timeMs, reason }: Outcome,
  ): void {
    const { planned, side } = this.underWay(session, introduction) ?? {};
    if (planned === undefined || side === undefined)
      throw new NatprobeError('ERR_NO_INTRODUCTION', 'outcome');
    planned.outcomes[side] = {
      outcome,
      packets,
      timeMs,
      ...(strategy !== undefined && { strategy }),
      ...(path !== undefined && { path }),
      ...(reason !== undefined && { reason: plainLine(reason, TEXT_LENGTH) }),
    };
    if (planned.outcomes.a !== undefined && planned.outcomes.b !== undefined) this.conclude(planned);
  }

  /**
   * One side ends a punch, of which there is nothing to be learned then, or wants no further attempt after one
   * that failed. The other is told: it would go on in vain. Returns whom it was with; undefined if that side
   * has no such punch, or has said how it ended.
   */
  withdraw(
    session: PeerSession,
    introduction: number,
  ): { readonly other: PeerSession; readonly transport: Transport } | undefined {
    const planned = this.planned.get(introduction);
    const side = planned && sideOf(planned, session);
    if (planned === undefined || side === undefined) return undefined;
    const said = planned.outcomes[side]?.outcome;
    if (said === 'open' || (said === 'failed' && !planned.hasMore)) return undefined;
    if (said === undefined) this.forget(planned);
    else this.end(planned);
    const other = planned.sides[otherOf(side)];
    this.outlet.send(other, { kind: 'withdrawn', introduction });
    return { other, transport: planned.record.transport };
  }

  /**
   * Tells the other side, which holds it to the relay's own addresses. Throws ERR_NO_INTRODUCTION where none
   * was named, or that side has said it, and ERR_CANDIDATE.
   */
  tellRelayed(session: PeerSession, { introduction, endpoint }: Relayed): void {
    const { planned, side } = this.underWay(session, introduction) ?? {};
    if (planned === undefined || side === undefined || !planned.relaying.delete(side))
      throw new NatprobeError('ERR_NO_INTRODUCTION', 'relayed');
    this.outlet.send(planned.sides[otherOf(side)], {
      kind: 'relayed',
      introduction,
      ...(endpoint !== undefined && { endpoint: readEndpoint(endpoint, '/endpoint') }),
    });
  }

  handleTimeout(now: number): void {
    for (const number of this.outcomeDue.takeDue(now)) this.end(this.planned.get(number)!);
  }

  nextDue(): number | undefined {
    return this.outcomeDue.next();
  }

  /** Throws ERR_TRANSPORT. */
  plannerOf(transport: Transport, place = 'introduce'): PlanPunch {
    const planner = this.planners[transport];
    if (planner === undefined) throw new NatprobeError('ERR_TRANSPORT', place, transport);
    return planner;
  }

  /** Undefined where that side has no such punch, or has said how it went. */
  private underWay(
    session: PeerSession,
    introduction: number,
  ): { readonly planned: Planned; readonly side: 'a' | 'b' } | undefined {
    const planned = this.planned.get(introduction);
    const side = planned && sideOf(planned, session);
    if (planned === undefined || side === undefined || planned.outcomes[side] !== undefined) return undefined;
    return { planned, side };
  }

  /** A new plan of the same two takes the place of the one before. */
  private makeRoom(asker: PeerSession, asked: PeerSession): void {
    for (const earlier of this.plannedOf.of(asker))
      if (earlier.sides.a === asked || earlier.sides.b === asked) this.end(earlier);
    const isFull = (session: PeerSession): boolean =>
      this.plannedOf.count(session) >= this.limits.plansPerPeer;
    for (const session of [asker, asked]) {
      if (!isFull(session)) continue;
      for (const earlier of this.plannedOf.of(session)) if (earlier.isConcluded) this.forget(earlier);
      if (isFull(session)) throw tooMany('under way');
    }
  }

  private end(planned: Planned): void {
    if (!planned.isConcluded) this.conclude(planned);
    this.forget(planned);
  }

  private conclude(planned: Planned): void {
    const { record, sides, outcomes, hasMore } = planned;
    const networks = [sides.a.client, sides.b.client] as const;
    this.outlet.emit({ kind: 'punched', ...record, outcomes, networks });
    planned.isConcluded = true;
    const haveBothFailed = outcomes.a?.outcome === 'failed' && outcomes.b?.outcome === 'failed';
    if (!hasMore || !haveBothFailed) this.forget(planned);
  }

  private forget(planned: Planned): void {
    const { record, sides } = planned;
    this.planned.delete(record.introduction);
    this.outcomeDue.delete(record.introduction);
    this.plannedOf.delete(sides.a, planned);
    this.plannedOf.delete(sides.b, planned);
  }
}

export interface Foresight extends Pick<Preflight, 'budget' | 'reasons'> {
  readonly prediction: PlannedPrediction;
}

export function tooMany(which: string): NatprobeError {
  return new NatprobeError('ERR_INTRODUCTIONS', 'introduce', which);
}

function sideOf({ sides }: Planned, session: PeerSession): 'a' | 'b' | undefined {
  return SIDES.find((name) => sides[name] === session);
}

function otherOf(side: 'a' | 'b'): 'a' | 'b' {
  return side === 'a' ? 'b' : 'a';
}

function sideToPlan(of: PunchSide, to: PunchSide, transport: Transport, now: number): PlannedSide {
  const told = candidatesFor(to.candidates, of.candidates, transport, now);
  return of.session.sideToPlan(told, of.candidates, transport, now);
}

function plannedPrediction({ outcome, probability, strategy, plain }: Prediction): PlannedPrediction {
  return { outcome, probability, strategy, plain };
}
