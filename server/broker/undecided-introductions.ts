import type { Transport } from '../../shared/broker/messages.ts';
import { Deadlines } from './deadlines.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import { PerPeer } from './per-peer.ts';
import { tooMany } from './punches.ts';
import type { PeerSession, SessionCandidates } from './session.ts';

/** An introduction that was asked for, until it is planned or comes to nothing. */
export interface Introduction {
  readonly number: number;
  readonly asker: PeerSession;
  readonly asked: PeerSession;
  /** The asker's number for it, and that of the asked peer if it asks back. */
  readonly id: number;
  askedId: number | undefined;
  attempt: number;
  readonly transport: Transport;
  /** Once there is consent: the sides that were asked for fresh candidates, with those that have come. */
  fresh: Map<PeerSession, SessionCandidates | undefined> | undefined;
}

/** The introductions that are not decided: by number, by peer, and by what they wait for and until when. */
export class UndecidedIntroductions {
  private readonly mostPerPeer: number;
  private readonly byNumber = new Map<number, Introduction>();
  private readonly byPeer = new PerPeer<Introduction>();
  private readonly consentDue: Deadlines<number>;
  private readonly prepareDue: Deadlines<number>;

  constructor({ pendingPerPeer }: BrokerLimits, { consentMs, prepareMs }: BrokerTimes) {
    this.mostPerPeer = pendingPerPeer;
    this.consentDue = new Deadlines(consentMs);
    this.prepareDue = new Deadlines(prepareMs);
  }

  all(): Introduction[] {
    return [...this.byNumber.values()];
  }

  /** Those of a peer, whether it asks or is asked. */
  of(session: PeerSession): Introduction[] {
    return this.byPeer.of(session);
  }

  find(number: number): Introduction | undefined {
    return this.byNumber.get(number);
  }

  findBetween(asker: PeerSession, asked: PeerSession, transport: Transport): Introduction | undefined {
    return this.byPeer
      .of(asker)
      .find((one) => one.asker === asker && one.asked === asked && one.transport === transport);
  }

  /** The asked peer is to say whether it consents. Throws ERR_INTRODUCTIONS. */
  awaitConsent(introduction: Introduction, now: number): void {
    this.add(introduction);
    this.consentDue.set(introduction.number, now);
  }

  /** There is consent, and these are to send fresh candidates. Throws ERR_INTRODUCTIONS. */
  awaitCandidates(introduction: Introduction, from: readonly PeerSession[], now: number): void {
    if (!this.byNumber.has(introduction.number)) this.add(introduction);
    this.consentDue.delete(introduction.number);
    this.prepareDue.set(introduction.number, now);
    introduction.fresh = new Map(from.map((session) => [session, undefined]));
  }

  /** It is decided, or is to be no more. */
  delete({ number, asker, asked }: Introduction): void {
    const introduction = this.byNumber.get(number);
    if (introduction === undefined) return;
    this.byNumber.delete(number);
    this.consentDue.delete(number);
    this.prepareDue.delete(number);
    this.byPeer.delete(asker, introduction);
    this.byPeer.delete(asked, introduction);
  }

  /** Those that have waited for consent for too long; they are undecided no more. */
  takeUnanswered(now: number): Introduction[] {
    return this.take(this.consentDue.takeDue(now));
  }

  /** Likewise, for fresh candidates. */
  takeUnprepared(now: number): Introduction[] {
    return this.take(this.prepareDue.takeDue(now));
  }

  nextDue(): (number | undefined)[] {
    return [this.consentDue.next(), this.prepareDue.next()];
  }

  private take(numbers: readonly number[]): Introduction[] {
    const taken = numbers.map((number) => this.byNumber.get(number)!);
    for (const introduction of taken) this.delete(introduction);
    return taken;
  }

  /** Throws ERR_INTRODUCTIONS. */
  private add(introduction: Introduction): void {
    const { number, asker, asked, transport } = introduction;
    if (this.findBetween(asker, asked, transport) !== undefined) throw tooMany('of this peer');
    for (const session of [asker, asked]) {
      if (this.byPeer.count(session) >= this.mostPerPeer)
        throw tooMany(session === asker ? 'are being asked' : 'wait for that peer');
    }
    this.byNumber.set(number, introduction);
    this.byPeer.add(asker, introduction);
    this.byPeer.add(asked, introduction);
  }
}
