/**
 * Who is here: connections from their opening to their end, and the sessions that begin with a hello, are
 * kept for a while where a connection is lost, and end with a bye, in silence, or at another server.
 */
import { BROKER_SCHEMA, type Hello } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { BusInput } from './bus/bus.ts';
import type { Cluster } from './bus/cluster.ts';
import type { SharedNames } from './bus/shared-names.ts';
import type { Clients } from './clients.ts';
import { type Connection, openConnection } from './connection.ts';
import { Deadlines } from './deadlines.ts';
import type { Introductions } from './introductions.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import type { Outbox } from './outbox.ts';
import type { Entry, Rooms } from './rooms.ts';
import type { PeerSession } from './session.ts';

export interface PresenceOptions {
  readonly limits: BrokerLimits;
  readonly times: BrokerTimes;
  readonly clients: Clients;
  readonly rooms: Rooms;
  readonly introductions: Introductions;
  readonly outbox: Outbox;
  /** Both undefined where its broker is its server's alone. */
  readonly cluster: Cluster | undefined;
  readonly names: SharedNames | undefined;
}

const CLOSE = { normal: 1000, goingAway: 1001, policy: 1008, tryAgainLater: 1013 } as const;

export class Presence {
  private readonly options: PresenceOptions;
  private readonly connections = new Map<number, Connection>();
  /** For whom a name is kept while its connection is lost. */
  private readonly keptFor = new Map<PeerSession, string>();
  private peers = 0;
  private readonly helloDue: Deadlines<Connection>;
  private readonly heartbeatDue: Deadlines<Connection>;
  private readonly silenceDue: Deadlines<Connection>;
  private readonly graceDue: Deadlines<PeerSession>;

  constructor(options: PresenceOptions) {
    const { times } = options;
    this.options = options;
    this.helloDue = new Deadlines(times.helloMs);
    this.heartbeatDue = new Deadlines(times.heartbeatMs);
    this.silenceDue = new Deadlines(times.silenceMs);
    this.graceDue = new Deadlines(times.graceMs);
  }

  /** One that is open. */
  find(connection: number): Connection | undefined {
    return this.connections.get(connection);
  }

  open(number: number, client: string, now: number): void {
    const { limits, clients, outbox } = this.options;
    // A name that is kept takes a place too.
    const isFull = this.connections.size + this.graceDue.size >= limits.connections;
    if (isFull || !clients.admit(client, now)) {
      const detail = isFull ? 'too many connections' : 'too many connections from one address';
      outbox.refuse(number, new NatprobeError('ERR_BROKER_FULL', 'the connection', detail));
      outbox.close(number, CLOSE.tryAgainLater);
      return;
    }
    const connection = openConnection(number, client, limits, now);
    this.connections.set(number, connection);
    this.helloDue.set(connection, now);
  }

  awaitsHello(connection: Connection): boolean {
    return connection.session === undefined && this.options.names?.isWaiting(connection) !== true;
  }

  /** It has said something, whatever that is. */
  hear(connection: Connection, now: number): void {
    this.silenceDue.set(connection, now);
  }

  /** Throws as Rooms.enter. Where names are shared, the welcome comes once it is agreed on who has that one. */
  greet(connection: Connection, hello: Hello, now: number): void {
    const { names, rooms } = this.options;
    this.helloDue.delete(connection);
    if (names === undefined) {
      this.welcome(connection, hello, rooms.enter(hello, now), now);
      return;
    }
    const entry = rooms.want(hello, now);
    if ('session' in entry) this.welcome(connection, hello, entry, now);
    else names.claim(connection, entry, now);
  }

  handleClaimed(input: BusInput & { kind: 'claimed' }, now: number): void {
    const decided = this.options.names?.decide(input);
    if (decided === undefined) return;
    const { connection, wanted, end } = decided;
    if (end.kind === 'undecided') this.turnAway(connection, now);
    else if (end.kind === 'refused') {
      const place = end.code === 'ERR_ROOM_KEY' ? 'room' : 'name';
      this.expel(connection, new NatprobeError(end.code, place), now);
    } else {
      const entry = this.options.rooms.settle(wanted, end.number, end.kind === 'resumed', now);
      this.welcome(connection, wanted.hello, entry, now);
    }
  }

  handleHeartbeat(connection: Connection, session: PeerSession, beat: number, now: number): void {
    if (beat !== connection.beat || connection.beatSentAt === undefined) return;
    session.addRoundTrip(now - connection.beatSentAt);
    connection.beatSentAt = undefined;
    if (session.wantsRoundTrip) this.beat(connection, now);
  }

  handleBye(connection: Connection, session: PeerSession, now: number): void {
    this.lose(connection, now);
    this.leave(session);
    this.options.outbox.close(connection.number, CLOSE.normal);
  }

  /** The session goes on at another server: it is none of this one's any more, and nothing is kept for it. */
  handleUsurped({ room, name }: BusInput & { kind: 'usurped' }, now: number): void {
    const { rooms, introductions, cluster } = this.options;
    const session = rooms.find(room, name);
    if (session === undefined) return;
    const connection = this.connectionOf(session);
    session.connection = undefined;
    introductions.withdraw(session);
    cluster?.lose(session);
    this.forget(session);
    if (connection === undefined) return;
    connection.session = undefined;
    this.expel(connection, new NatprobeError('ERR_SESSION_MOVED', 'the connection'), now);
  }

  /** Says why, and closes. The name is kept for a while, as where a connection is lost. */
  expel(connection: Connection, error: NatprobeError, now: number, code: number = CLOSE.policy): void {
    this.options.outbox.refuse(connection.number, error);
    this.options.outbox.close(connection.number, code);
    this.lose(connection, now);
  }

  lose(connection: Connection, now: number): void {
    const { clients, introductions, outbox, cluster, names } = this.options;
    const { number, client, session } = connection;
    this.connections.delete(number);
    this.helloDue.delete(connection);
    this.heartbeatDue.delete(connection);
    this.silenceDue.delete(connection);
    names?.drop(connection);
    if (session === undefined) {
      clients.release(client);
      return;
    }
    cluster?.lose(session);
    session.connection = undefined;
    this.keptFor.set(session, client);
    this.graceDue.set(session, now);
    introductions.withdraw(session);
    names?.hold(session, now);
    outbox.emit({ kind: 'lost', peers: this.peers });
  }

  stop(now: number): void {
    const error = new NatprobeError('ERR_BROKER_STOPS', 'the connection');
    for (const connection of [...this.connections.values()])
      this.expel(connection, error, now, CLOSE.goingAway);
  }

  /** Of connections; kept names are giveUpKept's. */
  handleTimeout(now: number): void {
    for (const connection of this.helloDue.takeDue(now)) this.silence(connection, now);
    for (const connection of this.silenceDue.takeDue(now)) this.silence(connection, now);
    for (const connection of this.heartbeatDue.takeDue(now)) this.beat(connection, now);
    for (const connection of this.options.names?.takeDue(now) ?? []) this.turnAway(connection, now);
  }

  /** Gives up the names that nobody has come back for in time. */
  giveUpKept(now: number): void {
    for (const session of this.graceDue.takeDue(now)) this.leave(session);
  }

  nextDue(): (number | undefined)[] {
    return [
      this.helloDue.next(),
      this.silenceDue.next(),
      this.heartbeatDue.next(),
      this.graceDue.next(),
      this.options.names?.nextDue(),
    ];
  }

  private welcome(connection: Connection, hello: Hello, entry: Entry, now: number): void {
    const { times, outbox, names } = this.options;
    const { session, token, resumed, admittedUntil } = entry;
    const isHere = session.connection !== undefined || this.keptFor.has(session);
    const earlier = this.connectionOf(session);
    if (earlier !== undefined)
      this.expel(earlier, new NatprobeError('ERR_SESSION_MOVED', 'the connection'), now);
    this.release(session);
    session.attach(connection.number, connection.client, hello);
    connection.session = session;
    connection.admittedUntil = admittedUntil;
    const { room, name, number, nonce } = session.identity;
    outbox.send(connection.number, {
      kind: 'welcome',
      schema: BROKER_SCHEMA,
      peer: number,
      room: room.name,
      name,
      token,
      nonce,
      heartbeatMs: times.heartbeatMs,
      graceMs: times.graceMs,
      resumed,
    });
    this.beat(connection, now);
    if (!isHere) this.peers++;
    names?.hold(session, now);
    outbox.emit({ kind: resumed ? 'resumed' : 'joined', peers: this.peers });
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
    this.options.outbox.send(connection.number, { kind: 'heartbeat', beat: connection.beat });
  }

  private silence(connection: Connection, now: number): void {
    this.expel(connection, new NatprobeError('ERR_BROKER_SILENT', 'the connection'), now);
  }

  /** Who has its name can't be told just now. */
  private turnAway(connection: Connection, now: number): void {
    this.expel(connection, new NatprobeError('ERR_BROKERS_APART', 'name'), now, CLOSE.tryAgainLater);
  }

  private leave(session: PeerSession): void {
    this.options.names?.release(session);
    this.forget(session);
  }

  private forget(session: PeerSession): void {
    this.options.cluster?.leave(session);
    this.release(session);
    this.options.rooms.leave(session);
    this.peers--;
    this.options.outbox.emit({ kind: 'left', peers: this.peers });
  }

  /** A name that was kept for its peer isn't any more. */
  private release(session: PeerSession): void {
    const client = this.keptFor.get(session);
    if (client === undefined) return;
    this.keptFor.delete(session);
    this.graceDue.delete(session);
    this.options.clients.release(client);
  }

  private connectionOf({ connection }: PeerSession): Connection | undefined {
    return connection === undefined ? undefined : this.connections.get(connection);
  }
}
