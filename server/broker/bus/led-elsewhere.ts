/**
 * Introductions that other servers lead, of the peers that are here. A peer knows each by a number of
 * this server; what it says of it goes to the server that leads it.
 */
import type { BrokerPeer, ServerMessage, Transport } from '../../../shared/broker/messages.ts';
import { Deadlines } from '../deadlines.ts';
import { keyOf } from '../names.ts';
import { PerPeer } from '../per-peer.ts';
import type { PeerSession } from '../session.ts';
import type { Word } from './messages.ts';

/** What a server that leads has to say to the other's peer. */
export type LeadersMessage = Extract<
  ServerMessage,
  { readonly kind: 'ask' | 'prepare' | 'plan' | 'withdrawn' | 'relayed' | 'error' }
>;

export interface Led {
  /** As the peer here knows it. */
  readonly number: number;
  readonly leader: string;
  /** As the leader knows it. */
  readonly introduction: number;
  readonly session: PeerSession;
  /** Who asks, and for how long this peer has to consent: where it is asked. */
  asker: BrokerPeer | undefined;
  transport: Transport | undefined;
  stage: 'asked' | 'preparing' | 'prepared' | 'planned';
  /** This peer's number for its own request that comes to the same. */
  backId: number | undefined;
}

export class LedElsewhere {
  private readonly takeNumber: () => number;
  private readonly byNumber = new Map<number, Led>();
  private readonly bySession = new PerPeer<Led>();
  private readonly due: Deadlines<Led>;

  constructor(keepMs: number, takeNumber: () => number) {
    this.due = new Deadlines(keepMs);
    this.takeNumber = takeNumber;
  }

  /** What the peer is to be told of it, in its own numbers; undefined if it knows nothing of that. */
  tell(
    leader: string,
    introduction: number,
    session: PeerSession,
    message: LeadersMessage,
    now: number,
  ): LeadersMessage | undefined {
    const known = this.bySession
      .of(session)
      .find((led) => led.leader === leader && led.introduction === introduction);
    switch (message.kind) {
      case 'error':
        for (const led of this.bySession.of(session))
          if (message.id !== undefined && led.leader === leader && led.backId === message.id)
            this.forget(led);
        return message;
      case 'withdrawn':
        if (known === undefined) return undefined;
        this.forget(known);
        return { ...message, introduction: known.number };
      case 'relayed':
        return known && { ...message, introduction: known.number };
      default: {
        const led = known ?? this.add(leader, introduction, session);
        led.stage = STAGES[message.kind];
        if (message.kind === 'ask') led.asker = message.peer;
        if (message.kind === 'prepare') led.transport = message.transport;
        this.due.set(led, now);
        return { ...message, introduction: led.number };
      }
    }
  }

  /** That of the peer under its own number. */
  of(session: PeerSession, number: number): Led | undefined {
    const led = this.byNumber.get(number);
    return led?.session === session ? led : undefined;
  }

  /** In which `session` is asked by the peer that it asks for itself. */
  findAsk(session: PeerSession, peer: string | number): Led | undefined {
    return this.bySession.of(session).find(({ asker, stage }) => {
      if (asker === undefined || stage !== 'asked') return false;
      return peer === (typeof peer === 'number' ? asker.number : keyOf(asker.name));
    });
  }

  undecided(session?: PeerSession): Led[] {
    const all = session === undefined ? [...this.byNumber.values()] : this.bySession.of(session);
    return all.filter(({ stage }) => stage !== 'planned');
  }

  /** The peer has said that; after some words there is nothing more to say. */
  settle(led: Led, word: Word): void {
    switch (word.kind) {
      case 'consent':
      case 'asks-back':
      case 'relayed':
        break;
      case 'prepared':
        led.stage = 'prepared';
        break;
      case 'outcome':
        // After a failure it may still say that it wants no other attempt.
        if (word.outcome.outcome !== 'open') break;
        this.forget(led);
        break;
      default:
        this.forget(led);
    }
  }

  forget(led: Led): void {
    this.byNumber.delete(led.number);
    this.bySession.delete(led.session, led);
    this.due.delete(led);
  }

  forgetAllOf(session: PeerSession): void {
    for (const led of this.bySession.of(session)) this.forget(led);
  }

  handleTimeout(now: number): void {
    for (const led of this.due.takeDue(now)) this.forget(led);
  }

  nextDue(): number | undefined {
    return this.due.next();
  }

  private add(leader: string, introduction: number, session: PeerSession): Led {
    const led: Led = {
      number: this.takeNumber(),
      leader,
      introduction,
      session,
      asker: undefined,
      transport: undefined,
      stage: 'asked',
      backId: undefined,
    };
    this.byNumber.set(led.number, led);
    this.bySession.add(session, led);
    return led;
  }
}

const STAGES = { ask: 'asked', prepare: 'preparing', plan: 'planned' } as const;
