/** Brokers of several servers under virtual time, over a bus that delays, loses and parts; and peers that speak to them. */
import { createHash } from 'node:crypto';
import type { BusAction, BusInput, ClaimEnd, NameClaim } from '../../server/broker/bus/bus.ts';
import {
  decodePost,
  decodeSeek,
  decodeSeekAnswer,
  type SeekAnswer,
} from '../../server/broker/bus/messages.ts';
import type { PeerAction } from '../../server/broker/io.ts';
import { keyOf } from '../../server/broker/names.ts';
import type { BrokerPeer, ClientMessage, Hello, ServerMessage } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { planPunch } from '../../shared/punch/plan.ts';
import type { RendezvousEvent } from '../../server/broker/rendezvous.ts';
import { BrokerPlay, helloOf } from '../support/broker.ts';
import { EventQueue } from './event-queue.ts';
import type { Random } from './random.ts';

/** As over NATS: two looks a second apart without an answer, and a claim that nobody decides. */
const UNREACHABLE_MS = 1900;
const UNDECIDED_MS = 7000;
/** Of a name that is written no more. */
const EXPIRY_MS = 45_000;

interface Name {
  server: string;
  readonly name: string;
  readonly number: number;
  readonly tokenHash: string;
  type: BrokerPeer['type'];
  listedUntil: number;
}

export class SimServer {
  readonly name: string;
  readonly play: BrokerPlay;
  readonly peers = new Map<number, SimPeer>();
  /** Subjects that it hears: of peers by name and by number. */
  readonly subjects = new Set<string>();
  readonly events: RendezvousEvent[] = [];
  isAlive = true;

  constructor(name: string) {
    this.name = name;
    let drawn = 0;
    this.play = new BrokerPlay({
      server: name,
      planners: { udp: planPunch, tcp: planPunch },
      nameRelay: () => ({ urls: ['turn:192.0.2.9'] }),
      limits: { introductionsPerSecond: 50, introductionsPerClient: 1000 },
      random: (count) => createHash('sha256').update(`${name} ${drawn++}`).digest().subarray(0, count),
    });
  }
}

/** Answers heartbeats, asks and wishes for fresh candidates by itself. */
export class SimPeer {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly heard: { readonly at: number; readonly message: ServerMessage }[] = [];
  server: SimServer | undefined;
  connection: number | undefined;
  /** Welcome on its connection. */
  isIn = false;
  closedWith: number | undefined;
  token: string | undefined;
  nonce = '';
  number = 0;
  /** What it answers to an `ask`; nothing if undefined. */
  reply: 'consent' | 'refuse' | undefined = 'consent';
  more: Partial<Hello>;
  private fresh = 0;

  constructor(name: string, endpoint: Endpoint, more: Partial<Hello> = {}) {
    this.name = name;
    this.endpoint = endpoint;
    this.more = more;
  }

  messages<Kind extends ServerMessage['kind']>(kind: Kind): (ServerMessage & { kind: Kind })[] {
    return this.heard.flatMap(({ message }) =>
      message.kind === kind ? [message as ServerMessage & { kind: Kind }] : [],
    );
  }

  freshEndpoint(): Endpoint {
    return { ...this.endpoint, port: this.endpoint.port + ++this.fresh };
  }
}

export interface BrokersOptions {
  readonly servers?: number;
  readonly random: Random;
  /** Of each message between servers, in milliseconds. */
  readonly delayMs?: (random: Random) => number;
  readonly loss?: number;
}

export class Brokers {
  readonly servers: readonly SimServer[];
  now = 0;
  /** Pairs of servers that don't hear each other. */
  readonly parted = new Set<string>();
  /** Nobody decides on names. */
  isLeaderless = false;
  private readonly random: Random;
  private readonly delayMs: (random: Random) => number;
  loss: number;
  private readonly queue = new EventQueue();
  private readonly names = new Map<string, Name>();
  private readonly rooms = new Map<string, string | undefined>();
  private revision = 0;
  /** So that what one server sends to another arrives in order, as over one connection. */
  private readonly arrivals = new Map<string, number>();

  constructor({ servers = 3, random, delayMs = () => 2, loss = 0 }: BrokersOptions) {
    this.random = random;
    this.delayMs = delayMs;
    this.loss = loss;
    this.servers = Array.from({ length: servers }, (_, index) => new SimServer(`s${index}`));
  }

  /** Connects, says hello, and once it is welcome, registers. */
  join(peer: SimPeer, index: number): void {
    const server = this.servers[index]!;
    this.wind(server);
    const connection = server.play.connect(peer.name);
    this.settle(server, server.play.actions());
    peer.server = server;
    peer.connection = connection;
    peer.closedWith = undefined;
    peer.isIn = false;
    server.peers.set(connection, peer);
    this.say(peer, helloOf(peer.name, { ...peer.more, ...(peer.token && { token: peer.token }) }));
  }

  say(peer: SimPeer, message: ClientMessage): void {
    const { server, connection } = peer;
    if (server?.isAlive !== true || connection === undefined) return;
    this.wind(server);
    this.settle(server, server.play.say(connection, message));
  }

  introduce(peer: SimPeer, id: number, other: string | number, more: object = {}): void {
    this.say(peer, { kind: 'introduce', id, peer: other, ...more });
  }

  disconnect(peer: SimPeer): void {
    const { server, connection } = peer;
    if (server === undefined || connection === undefined) return;
    peer.connection = undefined;
    server.peers.delete(connection);
    if (!server.isAlive) return;
    this.wind(server);
    this.settle(server, server.play.drop(connection));
  }

  /** With all its connections, and without a word. */
  kill(index: number): void {
    const server = this.servers[index]!;
    server.isAlive = false;
    for (const peer of server.peers.values()) peer.connection = undefined;
    server.peers.clear();
    server.subjects.clear();
    for (const [key, name] of this.names)
      if (name.server === server.name)
        this.queue.schedule(this.now + EXPIRY_MS, () => {
          if (name.server === server.name) this.names.delete(key);
        });
  }

  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const dues = this.servers.flatMap((server) => {
        const due = server.isAlive ? server.play.rendezvous.pollTimeout() : undefined;
        return due === undefined ? [] : [{ server, due }];
      });
      const first = dues.sort((a, b) => a.due - b.due)[0];
      const event = this.queue.nextAt();
      const next = Math.min(first?.due ?? Infinity, event ?? Infinity);
      if (next > until) break;
      this.now = Math.max(this.now, next);
      if (event !== undefined && event <= this.now) this.queue.takeNext()!.run?.();
      else {
        this.wind(first!.server);
        first!.server.play.rendezvous.handleTimeout(this.now);
        this.settle(first!.server, first!.server.play.actions());
      }
    }
    this.now = until;
    for (const server of this.servers) this.wind(server);
  }

  private wind({ play }: SimServer): void {
    play.now = this.now;
  }

  private settle(server: SimServer, actions: readonly PeerAction[]): void {
    server.events.push(...server.play.events());
    for (const action of server.play.forBus.splice(0)) this.perform(server, action);
    for (const action of actions) {
      const peer = server.peers.get(action.connection);
      if (peer === undefined) continue;
      if (action.kind === 'close') {
        server.peers.delete(action.connection);
        peer.connection = undefined;
        peer.closedWith = action.code;
      } else {
        peer.heard.push({ at: this.now, message: action.message });
        this.queue.schedule(this.now, () => this.answer(peer, action.connection, action.message));
      }
    }
  }

  private answer(peer: SimPeer, connection: number, message: ServerMessage): void {
    if (peer.connection !== connection) return;
    const { play } = peer.server!;
    switch (message.kind) {
      case 'welcome':
        peer.isIn = true;
        ({ token: peer.token, nonce: peer.nonce, peer: peer.number } = message);
        this.wind(peer.server!);
        this.say(peer, play.candidates(peer.nonce, [peer.endpoint]));
        break;
      case 'registered':
        this.queue.schedule(this.now + message.renewInMs - 5000, () => {
          if (peer.connection !== connection) return;
          this.wind(peer.server!);
          this.say(peer, play.candidates(peer.nonce, [peer.endpoint]));
        });
        break;
      case 'heartbeat':
        this.say(peer, message);
        break;
      case 'ask':
        if (peer.reply !== undefined)
          this.say(peer, { kind: peer.reply, introduction: message.introduction });
        break;
      case 'prepare': {
        const { introduction } = message;
        const at = [peer.freshEndpoint()];
        const fresh = play.candidates(peer.nonce, at, { introduction });
        this.say(peer, message.transport === 'tcp' ? { ...fresh, public: [], tcp: fresh.public } : fresh);
        break;
      }
      default:
        break;
    }
  }

  private perform(server: SimServer, action: BusAction): void {
    switch (action.kind) {
      case 'claim': {
        const { request, claim } = action;
        const wait = this.isLeaderless ? UNDECIDED_MS : 2 * this.delayMs(this.random);
        this.queue.schedule(this.now + wait, () => {
          const end: ClaimEnd = this.isLeaderless ? { kind: 'undecided' } : this.decide(server, claim);
          this.deliver(server, { kind: 'claimed', request, end });
        });
        break;
      }
      case 'hold': {
        const { room, name, number, type, listedForMs } = action.held;
        server.subjects.add(`${room} ${name}`).add(`${room} ${number}`);
        const known = this.names.get(`${room} ${name}`);
        if (known?.server !== server.name) break;
        known.type = type;
        known.listedUntil = this.now + listedForMs;
        break;
      }
      case 'release': {
        const key = `${action.room} ${action.name}`;
        const known = this.names.get(key);
        server.subjects.delete(key);
        if (known?.server !== server.name) break;
        server.subjects.delete(`${action.room} ${known.number}`);
        this.names.delete(key);
        break;
      }
      case 'list': {
        const { request, room } = action;
        const peers = [...this.names]
          .filter(([key, { listedUntil }]) => key.startsWith(`${room} `) && listedUntil > this.now)
          .map(([, { number, name, type }]) => ({ number, name, type }));
        const known = this.isLeaderless ? undefined : peers;
        this.queue.schedule(this.now + 2, () =>
          this.deliver(server, { kind: 'listed', request, peers: known }),
        );
        break;
      }
      case 'seek':
        this.seek(server, action);
        break;
      case 'answer':
        this.answers.get(action.reply)?.(action.answer);
        break;
      case 'post': {
        const to = this.servers.find(({ name }) => name === action.to)!;
        const post = decodePost(JSON.stringify(action.post));
        if (post === undefined) throw new Error(`no such post: ${JSON.stringify(action.post)}`);
        if (post.kind !== 'moved') this.carry(server, to, () => this.deliver(to, { kind: 'post', post }));
        break;
      }
      case 'check': {
        const to = this.servers.find(({ name }) => name === action.server)!;
        if (!to.isAlive || this.areParted(server, to))
          this.queue.schedule(this.now + UNREACHABLE_MS, () =>
            this.deliver(server, { kind: 'unreachable', server: to.name }),
          );
      }
    }
  }

  private readonly answers = new Map<number, (answer: SeekAnswer) => void>();
  private lastReply = 0;

  private seek(server: SimServer, { request, room, peer, seek }: BusAction & { kind: 'seek' }): void {
    const subject = `${room} ${peer}`;
    const there = this.servers.find(
      (other) =>
        other !== server && other.isAlive && other.subjects.has(subject) && !this.areParted(server, other),
    );
    const asked = decodeSeek(JSON.stringify(seek));
    if (asked === undefined) throw new Error(`no such seek: ${JSON.stringify(seek)}`);
    if (there === undefined) {
      const isKept = this.names.has(subject);
      this.queue.schedule(this.now + this.delayMs(this.random), () =>
        this.deliver(server, { kind: 'not-found', request, isKept }),
      );
      return;
    }
    this.carry(server, there, () => {
      const reply = ++this.lastReply;
      this.answers.set(reply, (given) => {
        this.answers.delete(reply);
        const answer = decodeSeekAnswer(JSON.stringify(given));
        if (answer === undefined) throw new Error(`no such answer: ${JSON.stringify(given)}`);
        this.carry(there, server, () => this.deliver(server, { kind: 'sought', request, answer }));
      });
      this.deliver(there, { kind: 'seek', reply, room, peer, seek: asked });
    });
  }

  /** As server/nats/shared-names.ts does it. */
  private decide(server: SimServer, claim: NameClaim): ClaimEnd {
    const room = keyOf(claim.room);
    if (!this.rooms.has(room)) this.rooms.set(room, claim.roomKeyHash);
    if (this.rooms.get(room) !== claim.roomKeyHash) return { kind: 'refused', code: 'ERR_ROOM_KEY' };
    const key = `${room} ${keyOf(claim.name)}`;
    const known = this.names.get(key);
    const { name, tokenHash, type } = claim;
    if (known === undefined) {
      const number = ++this.revision;
      this.names.set(key, { server: server.name, name, number, tokenHash, type, listedUntil: 0 });
      return { kind: 'new', number };
    }
    if (known.tokenHash !== claim.heldTokenHash) return { kind: 'refused', code: 'ERR_NAME_TAKEN' };
    const before = this.servers.find((one) => one.name === known.server)!;
    known.server = server.name;
    if (before !== server) {
      before.subjects.delete(key);
      before.subjects.delete(`${room} ${known.number}`);
      this.carry(server, before, () =>
        this.deliver(before, { kind: 'usurped', room, name: keyOf(claim.name) }),
      );
    }
    return { kind: 'resumed', number: known.number };
  }

  /** From one server to another: late, in order, or not at all. */
  private carry(from: SimServer, to: SimServer, arrive: () => void): void {
    if (this.areParted(from, to) || this.random.chance(this.loss)) return;
    const route = `${from.name} ${to.name}`;
    const at = Math.max(this.now + this.delayMs(this.random), this.arrivals.get(route) ?? 0);
    this.arrivals.set(route, at);
    this.queue.schedule(at, arrive);
  }

  private areParted(one: SimServer, other: SimServer): boolean {
    return this.parted.has([one.name, other.name].sort().join(' '));
  }

  private deliver(server: SimServer, input: BusInput): void {
    if (!server.isAlive) return;
    this.wind(server);
    this.settle(server, server.play.hear(input));
  }
}
