/**
 * Introductions: asked for, consented to, and prepared where candidates have to be fresh. Only between
 * registered peers of one room.
 */
import { type Foresee, type Introduce, TEXT_LENGTH, type Transport } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { plainLine } from '../../shared/words.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import { type Foresight, type Outlet, type Punches, type PunchSide, tooMany } from './punches.ts';
import { findPeer } from './rooms.ts';
import type { PeerSession, SessionCandidates } from './session.ts';
import { type Introduction, UndecidedIntroductions } from './undecided-introductions.ts';

export interface IntroductionOptions {
  readonly limits: BrokerLimits;
  readonly times: BrokerTimes;
  readonly outlet: Outlet;
  readonly punches: Punches;
}

/** What an asker says of what it wants. */
export type Asking = Pick<Introduce, 'id' | 'attempt' | 'transport'>;

/** Over that transport. Throws ERR_CANDIDATE. */
export type AcceptFresh = (transport: Transport) => SessionCandidates;

export class Introductions {
  private readonly options: IntroductionOptions;
  private readonly undecided: UndecidedIntroductions;
  private lastNumber = 0;

  constructor(options: IntroductionOptions) {
    this.options = options;
    this.undecided = new UndecidedIntroductions(options.limits, options.times);
  }

  /** To a peer that is here. Throws ERR_NOT_REGISTERED, ERR_NO_PEER, ERR_PEER_AWAY, ERR_PEER_REFUSED, ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  introduce(asker: PeerSession, message: Introduce, now: number): void {
    if (!asker.isRegistered(now)) throw new NatprobeError('ERR_NOT_REGISTERED', 'introduce');
    const asked = findOther(asker, message.peer);
    if (!isReachable(asked, now)) throw new NatprobeError('ERR_PEER_AWAY', 'peer');
    this.options.punches.plannerOf(message.transport ?? 'udp');
    takeOne(asker, now);
    this.introduceTo(asker, asked, message, now);
  }

  /** What can be told before it is known who has that peer. Throws ERR_NOT_REGISTERED, ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  mayAsk(asker: PeerSession, transport: Transport, now: number): void {
    if (!asker.isRegistered(now)) throw new NatprobeError('ERR_NOT_REGISTERED', 'introduce');
    this.options.punches.plannerOf(transport);
    takeOne(asker, now);
  }

  /** Likewise. Throws ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  mayForesee(asker: PeerSession, transport: Transport, now: number): void {
    this.options.punches.plannerOf(transport, 'foresee');
    takeOne(asker, now);
  }

  /**
   * To a peer that can be reached; `back` is what it asks the asker for, if it does. Throws ERR_PEER_REFUSED or
   * ERR_INTRODUCTIONS.
   */
  introduceTo(
    asker: PeerSession,
    asked: PeerSession,
    { id, attempt = 1, transport = 'udp' }: Asking,
    now: number,
    back?: Asking,
  ): void {
    const other = this.undecided.findBetween(asked, asker, transport);
    if (other !== undefined) {
      this.askBack(other, id, attempt, now);
      return;
    }
    if (asked.consent === 'refuse' && back === undefined) throw new NatprobeError('ERR_PEER_REFUSED', 'peer');
    const number = this.lastNumber + 1;
    const pending = {
      number,
      asker,
      asked,
      id,
      askedId: back?.id,
      attempt: Math.max(attempt, back?.attempt ?? 1),
      transport,
      fresh: undefined,
    };
    if (asked.consent === 'auto' || back !== undefined) this.prepareOrPlan(pending, now);
    else this.ask(pending, now);
    this.lastNumber = number;
  }

  /** False if `asker` is asked for nothing by that peer; else that peer is asked back. Throws ERR_INTRODUCTIONS. */
  askBackIfAsked(session: PeerSession, of: PeerSession, asking: Asking, now: number): boolean {
    const { id, attempt = 1, transport = 'udp' } = asking;
    const other = this.undecided.findBetween(of, session, transport);
    if (other === undefined) return false;
    this.askBack(other, id, attempt, now);
    return true;
  }

  /** As a consent, of a peer that asks for whoever asks it. Throws ERR_NO_INTRODUCTION or ERR_INTRODUCTIONS. */
  consentByAsking(session: PeerSession, number: number, { id, attempt = 1 }: Asking, now: number): void {
    this.askBack(this.askedFor(session, number), id, attempt, now);
  }

  /** A number that no other introduction has. */
  takeNumber(): number {
    return ++this.lastNumber;
  }

  /** The other servers whose peers are waited for. */
  serversWaitedFor(): string[] {
    return this.undecided.all().flatMap(({ asked: { server } }) => server ?? []);
  }

  /** Nobody is asked for it. Throws ERR_NO_PEER, ERR_PEER_AWAY, ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  foresee(
    asker: PeerSession,
    { peer, transport = 'udp' }: Foresee,
    now: number,
  ): Foresight & { readonly peer: PeerSession } {
    const asked = findOther(asker, peer);
    if (!isReachable(asked, now)) throw new NatprobeError('ERR_PEER_AWAY', 'peer');
    takeOne(asker, now);
    return { peer: asked, ...this.options.punches.foresee(asker, asked, transport, now) };
  }

  /** Throws ERR_NO_INTRODUCTION, ERR_NOT_REGISTERED, ERR_PEER_AWAY or ERR_INTRODUCTIONS. */
  consent(session: PeerSession, number: number, now: number): void {
    const pending = this.askedFor(session, number);
    if (!session.isRegistered(now)) throw new NatprobeError('ERR_NOT_REGISTERED', 'consent');
    if (!isReachable(pending.asker, now)) {
      this.undecided.delete(pending);
      const detail = 'the peer has consented';
      this.refuse(pending.asker, new NatprobeError('ERR_NOT_REGISTERED', 'peer', detail), pending.id);
      throw new NatprobeError('ERR_PEER_AWAY', 'consent');
    }
    this.prepareOrPlan(pending, now);
  }

  /** Throws ERR_NO_INTRODUCTION. */
  decline(session: PeerSession, number: number, text: string | undefined): void {
    const pending = this.askedFor(session, number);
    this.undecided.delete(pending);
    const said = text === undefined ? undefined : plainLine(text, TEXT_LENGTH);
    this.refuse(pending.asker, new NatprobeError('ERR_PEER_REFUSED', 'peer', said), pending.id);
  }

  /** The asker wants it no more. False if it has asked for none of that number, or it is decided. */
  giveUp(session: PeerSession, number: number): boolean {
    const pending = this.undecided.find(number);
    if (pending?.asker !== session) return false;
    this.undecided.delete(pending);
    this.withdrawFrom(pending, givenUp());
    return true;
  }

  /** A side has ended the punch of these two: the next attempt of it, if one was asked for, comes to nothing as well. */
  giveUpBetween(session: PeerSession, other: PeerSession, transport: Transport): void {
    const own = this.undecided.findBetween(session, other, transport);
    if (own !== undefined) this.giveUp(session, own.number);
    const others = this.undecided.findBetween(other, session, transport);
    if (others === undefined) return;
    this.undecided.delete(others);
    this.refuse(other, givenUp(), others.id);
  }

  /**
   * Fresh candidates of one side for the introduction that they name; `accept` throws where they can't be
   * taken. Throws ERR_NO_INTRODUCTION, or ERR_CANDIDATE, which ends the introduction.
   */
  prepare(session: PeerSession, number: number, accept: AcceptFresh, now: number): void {
    const pending = this.undecided.find(number);
    if (pending?.fresh?.has(session) !== true || pending.fresh.get(session) !== undefined)
      throw new NatprobeError('ERR_NO_INTRODUCTION', 'candidates');
    const { transport, fresh } = pending;
    try {
      fresh.set(session, accept(transport));
    } catch (error) {
      this.fail(pending, [session]);
      throw error;
    }
    if (![...fresh.values()].includes(undefined)) this.plan(pending, now);
  }

  /** Ends what is undecided of a peer that is gone, and tells the others. */
  withdraw(session: PeerSession): void {
    for (const pending of this.undecided.of(session)) {
      this.undecided.delete(pending);
      if (pending.asker === session) this.withdrawFrom(pending, new NatprobeError('ERR_PEER_AWAY', 'peer'));
      else this.refuse(pending.asker, new NatprobeError('ERR_PEER_AWAY', 'peer'), pending.id);
    }
  }

  handleTimeout(now: number): void {
    for (const pending of this.undecided.takeUnanswered(now)) {
      const error = new NatprobeError('ERR_PEER_SILENT', 'peer');
      this.withdrawFrom(pending, error);
      this.refuse(pending.asker, error, pending.id);
    }
    for (const pending of this.undecided.takeUnprepared(now)) {
      const late = [...pending.fresh!].flatMap(([session, candidates]) => (candidates ? [] : [session]));
      this.fail(pending, late);
    }
  }

  nextDue(): (number | undefined)[] {
    return this.undecided.nextDue();
  }

  private ask(pending: Introduction, now: number): void {
    const { number: introduction, asker, asked, id } = pending;
    this.undecided.awaitConsent(pending, now);
    this.options.outlet.send(asker, { kind: 'waiting', id, introduction });
    this.options.outlet.send(asked, {
      kind: 'ask',
      introduction,
      peer: asker.peer,
      timeoutMs: this.options.times.consentMs,
    });
  }

  /** Who asks back consents. */
  private askBack(pending: Introduction, id: number, attempt: number, now: number): void {
    // From another server it may come twice.
    if (pending.askedId === id && pending.asked.server !== undefined) return;
    if (pending.fresh !== undefined && pending.askedId !== undefined) throw tooMany('of this peer');
    pending.askedId = id;
    pending.attempt = Math.max(pending.attempt, attempt);
    if (pending.fresh === undefined) this.prepareOrPlan(pending, now);
  }

  /** There is consent: both are told at once, or those whose candidates can't be used as they are get fresh ones first. */
  private prepareOrPlan(pending: Introduction, now: number): void {
    const { number: introduction, asker, asked, attempt, transport } = pending;
    const { times, outlet } = this.options;
    const mustBeFresh = attempt > 1 || transport !== 'udp';
    const wanting = [asker, asked].filter(
      (session) => mustBeFresh || session.havePortsMoved(now, times.portsMs),
    );
    if (wanting.length === 0) {
      this.plan(pending, now);
      return;
    }
    this.undecided.awaitCandidates(pending, wanting, now);
    const timeoutMs = times.prepareMs;
    for (const session of wanting)
      outlet.send(session, { kind: 'prepare', introduction, transport, timeoutMs });
  }

  private plan(pending: Introduction, now: number): void {
    const { number: introduction, asker, asked, id, askedId, attempt, transport, fresh } = pending;
    const sideOf = (session: PeerSession, ownId: number | undefined): PunchSide => {
      return { session, candidates: fresh?.get(session) ?? session.candidates, id: ownId };
    };
    try {
      const sides = { a: sideOf(asker, id), b: sideOf(asked, askedId) };
      this.options.punches.plan({ introduction, transport, attempt, ...sides }, now);
    } catch (error) {
      // Who asked for it hears of it even where the other side's message has led here.
      if (fresh === undefined || !(error instanceof NatprobeError)) throw error;
      this.refuse(asker, error, id);
      this.withdrawFrom(pending, error);
    }
    this.undecided.delete(pending);
  }

  /** What was to be prepared isn't; `late` are those who didn't do it. */
  private fail(pending: Introduction, late: readonly PeerSession[]): void {
    this.undecided.delete(pending);
    const { asker, asked, id } = pending;
    this.refuse(asker, notPrepared(asker, late), id);
    this.withdrawFrom(pending, notPrepared(asked, late));
  }

  /** Tells the asked peer that nothing comes of it: by an error if it has asked too. */
  private withdrawFrom({ asked, askedId, number: introduction }: Introduction, error: NatprobeError): void {
    if (askedId === undefined) this.options.outlet.send(asked, { kind: 'withdrawn', introduction });
    else this.refuse(asked, error, askedId);
  }

  private refuse(session: PeerSession, error: NatprobeError, id: number): void {
    this.options.outlet.refuse(session, error, id);
  }

  /** The question that this peer has yet to answer. */
  private askedFor(session: PeerSession, number: number): Introduction {
    const pending = this.undecided.find(number);
    if (pending?.asked !== session || pending.fresh !== undefined)
      throw new NatprobeError('ERR_NO_INTRODUCTION', 'introduction');
    return pending;
  }
}

/** Throws ERR_NO_PEER. */
function findOther(asker: PeerSession, peer: string | number): PeerSession {
  const asked = findPeer(asker.identity.room, peer);
  if (asked === undefined) throw new NatprobeError('ERR_NO_PEER', 'peer');
  if (asked === asker) throw new NatprobeError('ERR_NO_PEER', 'peer', 'that is this peer itself');
  return asked;
}

function isReachable(session: PeerSession, now: number): boolean {
  return session.isThere && session.isRegistered(now);
}

function givenUp(): NatprobeError {
  return new NatprobeError('ERR_PEER_REFUSED', 'peer', 'it has given up');
}

/** Throws ERR_INTRODUCTIONS. */
function takeOne(asker: PeerSession, now: number): void {
  if (!asker.introductions.take(1, now)) throw tooMany('in a second');
}

function notPrepared(told: PeerSession, late: readonly PeerSession[]): NatprobeError {
  const detail = late.length > 1 ? 'of either side' : late[0] === told ? 'of this side' : 'of the peer';
  return new NatprobeError('ERR_NOT_PREPARED', 'introduce', detail);
}
