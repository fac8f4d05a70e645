/**
 * A broker among those of other servers: seeks peers there, leads introductions to them, and takes part
 * in those that others lead. Whatever is lost on the way, each introduction ends.
 */
import type {
  Candidates,
  Foresee,
  Introduce,
  Outcome,
  Refuse,
  Relayed,
  ServerMessage,
} from '../../../shared/broker/messages.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import { acceptCandidates, type CheckWitness } from '../candidates.ts';
import { Deadlines } from '../deadlines.ts';
import type { Introductions } from '../introductions.ts';
import type { BrokerLimits, BrokerTimes } from '../limits.ts';
import { keyOf, keyOfPeer } from '../names.ts';
import { type Outlet, type Punches, tooMany } from '../punches.ts';
import { refusalIn, refusalOf } from '../refusal.ts';
import type { PeerSession } from '../session.ts';
import type { BusAction, BusInput } from './bus.ts';
import { candidatesFrom, describeCandidates, describePeer, PeersElsewhere } from './elsewhere.ts';
import { type Led, LedElsewhere, type LeadersMessage } from './led-elsewhere.ts';
import type { Post, Seek, SeekAnswer, Word } from './messages.ts';
import { type Search, Searches } from './searches.ts';

export interface ClusterOptions {
  /** This one, among the servers. */
  readonly server: string;
  readonly limits: BrokerLimits;
  readonly times: BrokerTimes;
  readonly checkWitness: CheckWitness;
  readonly introductions: Introductions;
  readonly punches: Punches;
  /** To those who are here. */
  readonly outlet: Pick<Outlet, 'send' | 'refuse'>;
  readonly act: (action: BusAction) => void;
  /** A peer that is here, by the keys of its room and name, or by its number. */
  readonly find: (room: string, peer: string | number) => PeerSession | undefined;
}

export class Cluster {
  private readonly options: ClusterOptions;
  private readonly searches: Searches;
  private readonly elsewhere: PeersElsewhere;
  private readonly led: LedElsewhere;
  private readonly checkDue: Deadlines<'check'>;

  constructor(options: ClusterOptions) {
    const { times, introductions } = options;
    this.options = options;
    this.searches = new Searches(times);
    this.elsewhere = new PeersElsewhere(times.consentMs + times.prepareMs + times.outcomeMs + times.settleMs);
    this.led = new LedElsewhere(times.outcomeMs, () => introductions.takeNumber());
    this.checkDue = new Deadlines(times.checkMs);
  }

  /** A peer that isn't here. Throws ERR_NOT_REGISTERED, ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  introduce(asker: PeerSession, message: Introduce, now: number): void {
    const { id, attempt = 1, transport = 'udp' } = message;
    this.options.introductions.mayAsk(asker, transport, now);
    const wanted = { asker, peer: keyOfPeer(message.peer), id, attempt, transport, isForesight: false };
    const search = this.searches.begin(wanted, now);
    const led = this.led.findAsk(asker, wanted.peer);
    if (led === undefined) {
      this.seek(search);
      return;
    }
    // Who asks back consents.
    led.backId = id;
    this.searches.cede(search);
    this.say(led, { kind: 'asks-back', id, attempt, transport });
  }

  /** Throws ERR_TRANSPORT or ERR_INTRODUCTIONS. */
  foresee(asker: PeerSession, { id, peer, transport = 'udp' }: Foresee, now: number): void {
    this.options.introductions.mayForesee(asker, transport, now);
    const wanted = { asker, peer: keyOfPeer(peer), id, attempt: 1, transport, isForesight: true };
    this.seek(this.searches.begin(wanted, now));
  }

  /** What a peer here says of an introduction that another server leads; false if none does. */
  consent(session: PeerSession, number: number): boolean {
    return this.pass(session, number, ['asked'], { kind: 'consent' });
  }

  refuse(session: PeerSession, { introduction, text }: Refuse): boolean {
    const word = { kind: 'refuse', ...(text !== undefined && { text }) } as const;
    return this.pass(session, introduction, ['asked', 'preparing', 'prepared', 'planned'], word);
  }

  report(session: PeerSession, { introduction, ...said }: Outcome): boolean {
    const { outcome, strategy, path, packets, timeMs, reason } = said;
    const told = {
      outcome,
      packets,
      timeMs,
      ...(strategy !== undefined && { strategy }),
      ...(path !== undefined && { path }),
      ...(reason !== undefined && { reason }),
    };
    return this.pass(session, introduction, ['planned'], { kind: 'outcome', outcome: told });
  }

  relayed(session: PeerSession, { introduction, endpoint }: Relayed): boolean {
    const word = { kind: 'relayed', ...(endpoint !== undefined && { endpoint }) } as const;
    return this.pass(session, introduction, ['planned'], word);
  }

  /** They are checked here, where the session is. Throws ERR_CANDIDATE, which ends the introduction. */
  prepare(session: PeerSession, number: number, message: Candidates, now: number): boolean {
    const led = this.led.of(session, number);
    if (led?.stage !== 'preparing') return false;
    const { nonce } = session.identity;
    try {
      const accepted = acceptCandidates(message, nonce, this.options.checkWitness, now, led.transport);
      this.say(led, { kind: 'prepared', candidates: describeCandidates(accepted, now) });
    } catch (error) {
      const { detail } = refusalIn(error);
      this.say(led, { kind: 'unprepared', ...(detail !== undefined && { detail }) });
      throw error;
    }
    return true;
  }

  /** Its connection is lost, and with it what is undecided. */
  lose(session: PeerSession): void {
    this.searches.endAllOf(session);
    for (const led of this.led.undecided(session)) this.say(led, { kind: 'gone' });
  }

  leave(session: PeerSession): void {
    this.led.forgetAllOf(session);
  }

  /** To a peer at another server. */
  tell({ server, identity: { room, number } }: PeerSession, message: ServerMessage): void {
    const introduction = 'introduction' in message ? message.introduction : 0;
    const about = { from: this.options.server, room: keyOf(room.name), peer: number, introduction };
    this.options.act({ kind: 'post', to: server!, post: { kind: 'tell', ...about, message } });
  }

  handleInput(
    input: Extract<BusInput, { kind: 'sought' | 'not-found' | 'seek' | 'post' | 'unreachable' }>,
    now: number,
  ): void {
    switch (input.kind) {
      case 'sought':
      case 'not-found': {
        const search = this.searches.get(input.request);
        if (search === undefined || search.isLedElsewhere) break;
        if (input.kind === 'sought') this.handleAnswer(search, input.answer, now);
        else this.fail(search, new NatprobeError(input.isKept ? 'ERR_PEER_AWAY' : 'ERR_NO_PEER', 'peer'));
        break;
      }
      case 'seek': {
        const answer = this.answerSeek(input.room, input.peer, input.seek, now);
        this.options.act({ kind: 'answer', reply: input.reply, answer });
        break;
      }
      case 'post':
        if (input.post.kind === 'tell') this.handleTold(input.post, now);
        else this.handleSaid(input.post, now);
        break;
      case 'unreachable':
        this.handleUnreachable(input.server);
    }
    this.watch(now);
  }

  handleTimeout(now: number): void {
    const { again, over } = this.searches.handleTimeout(now);
    for (const search of again) this.seek(search);
    for (const search of over) this.fail(search, new NatprobeError('ERR_BROKERS_APART', 'peer'));
    this.elsewhere.handleTimeout(now);
    this.led.handleTimeout(now);
    if (this.checkDue.takeDue(now).length > 0)
      for (const server of this.serversWaitedFor()) this.options.act({ kind: 'check', server });
    this.watch(now);
  }

  nextDue(): (number | undefined)[] {
    return [...this.searches.nextDue(), this.elsewhere.nextDue(), this.led.nextDue(), this.checkDue.next()];
  }

  private seek({ request, asker, peer, id, attempt, transport, isForesight }: Search): void {
    const { room, number, name } = asker.identity;
    const seek: Seek = {
      from: this.options.server,
      asker: { number, name },
      ...(!isForesight && { asks: { id, attempt, transport } }),
    };
    this.options.act({ kind: 'seek', request, room: keyOf(room.name), peer, seek });
  }

  private handleAnswer(search: Search, answer: SeekAnswer, now: number): void {
    if (answer.kind === 'led') {
      this.searches.cede(search);
      return;
    }
    if (answer.kind === 'refused') {
      this.fail(search, new NatprobeError(answer.code, 'peer', answer.detail));
      return;
    }
    const { asker, id, attempt, transport, isForesight } = search;
    this.searches.end(search);
    const { server, peer, back } = answer;
    const found = this.elsewhere.take(asker.identity.room, server, peer, now - search.sentAt, now);
    const { introductions, punches, outlet } = this.options;
    if (isForesight) {
      outlet.send(asker, {
        kind: 'prediction',
        id,
        peer: found.peer,
        ...punches.foresee(asker, found, transport, now),
      });
      return;
    }
    try {
      introductions.introduceTo(asker, found, { id, attempt, transport }, now, back);
    } catch (error) {
      const refusal = refusalIn(error);
      outlet.refuse(asker, refusal, id);
      if (back !== undefined) this.tell(found, refusalOf(refusal, back.id));
    }
  }

  private fail(search: Search, error: NatprobeError): void {
    this.searches.end(search);
    this.options.outlet.refuse(search.asker, error, search.id);
  }

  private answerSeek(
    room: string,
    peer: string | number,
    { from, asker, asks }: Seek,
    now: number,
  ): SeekAnswer {
    const session = this.options.find(room, peer);
    if (session?.connection === undefined || !session.isRegistered(now))
      return { kind: 'refused', code: 'ERR_PEER_AWAY' };
    const found = { kind: 'found', server: this.options.server, peer: describePeer(session, now) } as const;
    if (asks === undefined) return found;
    try {
      const known = this.elsewhere.find(from, room, asker.number);
      if (known && this.options.introductions.askBackIfAsked(known, session, asks, now))
        return { kind: 'led' };
      if (this.led.undecided(session).length >= this.options.limits.pendingPerPeer)
        throw tooMany('wait for that peer');
    } catch (error) {
      const { code, detail } = refusalIn(error);
      return { kind: 'refused', code, ...(detail !== undefined && { detail }) };
    }
    const own = this.searches.find(session, asker, asks.transport);
    if (own === undefined) return found;
    // Both ask at the same time. One of the servers leads, and both know which.
    if (session.identity.number < asker.number) return { kind: 'led' };
    this.searches.cede(own);
    return { ...found, back: { id: own.id, attempt: own.attempt, transport: asks.transport } };
  }

  private handleTold(
    { from, room, peer, introduction, message }: Post & { kind: 'tell' },
    now: number,
  ): void {
    if (!isLeadersMessage(message)) return;
    const session = this.options.find(room, peer);
    if (session?.connection === undefined) {
      const post: Post = {
        kind: 'said',
        from: this.options.server,
        room,
        peer,
        introduction,
        word: { kind: 'gone' },
      };
      this.options.act({ kind: 'post', to: from, post });
      return;
    }
    const told = this.led.tell(from, introduction, session, message, now);
    if (told === undefined) return;
    const id = 'id' in told ? told.id : undefined;
    if (id === undefined || this.searches.settle(session, id)) this.options.outlet.send(session, told);
    // It was answered by an error, where an answer of this server's was lost; but the other has a plan.
    else if (told.kind === 'plan') {
      const plan = { ...told };
      delete plan.id;
      this.options.outlet.send(session, plan);
    }
  }

  private handleSaid({ from, room, peer, introduction, word }: Post & { kind: 'said' }, now: number): void {
    const session = this.elsewhere.find(from, room, peer);
    if (session === undefined) return;
    try {
      this.hear(session, introduction, word, now);
    } catch (error) {
      // That its candidates can't be taken it has been told.
      if (word.kind === 'unprepared') return;
      this.tell(session, refusalOf(refusalIn(error), word.kind === 'asks-back' ? word.id : undefined));
    }
  }

  private hear(session: PeerSession, introduction: number, word: Word, now: number): void {
    const { introductions, punches } = this.options;
    switch (word.kind) {
      case 'consent':
        introductions.consent(session, introduction, now);
        break;
      case 'refuse': {
        const punch = punches.withdraw(session, introduction);
        if (punch === undefined) introductions.decline(session, introduction, word.text);
        else introductions.giveUpBetween(session, punch.other, punch.transport);
        break;
      }
      case 'prepared': {
        const { candidates } = word;
        introductions.prepare(session, introduction, () => candidatesFrom(candidates, now), now);
        break;
      }
      case 'unprepared':
        introductions.prepare(session, introduction, () => rejectCandidates(word.detail), now);
        break;
      case 'outcome':
        punches.report(session, { kind: 'outcome', introduction, ...word.outcome });
        break;
      case 'relayed':
        punches.tellRelayed(session, { ...word, introduction });
        break;
      case 'asks-back':
        introductions.consentByAsking(session, introduction, word, now);
        break;
      case 'gone':
        introductions.withdraw(session);
    }
  }

  private handleUnreachable(server: string): void {
    for (const session of this.elsewhere.at(server)) this.options.introductions.withdraw(session);
    for (const led of this.led.undecided()) {
      if (led.leader !== server) continue;
      this.led.forget(led);
      const { session, number, backId } = led;
      if (backId === undefined)
        this.options.outlet.send(session, { kind: 'withdrawn', introduction: number });
      else {
        this.searches.settle(session, backId);
        this.options.outlet.refuse(session, new NatprobeError('ERR_PEER_AWAY', 'peer'), backId);
      }
    }
  }

  /** Looks after the servers that are waited for, as long as there are any. */
  private watch(now: number): void {
    if (this.checkDue.size === 0 && this.serversWaitedFor().size > 0) this.checkDue.set('check', now);
  }

  private serversWaitedFor(): Set<string> {
    return new Set([
      ...this.options.introductions.serversWaitedFor(),
      ...this.led.undecided().map(({ leader }) => leader),
    ]);
  }

  private pass(session: PeerSession, number: number, stages: readonly Led['stage'][], word: Word): boolean {
    const led = this.led.of(session, number);
    if (led === undefined || !stages.includes(led.stage)) return false;
    this.say(led, word);
    return true;
  }

  private say(led: Led, word: Word): void {
    this.led.settle(led, word);
    const { leader, introduction, session } = led;
    const { room, number: peer } = session.identity;
    const about = { from: this.options.server, room: keyOf(room.name), peer, introduction };
    this.options.act({ kind: 'post', to: leader, post: { kind: 'said', ...about, word } });
  }
}

function isLeadersMessage(message: ServerMessage): message is LeadersMessage {
  return ['ask', 'prepare', 'plan', 'withdrawn', 'relayed', 'error'].includes(message.kind);
}

/** Throws ERR_CANDIDATE. */
function rejectCandidates(detail: string | undefined): never {
  throw new NatprobeError('ERR_CANDIDATE', '/public', detail);
}
