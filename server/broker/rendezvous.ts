/**
 * The broker as a machine without I/O: connections and their frames go in, frames to send and
 * connections to close come out. It keeps the promise that nobody is told an address that was not
 * witnessed in its peer's session or, as the one that is told checks, is of a relay that the server names; and that whatever one connection does disturbs no other.
 */
import { decodeClientMessage } from '../../shared/broker/decode.ts';
import type { ClientMessage } from '../../shared/broker/messages.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Machine } from '../../shared/machine.ts';
import type { BusAction, BusInput } from './bus/bus.ts';
import { Cluster, type ClusterOptions } from './bus/cluster.ts';
import { SharedNames } from './bus/shared-names.ts';
import { Clients } from './clients.ts';
import type { Connection } from './connection.ts';
import { Introductions } from './introductions.ts';
import type { RendezvousAction, RendezvousEvent, RendezvousInput, RendezvousOptions } from './io.ts';
import { DEFAULT_BROKER_LIMITS, DEFAULT_BROKER_TIMES, PREPARE_BETWEEN_SERVERS_MS } from './limits.ts';
import { Outbox } from './outbox.ts';
import { Presence } from './presence.ts';
import { type Outlet, PLANNERS, Punches } from './punches.ts';
import { refusalIn, refusalOf } from './refusal.ts';
import { Requests } from './requests.ts';
import { Rooms } from './rooms.ts';

export type { RendezvousAction, RendezvousEvent, RendezvousInput, RendezvousOptions } from './io.ts';

export class Rendezvous implements Machine<RendezvousInput, RendezvousAction, RendezvousEvent> {
  private readonly outbox = new Outbox();
  private readonly presence: Presence;
  private readonly requests: Requests;
  private readonly introductions: Introductions;
  private readonly punches: Punches;
  /** Where its broker is one with those of other servers. */
  private readonly cluster: Cluster | undefined;

  constructor(options: RendezvousOptions) {
    const { checkWitness, random, checkRoomToken, server } = options;
    const limits = { ...DEFAULT_BROKER_LIMITS, ...options.limits };
    const times = {
      ...DEFAULT_BROKER_TIMES,
      ...(server !== undefined && { prepareMs: PREPARE_BETWEEN_SERVERS_MS }),
      ...options.times,
    };
    const { outbox } = this;
    const outlet = this.createOutlet();
    const clients = new Clients(limits);
    const rooms = new Rooms(limits, random, checkRoomToken);
    const punches = new Punches({
      limits,
      times,
      outlet,
      planners: options.planners ?? PLANNERS,
      nameRelay: options.nameRelay,
      correct: options.correctPrediction,
    });
    const introductions = new Introductions({ limits, times, outlet, punches });
    this.punches = punches;
    this.introductions = introductions;
    const act = (action: BusAction): void => outbox.act(action);
    const find: ClusterOptions['find'] = (room, peer) => rooms.find(room, peer);
    const names = server === undefined ? undefined : new SharedNames(times.claimMs, act);
    const cluster =
      server === undefined
        ? undefined
        : new Cluster({ server, limits, times, checkWitness, introductions, punches, outlet, act, find });
    this.cluster = cluster;
    this.presence = new Presence({ limits, times, clients, rooms, introductions, outbox, cluster, names });
    this.requests = new Requests({ checkWitness, clients, introductions, punches, outbox, cluster, names });
  }

  handleInput(input: RendezvousInput, now: number): void {
    switch (input.kind) {
      case 'opened':
        this.presence.open(input.connection, input.client, now);
        break;
      case 'stop':
        this.presence.stop(now);
        break;
      case 'bus':
        this.handleBus(input.input, now);
        break;
      case 'frame':
      case 'closed': {
        const connection = this.presence.find(input.connection);
        // One that was closed may still say something.
        if (connection === undefined) return;
        if (input.kind === 'closed') this.presence.lose(connection, now);
        else this.handleFrame(connection, input.text, now);
      }
    }
  }

  handleTimeout(now: number): void {
    this.presence.handleTimeout(now);
    this.cluster?.handleTimeout(now);
    this.introductions.handleTimeout(now);
    this.punches.handleTimeout(now);
    this.presence.giveUpKept(now);
  }

  pollAction(): RendezvousAction | undefined {
    return this.outbox.takeAction();
  }

  pollTimeout(): number | undefined {
    const due = [
      ...this.presence.nextDue(),
      ...(this.cluster?.nextDue() ?? []),
      ...this.introductions.nextDue(),
      this.punches.nextDue(),
    ].filter((at) => at !== undefined);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  pollEvent(): RendezvousEvent | undefined {
    return this.outbox.takeEvent();
  }

  /** To peers here, or through the servers that have them. */
  private createOutlet(): Outlet {
    return {
      send: (session, message) => {
        if (session.connection !== undefined) this.outbox.send(session.connection, message);
        else if (session.server !== undefined) this.cluster?.tell(session, message);
      },
      refuse: (session, error, id) => {
        if (session.connection !== undefined) this.outbox.refuse(session.connection, error, id);
        else if (session.server !== undefined) this.cluster?.tell(session, refusalOf(error, id));
      },
      emit: (event) => this.outbox.emit(event),
    };
  }

  private handleFrame(connection: Connection, text: string, now: number): void {
    try {
      this.handleMessage(connection, this.readFrame(connection, text, now), now);
    } catch (error) {
      this.presence.expel(connection, refusalIn(error), now);
    }
  }

  /** Throws ERR_BROKER_RATE or ERR_BROKER_MESSAGE. */
  private readFrame(connection: Connection, text: string, now: number): ClientMessage {
    if (!connection.frames.take(1, now) || !connection.bytes.take(text.length, now))
      throw new NatprobeError('ERR_BROKER_RATE', 'the connection');
    const message = decodeClientMessage(text);
    const isFirst = this.presence.awaitsHello(connection);
    if ((message.kind === 'hello') === isFirst) return message;
    const detail = isFirst ? 'hello comes first' : 'hello comes once';
    throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', detail);
  }

  /** Throws as Presence.greet for a hello, and ERR_BROKER_MESSAGE for what comes before the welcome. */
  private handleMessage(connection: Connection, message: ClientMessage, now: number): void {
    const { session } = connection;
    this.presence.hear(connection, now);
    if (message.kind === 'hello') {
      this.presence.greet(connection, message, now);
      return;
    }
    // Before its welcome a peer has nothing to say that anybody could make use of.
    if (session === undefined) throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', 'too early');
    if (message.kind === 'heartbeat') this.presence.handleHeartbeat(connection, session, message.beat, now);
    else if (message.kind === 'bye') this.presence.handleBye(connection, session, now);
    else this.requests.handleRequest(connection, session, message, now);
  }

  private handleBus(input: BusInput, now: number): void {
    switch (input.kind) {
      case 'claimed':
        this.presence.handleClaimed(input, now);
        break;
      case 'listed':
        this.requests.handleListed(input);
        break;
      case 'usurped':
        this.presence.handleUsurped(input, now);
        break;
      default:
        this.cluster?.handleInput(input, now);
    }
  }
}
