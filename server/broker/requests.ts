/**
 * What welcome peers ask for and answer: each message goes to what it is about, at this server or at the
 * one that leads it. What can't be met is told, and no reason to part.
 */
import type {
  Candidates,
  ClientMessage,
  Foresee,
  Hello,
  Introduce,
  Refuse,
} from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { BusInput } from './bus/bus.ts';
import type { Cluster } from './bus/cluster.ts';
import type { SharedNames } from './bus/shared-names.ts';
import { acceptCandidates, type CheckWitness } from './candidates.ts';
import type { Clients } from './clients.ts';
import type { Connection } from './connection.ts';
import type { Introductions } from './introductions.ts';
import type { Outbox } from './outbox.ts';
import type { Punches } from './punches.ts';
import { refusalIn } from './refusal.ts';
import { findPeer, listPeers } from './rooms.ts';
import type { PeerSession } from './session.ts';

export interface RequestOptions {
  readonly checkWitness: CheckWitness;
  readonly clients: Clients;
  readonly introductions: Introductions;
  readonly punches: Punches;
  readonly outbox: Outbox;
  /** Both undefined where its broker is its server's alone. */
  readonly cluster: Cluster | undefined;
  readonly names: SharedNames | undefined;
}

/** All but what is about the connection itself. */
export type Request = Exclude<ClientMessage, Hello | { kind: 'heartbeat' } | { kind: 'bye' }>;

export class Requests {
  private readonly options: RequestOptions;

  constructor(options: RequestOptions) {
    this.options = options;
  }

  handleRequest(connection: Connection, session: PeerSession, message: Request, now: number): void {
    try {
      this.serve(connection, session, message, now);
    } catch (error) {
      const id = 'id' in message ? message.id : undefined;
      this.options.outbox.refuse(connection.number, refusalIn(error), id);
    }
  }

  /** Of the peers at all servers. */
  handleListed({ request, peers }: BusInput & { kind: 'listed' }): void {
    const { names, outbox } = this.options;
    const list = names?.takeList(request);
    if (list === undefined) return;
    const { connection, id } = list;
    if (peers !== undefined) outbox.send(connection.number, { kind: 'peers', id, peers });
    else outbox.refuse(connection.number, new NatprobeError('ERR_BROKERS_APART', 'peers'), id);
  }

  private serve(connection: Connection, session: PeerSession, message: Request, now: number): void {
    const { introductions, punches, cluster } = this.options;
    switch (message.kind) {
      case 'candidates':
        if (message.introduction === undefined) this.register(connection, session, message, now);
        else this.prepare(session, message.introduction, message, now);
        break;
      case 'peers':
        this.list(connection, session, message.id, now);
        break;
      case 'foresee':
        this.foresee(connection, session, message, now);
        break;
      case 'introduce':
        this.introduce(connection, session, message, now);
        break;
      case 'consent':
        if (cluster?.consent(session, message.introduction) !== true)
          introductions.consent(session, message.introduction, now);
        break;
      case 'refuse':
        this.refuse(session, message);
        break;
      case 'relayed':
        if (cluster?.relayed(session, message) !== true) punches.tellRelayed(session, message);
        break;
      case 'outcome':
        if (cluster?.report(session, message) !== true) punches.report(session, message);
    }
  }

  /** Throws ERR_CANDIDATE; then those before stay. */
  private register(connection: Connection, session: PeerSession, message: Candidates, now: number): void {
    const { checkWitness, outbox, names } = this.options;
    const { nonce } = session.identity;
    session.candidates = acceptCandidates(message, nonce, checkWitness, now);
    const { udp, tcp } = session.candidates.witnessed;
    const renewInMs = Math.min(...[...udp, ...tcp].map(({ goodUntil }) => goodUntil - now));
    outbox.send(connection.number, {
      kind: 'registered',
      public: udp.map(({ endpoint }) => endpoint),
      renewInMs,
    });
    names?.hold(session, now);
  }

  /** Throws ERR_NO_INTRODUCTION or ERR_CANDIDATE. */
  private prepare(session: PeerSession, introduction: number, message: Candidates, now: number): void {
    const { checkWitness, introductions, cluster } = this.options;
    if (cluster?.prepare(session, introduction, message, now) === true) return;
    const { nonce } = session.identity;
    introductions.prepare(
      session,
      introduction,
      (transport) => acceptCandidates(message, nonce, checkWitness, now, transport),
      now,
    );
  }

  private list(connection: Connection, session: PeerSession, id: number, now: number): void {
    const { outbox, names } = this.options;
    if (names !== undefined) names.list(connection, session, id);
    else outbox.send(connection.number, { kind: 'peers', id, peers: listPeers(session.identity.room, now) });
  }

  /** Throws as Introductions.foresee and Cluster.foresee. */
  private foresee(connection: Connection, session: PeerSession, message: Foresee, now: number): void {
    const { introductions, outbox, cluster } = this.options;
    this.takeIntroduction(connection, 'foresee', now);
    if (cluster !== undefined && isElsewhere(session, message.peer)) {
      cluster.foresee(session, message, now);
      return;
    }
    const { peer, ...foresight } = introductions.foresee(session, message, now);
    outbox.send(connection.number, { kind: 'prediction', id: message.id, peer: peer.peer, ...foresight });
  }

  /** Throws as Introductions.introduce and Cluster.introduce. */
  private introduce(connection: Connection, session: PeerSession, message: Introduce, now: number): void {
    const { introductions, cluster } = this.options;
    this.takeIntroduction(connection, 'introduce', now);
    if (cluster !== undefined && isElsewhere(session, message.peer)) cluster.introduce(session, message, now);
    else introductions.introduce(session, message, now);
  }

  /** Of the asker it is a withdrawal, and once there is a plan of either side. Throws ERR_NO_INTRODUCTION. */
  private refuse(session: PeerSession, message: Refuse): void {
    const { introductions, punches, cluster } = this.options;
    const { introduction, text } = message;
    if (cluster?.refuse(session, message) === true) return;
    if (introductions.giveUp(session, introduction)) return;
    const punch = punches.withdraw(session, introduction);
    if (punch === undefined) introductions.decline(session, introduction, text);
    else introductions.giveUpBetween(session, punch.other, punch.transport);
  }

  /** Throws ERR_INTRODUCTIONS where the peers of one client together ask too much. */
  private takeIntroduction({ client }: Connection, place: string, now: number): void {
    if (!this.options.clients.mayIntroduce(client, now))
      throw new NatprobeError('ERR_INTRODUCTIONS', place, 'from one address in a second');
  }
}

/** Asked for by whoever is not that peer itself, nor in one room with it at this server. */
function isElsewhere({ identity: { room } }: PeerSession, peer: string | number): boolean {
  return findPeer(room, peer) === undefined;
}
