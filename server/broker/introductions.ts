/** Introductions: asked for, consented to, planned, and how they ended. Only between registered peers of one room. */
import {
  type Introduce,
  type Outcome,
  type PlannedPrediction,
  type ServerMessage,
  TEXT_LENGTH,
} from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { planPunch } from '../../shared/punch/plan.ts';
import { plainLine } from '../../shared/words.ts';
import { candidatesFor } from './candidates.ts';
import { Deadlines } from './deadlines.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import { findPeer } from './rooms.ts';
import type { PeerSession } from './session.ts';

/** How a punch went, as one side has it. */
export type ReportedOutcome = Omit<Outcome, 'kind' | 'introduction'>;

/** What a plan promised, and what became of it. */
export interface PunchRecord {
  readonly introduction: number;
  /** The behaviours in short; `a` asked. */
  readonly a: string;
  readonly b: string;
  readonly prediction: PlannedPrediction;
}

export type IntroductionEvent =
  | ({ readonly kind: 'planned' } & PunchRecord)
  /** A side that reported nothing in time is absent. */
  | ({
      readonly kind: 'punched';
      readonly outcomes: { readonly a?: ReportedOutcome; readonly b?: ReportedOutcome };
    } & PunchRecord);

/** Where messages and events go. */
export interface Outlet {
  send(session: PeerSession, message: ServerMessage): void;
  refuse(session: PeerSession, error: NatprobeError, id?: number): void;
  emit(event: IntroductionEvent): void;
}

interface Pending {
  readonly number: number;
  readonly asker: PeerSession;
  readonly asked: PeerSession;
  /** The asker's number for it. */
  readonly id: number;
  readonly attempt: number;
}

interface Planned {
  readonly record: PunchRecord;
  readonly sides: Readonly<Record<'a' | 'b', PeerSession>>;
  readonly outcomes: { a?: ReportedOutcome; b?: ReportedOutcome };
}

export class Introductions {
  private readonly limits: BrokerLimits;
  private readonly times: BrokerTimes;
  private readonly outlet: Outlet;
  private readonly pending = new Map<number, Pending>();
  private readonly planned = new Map<number, Planned>();
  private readonly pendingOf = new Map<PeerSession, Set<Pending>>();
  private readonly plannedOf = new Map<PeerSession, Set<Planned>>();
  private readonly consentDue: Deadlines<number>;
  private readonly outcomeDue: Deadlines<number>;
  private lastNumber = 0;

  constructor(limits: BrokerLimits, times: BrokerTimes, outlet: Outlet) {
    this.limits = limits;
    this.times = times;
    this.outlet = outlet;
    this.consentDue = new Deadlines(times.consentMs);
    this.outcomeDue = new Deadlines(times.outcomeMs);
  }

  /** Throws ERR_NOT_REGISTERED, ERR_NO_PEER, ERR_PEER_AWAY, ERR_PEER_REFUSED or ERR_INTRODUCTIONS. */
  introduce(asker: PeerSession, { id, peer, attempt = 1 }: Introduce, now: number): void {
    if (!asker.isRegistered(now)) throw new NatprobeError('ERR_NOT_REGISTERED', 'introduce');
    const asked = findPeer(asker.identity.room, peer);
    if (asked === undefined) throw new NatprobeError('ERR_NO_PEER', 'peer');
    if (asked === asker) throw new NatprobeError('ERR_NO_PEER', 'peer', 'that is this peer itself');
    if (!isReachable(asked, now)) throw new NatprobeError('ERR_PEER_AWAY', 'peer');
    if (!asker.introductions.take(1, now)) throw tooMany('in a second');
    const other = this.pendingBetween(asked, asker);
    // Who asks back consents.
    if (other !== undefined) {
      this.accept(other, now, id);
      return;
    }
    if (asked.consent === 'refuse') throw new NatprobeError('ERR_PEER_REFUSED', 'peer');
    const pending = { number: this.lastNumber + 1, asker, asked, id, attempt };
    if (asked.consent === 'auto') this.plan(pending, now);
    else this.ask(pending, now);
    this.lastNumber = pending.number;
  }

  /** Throws ERR_NO_INTRODUCTION, ERR_NOT_REGISTERED, ERR_PEER_AWAY or ERR_INTRODUCTIONS. */
  consent(session: PeerSession, number: number, now: number): void {
    const pending = this.pendingFor(session, number);
    if (!session.isRegistered(now)) throw new NatprobeError('ERR_NOT_REGISTERED', 'consent');
    if (!isReachable(pending.asker, now)) {
      this.forget(pending);
      const detail = 'the peer has consented';
      this.outlet.refuse(pending.asker, new NatprobeError('ERR_NOT_REGISTERED', 'peer', detail), pending.id);
      throw new NatprobeError('ERR_PEER_AWAY', 'consent');
    }
    this.accept(pending, now);
  }

  /** Throws ERR_NO_INTRODUCTION. */
  refuse(session: PeerSession, number: number, text: string | undefined): void {
    const pending = this.pendingFor(session, number);
    this.forget(pending);
    const said = text === undefined ? undefined : plainLine(text, TEXT_LENGTH);
    this.outlet.refuse(pending.asker, new NatprobeError('ERR_PEER_REFUSED', 'peer', said), pending.id);
  }

  /** Each side says it once. Throws ERR_NO_INTRODUCTION. */
  report(
    session: PeerSession,
    { introduction, outcome, strategy, path, packets, timeMs, reason }: Outcome,
  ): void {
    const planned = this.planned.get(introduction);
    const side = planned?.sides.a === session ? 'a' : planned?.sides.b === session ? 'b' : undefined;
    if (planned === undefined || side === undefined || planned.outcomes[side] !== undefined)
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

  /** Ends what is undecided of a peer that is gone, and tells the others. */
  withdraw(session: PeerSession): void {
    for (const pending of [...(this.pendingOf.get(session) ?? [])]) {
      this.forget(pending);
      if (pending.asker === session)
        this.outlet.send(pending.asked, { kind: 'withdrawn', introduction: pending.number });
      else this.outlet.refuse(pending.asker, new NatprobeError('ERR_PEER_AWAY', 'peer'), pending.id);
    }
  }

  handleTimeout(now: number): void {
    for (const number of this.consentDue.takeDue(now)) {
      const pending = this.pending.get(number)!;
      this.forget(pending);
      this.outlet.send(pending.asked, { kind: 'withdrawn', introduction: number });
      this.outlet.refuse(pending.asker, new NatprobeError('ERR_PEER_SILENT', 'peer'), pending.id);
    }
    for (const number of this.outcomeDue.takeDue(now)) this.conclude(this.planned.get(number)!);
  }

  dueTimes(): (number | undefined)[] {
    return [this.consentDue.next(), this.outcomeDue.next()];
  }

  private ask(pending: Pending, now: number): void {
    const { number: introduction, asker, asked, id } = pending;
    if (this.pendingBetween(asker, asked) !== undefined) throw tooMany('of this peer');
    for (const session of [asker, asked]) {
      if ((this.pendingOf.get(session)?.size ?? 0) >= this.limits.pendingPerPeer)
        throw tooMany(session === asker ? 'are being asked' : 'wait for that peer');
    }
    this.pending.set(introduction, pending);
    addTo(this.pendingOf, asker, pending);
    addTo(this.pendingOf, asked, pending);
    this.consentDue.set(introduction, now);
    this.outlet.send(asker, { kind: 'waiting', id, introduction });
    this.outlet.send(asked, {
      kind: 'ask',
      introduction,
      peer: asker.peer,
      timeoutMs: this.times.consentMs,
    });
  }

  /** `askedId` is the number of a request by which the asked peer asked back. */
  private accept(pending: Pending, now: number, askedId?: number): void {
    this.plan(pending, now, askedId);
    this.forget(pending);
  }

  private plan(pending: Pending, now: number, askedId?: number): void {
    const { number: introduction, asker, asked, id, attempt } = pending;
    this.makeRoom(asker, asked);
    const { prediction: predicted, ...plans } = planPunch(
      asker.sideToPlan(candidatesFor(asked, asker, now), now),
      asked.sideToPlan(candidatesFor(asker, asked, now), now),
      attempt,
    );
    const { outcome, probability, strategy, plain } = predicted;
    const prediction: PlannedPrediction = { outcome, probability, strategy, plain };
    const record = { introduction, a: predicted.a.name, b: predicted.b.name, prediction };
    const planned: Planned = { record, sides: { a: asker, b: asked }, outcomes: {} };
    this.planned.set(introduction, planned);
    addTo(this.plannedOf, asker, planned);
    addTo(this.plannedOf, asked, planned);
    this.outcomeDue.set(introduction, now);
    const common = { kind: 'plan', introduction, prediction } as const;
    this.outlet.send(asker, { ...common, id, side: 'a', peer: asked.peer, plan: plans.a });
    this.outlet.send(asked, {
      ...common,
      ...(askedId !== undefined && { id: askedId }),
      side: 'b',
      peer: asker.peer,
      plan: plans.b,
    });
    this.outlet.emit({ kind: 'planned', ...record });
  }

  /** A new plan of the same two takes the place of the one before. Throws ERR_INTRODUCTIONS. */
  private makeRoom(asker: PeerSession, asked: PeerSession): void {
    for (const earlier of [...(this.plannedOf.get(asker) ?? [])])
      if (earlier.sides.a === asked || earlier.sides.b === asked) this.conclude(earlier);
    for (const session of [asker, asked])
      if ((this.plannedOf.get(session)?.size ?? 0) >= this.limits.plansPerPeer) throw tooMany('under way');
  }

  private conclude(planned: Planned): void {
    const { record, sides, outcomes } = planned;
    this.planned.delete(record.introduction);
    this.outcomeDue.delete(record.introduction);
    removeFrom(this.plannedOf, sides.a, planned);
    removeFrom(this.plannedOf, sides.b, planned);
    this.outlet.emit({ kind: 'punched', ...record, outcomes });
  }

  private pendingFor(session: PeerSession, number: number): Pending {
    const pending = this.pending.get(number);
    if (pending?.asked !== session) throw new NatprobeError('ERR_NO_INTRODUCTION', 'introduction');
    return pending;
  }

  private pendingBetween(asker: PeerSession, asked: PeerSession): Pending | undefined {
    return [...(this.pendingOf.get(asker) ?? [])].find(
      (pending) => pending.asker === asker && pending.asked === asked,
    );
  }

  private forget(pending: Pending): void {
    this.pending.delete(pending.number);
    this.consentDue.delete(pending.number);
    removeFrom(this.pendingOf, pending.asker, pending);
    removeFrom(this.pendingOf, pending.asked, pending);
  }
}

function isReachable(session: PeerSession, now: number): boolean {
  return session.connection !== undefined && session.isRegistered(now);
}

function tooMany(which: string): NatprobeError {
  return new NatprobeError('ERR_INTRODUCTIONS', 'introduce', which);
}

function addTo<Item>(sets: Map<PeerSession, Set<Item>>, session: PeerSession, item: Item): void {
  const set = sets.get(session);
  if (set === undefined) sets.set(session, new Set([item]));
  else set.add(item);
}

function removeFrom<Item>(sets: Map<PeerSession, Set<Item>>, session: PeerSession, item: Item): void {
  const set = sets.get(session);
  set?.delete(item);
  if (set?.size === 0) sets.delete(session);
}
