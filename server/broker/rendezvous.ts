/**
 * The broker as a machine without I/O: connections and their frames go in, frames to send and
 * connections to close come out. It keeps the promise that nobody is told an address that was not
 * witnessed in its peer's session or, as the one that is told checks, is of a relay that the server names; and that whatever one connection does disturbs no other.
 */
import { decodeClientMessage } from '../../shared/broker/decode.ts';
import {
  BROKER_SCHEMA,
  type Candidates,
  type ClientMessage,
  type Hello,
  type Refuse,
  type ServerMessage,
} from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Machine } from '../../shared/machine.ts';
import type { BusAction, BusInput } from './bus/bus.ts';
import { Cluster } from './bus/cluster.ts';
import { SharedNames } from './bus/shared-names.ts';
import { acceptCandidates, type CheckWitness } from './candidates.ts';
import { Clients } from './clients.ts';
import { type Connection, openConnection } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import { Introductions } from './introductions.ts';
import type { RendezvousAction, RendezvousEvent, RendezvousInput, RendezvousOptions } from './io.ts';
import {
  type BrokerLimits,
  type BrokerTimes,
  DEFAULT_BROKER_LIMITS,
  DEFAULT_BROKER_TIMES,
  PREPARE_BETWEEN_SERVERS_MS,
} from './limits.ts';
import { type Outlet, PLANNERS, Punches } from './punches.ts';
import { refusalIn, refusalOf } from './refusal.ts';
import { type Entry, findPeer, listPeers, Rooms } from './rooms.ts';
import type { PeerSession } from './session.ts';

const CLOSE = { normal: 1000, goingAway: 1001, policy: 1008, tryAgainLater: 1013 } as const;

export type { RendezvousAction, RendezvousEvent, RendezvousInput, RendezvousOptions } from './io.ts';

export class Rendezvous implements Machine<RendezvousInput, RendezvousAction, RendezvousEvent> {
  private readonly limits: BrokerLimits;
  private readonly times: BrokerTimes;
  private readonly checkWitness: CheckWitness;
  private readonly rooms: Rooms;
  private readonly introductions: Introductions;
  private readonly punches: Punches;
  /** Where its broker is one with those of other servers. */
  private readonly cluster: Cluster | undefined;
  private readonly names: SharedNames | undefined;
  private readonly connections = new Map<number, Connection>();
  private readonly clients: Clients;
  /** For whom a name is kept while its connection is lost. */
  private readonly keptFor = new Map<PeerSession, string>();
  private peers = 0;
  private readonly helloDue: Deadlines<Connection>;
  private readonly heartbeatDue: Deadlines<Connection>;
  private readonly silenceDue: Deadlines<Connection>;
  private readonly graceDue: Deadlines<PeerSession>;
  private readonly actions: RendezvousAction[] = [];
  private readonly events: RendezvousEvent[] = [];

  constructor({
    checkWitness,
    random,
    planners = PLANNERS,
    nameRelay,
    correctPrediction,
    checkRoomToken,
    server,
    limits,
    times,
  }: RendezvousOptions) {
    this.limits = { ...DEFAULT_BROKER_LIMITS, ...limits };
    this.times = {
      ...DEFAULT_BROKER_TIMES,
      ...(server !== undefined && { prepareMs: PREPARE_BETWEEN_SERVERS_MS }),
      ...times,
    };
    this.checkWitness = checkWitness;
    this.clients = new Clients(this.limits);
    this.rooms = new Rooms(this.limits, random, checkRoomToken);
    this.helloDue = new Deadlines(this.times.helloMs);
    this.heartbeatDue = new Deadlines(this.times.heartbeatMs);
    this.silenceDue = new Deadlines(this.times.silenceMs);
    this.graceDue = new Deadlines(this.times.graceMs);
    const outlet: Outlet = {
      send: (session, message) => {
        const { connection } = session;
        if (connection !== undefined) this.actions.push({ kind: 'send', connection, message });
        else if (session.server !== undefined) this.cluster?.tell(session, message);
      },
      refuse: (session, error, id) => {
        if (session.connection !== undefined) this.refuse(session.connection, error, id);
        else if (session.server !== undefined) this.cluster?.tell(session, refusalOf(error, id));
      },
      emit: (event) => this.events.push(event),
    };
    this.punches = new Punches({
      limits: this.limits,
      times: this.times,
      outlet,
      planners,
      nameRelay,
      correct: correctPrediction,
    });
    this.introductions = new Introductions({
      limits: this.limits,
      times: this.times,
      outlet,
      punches: this.punches,
    });
    if (server === undefined) return;
    const act = (action: BusAction): void => void this.actions.push({ kind: 'bus', action });
    this.names = new SharedNames(this.times.claimMs, act);
    this.cluster = new Cluster({
      server,
      limits: this.limits,
      times: this.times,
      checkWitness,
      introductions: this.introductions,
      punches: this.punches,
      outlet,
      act,
      find: (room, peer) => this.rooms.find(room, peer),
    });
  }

  handleInput(input: RendezvousInput, now: number): void {
    switch (input.kind) {
      case 'opened':
        this.open(input.connection, input.client, now);
        break;
      case 'stop':
        this.stop(now);
        break;
      case 'bus':
        this.handleBus(input.input, now);
        break;
      case 'frame':
      case 'closed': {
        const connection = this.connections.get(input.connection);
        // One that was closed may still say something.
        if (connection === undefined) return;
        if (input.kind === 'closed') this.lose(connection, now);
        else this.handleFrame(connection, input.text, now);
      }
    }
  }

  handleTimeout(now: number): void {
    for (const connection of this.helloDue.takeDue(now)) this.silence(connection, now);
    for (const connection of this.silenceDue.takeDue(now)) this.silence(connection, now);
    for (const connection of this.heartbeatDue.takeDue(now)) this.beat(connection, now);
    for (const connection of this.names?.takeDue(now) ?? []) this.turnAway(connection, now);
    this.cluster?.handleTimeout(now);
    this.introductions.handleTimeout(now);
    this.punches.handleTimeout(now);
    for (const session of this.graceDue.takeDue(now)) this.leave(session);
  }

  pollAction(): RendezvousAction | undefined {
    return this.actions.shift();
  }

  pollTimeout(): number | undefined {
    const due = [
      this.helloDue.next(),
      this.silenceDue.next(),
      this.heartbeatDue.next(),
      this.graceDue.next(),
      this.names?.nextDue(),
      ...(this.cluster?.nextDue() ?? []),
      ...this.introductions.nextDue(),
      this.punches.nextDue(),
    ].filter((at) => at !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  pollEvent(): RendezvousEvent | undefined {
    return this.events.shift();
  }

  private open(number: number, client: string, now: number): void {
    // A name that is kept takes a place too.
    const isFull = this.connections.size + this.graceDue.size >= this.limits.connections;
    if (isFull || !this.clients.admit(client, now)) {
      const detail = isFull ? 'too many connections' : 'too many connections from one address';
      this.refuse(number, new NatprobeError('ERR_BROKER_FULL', 'the connection', detail));
      this.actions.push({ kind: 'close', connection: number, code: CLOSE.tryAgainLater });
      return;
    }
    const connection = openConnection(number, client, this.limits, now);
    this.connections.set(number, connection);
    this.helloDue.set(connection, now);
  }

  private handleFrame(connection: Connection, text: string, now: number): void {
    try {
      this.handleMessage(connection, this.readFrame(connection, text, now), now);
    } catch (error) {
      this.expel(connection, refusalIn(error), now);
    }
  }

  /** Throws ERR_BROKER_RATE or ERR_BROKER_MESSAGE. */
  private readFrame(connection: Connection, text: string, now: number): ClientMessage {
    if (!connection.frames.take(1, now) || !connection.bytes.take(text.length, now))
      throw new NatprobeError('ERR_BROKER_RATE', 'the connection');
    const message = decodeClientMessage(text);
    const isFirst = connection.session === undefined && this.names?.isWaiting(connection) !== true;
    if ((message.kind === 'hello') === isFirst) return message;
    const detail = isFirst ? 'hello comes first' : 'hello comes once';
    throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', detail);
  }

  /** Throws as Rooms.enter for a hello; what is wrong with other messages is told, and no reason to part. */
  private handleMessage(connection: Connection, message: ClientMessage, now: number): void {
    const { session } = connection;
    this.silenceDue.set(connection, now);
    if (message.kind === 'hello') {
      this.greet(connection, message, now);
      return;
    }
    // Before its welcome a peer has nothing to say that anybody could make use of.
    if (session === undefined) throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', 'too early');
    try {
      this.serve(connection, session, message, now);
    } catch (error) {
      this.refuse(connection.number, refusalIn(error), 'id' in message ? message.id : undefined);
    }
  }

  private greet(connection: Connection, hello: Hello, now: number): void {
    this.helloDue.delete(connection);
    if (this.names === undefined) {
      this.welcome(connection, hello, this.rooms.enter(hello, now), now);
      return;
    }
    const entry = this.rooms.want(hello, now);
    if ('session' in entry) this.welcome(connection, hello, entry, now);
    else this.names.claim(connection, entry, now);
  }

  private welcome(connection: Connection, hello: Hello, entry: Entry, now: number): void {
    const { session, token, resumed, admittedUntil } = entry;
    const isHere = session.connection !== undefined || this.keptFor.has(session);
    const earlier = session.connection === undefined ? undefined : this.connections.get(session.connection);
    if (earlier !== undefined)
      this.expel(earlier, new NatprobeError('ERR_SESSION_MOVED', 'the connection'), now);
    this.release(session);
    session.attach(connection.number, connection.client, hello);
    connection.session = session;
    connection.admittedUntil = admittedUntil;
    const { room, name, number, nonce } = session.identity;
    this.send(connection, {
      kind: 'welcome',
      schema: BROKER_SCHEMA,
      peer: number,
      room: room.name,
      name,
      token,
      nonce,
      heartbeatMs: this.times.heartbeatMs,
      graceMs: this.times.graceMs,
      resumed,
    });
    this.beat(connection, now);
    if (!isHere) this.peers++;
    this.names?.hold(session, now);
    this.events.push({ kind: resumed ? 'resumed' : 'joined', peers: this.peers });
  }

  private serve(
    connection: Connection,
    session: PeerSession,
    message: Exclude<ClientMessage, Hello>,
    now: number,
  ): void {
    switch (message.kind) {
      case 'candidates':
        if (message.introduction === undefined) this.register(connection, session, message, now);
        else this.prepare(session, message.introduction, message, now);
        break;
      case 'heartbeat':
        if (message.beat !== connection.beat || connection.beatSentAt === undefined) break;
        session.addRoundTrip(now - connection.beatSentAt);
        connection.beatSentAt = undefined;
        if (session.wantsRoundTrip) this.beat(connection, now);
        break;
      case 'peers':
        if (this.names !== undefined) this.names.list(connection, session, message.id);
        else
          this.send(connection, {
            kind: 'peers',
            id: message.id,
            peers: listPeers(session.identity.room, now),
          });
        break;
      case 'foresee': {
        this.takeIntroduction(connection, 'foresee', now);
        if (this.cluster !== undefined && isElsewhere(session, message.peer)) {
          this.cluster.foresee(session, message, now);
          break;
        }
        const { peer, ...foresight } = this.introductions.foresee(session, message, now);
        this.send(connection, { kind: 'prediction', id: message.id, peer: peer.peer, ...foresight });
        break;
      }
      case 'introduce':
        this.takeIntroduction(connection, 'introduce', now);
        if (this.cluster !== undefined && isElsewhere(session, message.peer))
          this.cluster.introduce(session, message, now);
        else this.introductions.introduce(session, message, now);
        break;
      case 'consent':
        if (this.cluster?.consent(session, message.introduction) !== true)
          this.introductions.consent(session, message.introduction, now);
        break;
      case 'refuse':
        this.refuseIntroduction(session, message);
        break;
      case 'relayed':
        if (this.cluster?.relayed(session, message) !== true) this.punches.tellRelayed(session, message);
        break;
      case 'outcome':
        if (this.cluster?.report(session, message) !== true) this.punches.report(session, message);
        break;
      case 'bye':
        this.lose(connection, now);
        this.leave(session);
        this.actions.push({ kind: 'close', connection: connection.number, code: CLOSE.normal });
    }
  }

  /** Of the asker it is a withdrawal, and once there is a plan of either side. Throws ERR_NO_INTRODUCTION. */
  private refuseIntroduction(session: PeerSession, message: Refuse): void {
    const { introduction, text } = message;
    if (this.cluster?.refuse(session, message) === true) return;
    if (this.introductions.giveUp(session, introduction)) return;
    const punch = this.punches.withdraw(session, introduction);
    if (punch === undefined) this.introductions.decline(session, introduction, text);
    else this.introductions.giveUpBetween(session, punch.other, punch.transport);
  }

  /** Throws ERR_CANDIDATE; then those before stay. */
  private register(connection: Connection, session: PeerSession, message: Candidates, now: number): void {
    const { nonce } = session.identity;
    session.candidates = acceptCandidates(message, nonce, this.checkWitness, now);
    const { udp, tcp } = session.candidates.witnessed;
    const renewInMs = Math.min(...[...udp, ...tcp].map(({ goodUntil }) => goodUntil - now));
    this.send(connection, { kind: 'registered', public: udp.map(({ endpoint }) => endpoint), renewInMs });
    this.names?.hold(session, now);
  }

  /** Throws ERR_NO_INTRODUCTION or ERR_CANDIDATE. */
  private prepare(session: PeerSession, introduction: number, message: Candidates, now: number): void {
    if (this.cluster?.prepare(session, introduction, message, now) === true) return;
    const { nonce } = session.identity;
    this.introductions.prepare(
      session,
      introduction,
      (transport) => acceptCandidates(message, nonce, this.checkWitness, now, transport),
      now,
    );
  }

  /** Throws ERR_INTRODUCTIONS where the peers of one client together ask too much. */
  private takeIntroduction({ client }: Connection, place: string, now: number): void {
    if (!this.clients.mayIntroduce(client, now))
      throw new NatprobeError('ERR_INTRODUCTIONS', place, 'from one address in a second');
  }

  private handleBus(input: BusInput, now: number): void {
    switch (input.kind) {
      case 'claimed':
        this.handleClaimed(input, now);
        break;
      case 'listed':
        this.handleListed(input);
        break;
      case 'usurped': {
        const session = this.rooms.find(input.room, input.name);
        if (session !== undefined) this.usurp(session, now);
        break;
      }
      default:
        this.cluster?.handleInput(input, now);
    }
  }

  private handleClaimed(input: BusInput & { kind: 'claimed' }, now: number): void {
    const decided = this.names?.decide(input);
    if (decided === undefined) return;
    const { connection, wanted, end } = decided;
    if (end.kind === 'undecided') this.turnAway(connection, now);
    else if (end.kind === 'refused') {
      const place = end.code === 'ERR_ROOM_KEY' ? 'room' : 'name';
      this.expel(connection, new NatprobeError(end.code, place), now);
    } else {
      const entry = this.rooms.settle(wanted, end.number, end.kind === 'resumed', now);
      this.welcome(connection, wanted.hello, entry, now);
    }
  }

  private handleListed({ request, peers }: BusInput & { kind: 'listed' }): void {
    const list = this.names?.takeList(request);
    if (list === undefined) return;
    const { connection, id } = list;
    if (peers !== undefined) this.send(connection, { kind: 'peers', id, peers });
    else this.refuse(connection.number, new NatprobeError('ERR_BROKERS_APART', 'peers'), id);
  }

  /** The session goes on at another server: it is none of this one's any more, and nothing is kept for it. */
  private usurp(session: PeerSession, now: number): void {
    const connection =
      session.connection === undefined ? undefined : this.connections.get(session.connection);
    session.connection = undefined;
    this.introductions.withdraw(session);
    this.cluster?.lose(session);
    this.forget(session);
    if (connection === undefined) return;
    connection.session = undefined;
    this.expel(connection, new NatprobeError('ERR_SESSION_MOVED', 'the connection'), now);
  }

  /** Who has its name can't be told just now. */
  private turnAway(connection: Connection, now: number): void {
    this.expel(connection, new NatprobeError('ERR_BROKERS_APART', 'name'), now, CLOSE.tryAgainLater);
  }

  /** The time for a peer whose token has expired to go, too. */
  private beat(connection: Connection, now: number): void {
    if (now >= connection.admittedUntil) {
      this.expel(connection, new NatprobeError('ERR_ROOM_TOKEN', 'roomToken', 'it has expired'), now);
      return;
    }
    connection.beat++;
    connection.beatSentAt = now;
    this.heartbeatDue.set(connection, now);
    this.send(connection, { kind: 'heartbeat', beat: connection.beat });
  }

  private silence(connection: Connection, now: number): void {
    this.expel(connection, new NatprobeError('ERR_BROKER_SILENT', 'the connection'), now);
  }

  /** Says why, and closes. The name is kept for a while, as where a connection is lost. */
  private expel(
    connection: Connection,
    error: NatprobeError,
    now: number,
    code: number = CLOSE.policy,
  ): void {
    this.refuse(connection.number, error);
    this.actions.push({ kind: 'close', connection: connection.number, code });
    this.lose(connection, now);
  }

  private lose(connection: Connection, now: number): void {
    const { number, client, session } = connection;
    this.connections.delete(number);
    this.helloDue.delete(connection);
    this.heartbeatDue.delete(connection);
    this.silenceDue.delete(connection);
    this.names?.drop(connection);
    if (session === undefined) {
      this.clients.release(client);
      return;
    }
    this.cluster?.lose(session);
    session.connection = undefined;
    this.keptFor.set(session, client);
    this.graceDue.set(session, now);
    this.introductions.withdraw(session);
    this.names?.hold(session, now);
    this.events.push({ kind: 'lost', peers: this.peers });
  }

  private leave(session: PeerSession): void {
    this.names?.release(session);
    this.forget(session);
  }

  private forget(session: PeerSession): void {
    this.cluster?.leave(session);
    this.release(session);
    this.rooms.leave(session);
    this.peers--;
    this.events.push({ kind: 'left', peers: this.peers });
  }

  /** A name that was kept for its peer isn't any more. */
  private release(session: PeerSession): void {
    const client = this.keptFor.get(session);
    if (client === undefined) return;
    this.keptFor.delete(session);
    this.graceDue.delete(session);
    this.clients.release(client);
  }

  private stop(now: number): void {
    const error = new NatprobeError('ERR_BROKER_STOPS', 'the connection');
    for (const connection of [...this.connections.values()])
      this.expel(connection, error, now, CLOSE.goingAway);
  }

  private send({ number }: Connection, message: ServerMessage): void {
    this.actions.push({ kind: 'send', connection: number, message });
  }

  private refuse(connection: number, error: NatprobeError, id?: number): void {
    this.actions.push({ kind: 'send', connection, message: refusalOf(error, id) });
    this.events.push({ kind: 'refused', code: error.code });
  }
}

/** Asked for by whoever is not that peer itself, nor in one room with it at this server. */
function isElsewhere({ identity: { room } }: PeerSession, peer: string | number): boolean {
  return findPeer(room, peer) === undefined;
}
