/** Members and the broker's own machine under virtual time: what is said takes its time, connections break, servers restart. */
import { createHash } from 'node:crypto';
import type { ClientMessage, Plan, ServerMessage } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type {
  MemberAction,
  MemberEvent,
  MemberHello,
  MemberInput,
  MemberRequest,
} from '../../probe/broker/io.ts';
import { createMember, type MemberOptions } from '../../probe/broker/member.ts';
import type { RendezvousOptions } from '../../server/broker/rendezvous.ts';
import { EventQueue } from '../sim/event-queue.ts';
import { BrokerPlay, helloOf } from './broker.ts';

/** One way. */
export const WAY_MS = 10;
/** From the wish for candidates to having them. */
const GATHER_MS = 20;

/** A punch that a member was told to make. */
export interface ToldPunch {
  readonly plan: Plan;
  readonly gathering: number;
  readonly request: number | undefined;
}

export class MemberWorld {
  readonly members: PlayedMember[] = [];
  /** Nobody answers connections. */
  isDown = false;
  readonly #options: Partial<RendezvousOptions>;
  readonly #queue = new EventQueue();
  readonly #byConnection = new Map<number, PlayedMember>();
  #play: BrokerPlay;
  #brokerWakesAt: number | undefined;
  #restarts = 0;
  #now = 0;

  constructor(options: Partial<RendezvousOptions> = {}) {
    this.#options = options;
    this.#play = new BrokerPlay(options);
  }

  get now(): number {
    return this.#now;
  }

  get play(): BrokerPlay {
    return this.#play;
  }

  add(name: string, hello: Partial<MemberHello> = {}, options: Partial<MemberOptions> = {}): PlayedMember {
    const member = new PlayedMember(this, this.members.length, name, hello, options);
    this.members.push(member);
    member.drain();
    return member;
  }

  /** As add, and waits until it is registered. Throws if it isn't within a second. */
  enter(name: string, hello: Partial<MemberHello> = {}): PlayedMember {
    const member = this.add(name, hello);
    this.run(1000);
    if (!member.said('registered')) throw new Error(`${name} is not registered: ${member.story.join(', ')}`);
    return member;
  }

  schedule(inMs: number, run: () => void): void {
    this.#queue.schedule(this.#now + inMs, run);
  }

  run(ms: number): void {
    const until = this.#now + ms;
    for (let at = this.#queue.nextAt(); at !== undefined && at <= until; at = this.#queue.nextAt()) {
      this.#now = at;
      this.#queue.takeNext()!.run!();
    }
    this.#now = until;
  }

  /** The server forgets everything, and everybody's connection ends; it is back after so long. */
  restart(downMs: number): void {
    this.isDown = true;
    for (const connection of [...this.#byConnection.keys()]) this.cut(connection, 1006);
    this.#play = new BrokerPlay({ ...this.#options, random: randomOf(++this.#restarts) });
    this.#brokerWakesAt = undefined;
    this.schedule(downMs, () => (this.isDown = false));
  }

  open(member: PlayedMember, connection: number): void {
    this.schedule(2 * WAY_MS, () => {
      if (this.isDown) {
        member.hear({
          kind: 'closed',
          connection,
          error: new NatprobeError('ERR_API_UNREACHABLE', 'broker'),
        });
        return;
      }
      this.#catchUp();
      const number = this.#play.connect();
      member.link = { connection, number };
      this.#byConnection.set(number, member);
      member.hear({ kind: 'opened', connection, publicKey: helloOf(`${member.name} ${number}`).publicKey });
      this.#drainBroker();
    });
  }

  say(number: number, text: string): void {
    this.schedule(WAY_MS, () => {
      if (!this.#byConnection.has(number)) return;
      this.#catchUp();
      this.#perform(this.#play.say(number, text));
    });
  }

  /** The connection ends for both. */
  cut(number: number, code = 1006): void {
    const member = this.#byConnection.get(number);
    if (member === undefined) return;
    this.#byConnection.delete(number);
    this.#catchUp();
    this.#perform(this.#play.drop(number));
    member.loseLink(number, code);
  }

  witness(nonce: string, mapped: Endpoint): ReturnType<BrokerPlay['witness']> {
    this.#catchUp();
    return this.#play.witness(nonce, mapped);
  }

  /** Something that the broker does not say by itself. */
  sayTo(member: PlayedMember, text: string): void {
    member.hear({ kind: 'frame', connection: member.link!.connection, text });
  }

  #catchUp(): void {
    if (this.#now > this.#play.now) this.#perform(this.#play.wait(this.#now - this.#play.now));
  }

  #drainBroker(): void {
    this.#perform(this.#play.actions());
  }

  #perform(actions: ReturnType<BrokerPlay['say']>): void {
    for (const action of actions) {
      const member = this.#byConnection.get(action.connection);
      if (action.kind === 'close') this.schedule(WAY_MS, () => this.cut(action.connection, action.code));
      else if (member !== undefined) member.tell(action.connection, action.message);
    }
    this.#armBroker();
  }

  #armBroker(): void {
    const due = this.#play.rendezvous.pollTimeout();
    if (due === undefined || (this.#brokerWakesAt !== undefined && this.#brokerWakesAt <= due)) return;
    this.#brokerWakesAt = due;
    const play = this.#play;
    this.#queue.schedule(Math.max(this.#now, due), () => {
      if (play !== this.#play) return;
      this.#brokerWakesAt = undefined;
      this.#catchUp();
      // What is due this very moment.
      this.#perform(this.#play.wait(0));
    });
  }
}

/** Each draw differs, and each run is the same; no two servers give the same tokens. */
function randomOf(server: number): RendezvousOptions['random'] {
  let drawn = 0;
  return (count) => createHash('sha256').update(`${server} ${drawn++}`).digest().subarray(0, count);
}

/** One member with a driver that makes candidates up, and witnesses that the broker gave. */
export class PlayedMember {
  readonly name: string;
  readonly events: MemberEvent[] = [];
  /** What was heard and happened, in short, in its order. */
  readonly story: string[] = [];
  readonly punches: ToldPunch[] = [];
  /** Those that weren't released. */
  readonly gatherings = new Set<number>();
  link: { readonly connection: number; readonly number: number } | undefined;
  /** Whether its sockets are seen. */
  isSeen = true;
  readonly #world: MemberWorld;
  readonly #index: number;
  readonly #machine;
  readonly #ports = new Map<number, number>();
  #wakesAt: number | undefined;
  #requests = 0;

  constructor(
    world: MemberWorld,
    index: number,
    name: string,
    hello: Partial<MemberHello>,
    options: Partial<MemberOptions>,
  ) {
    this.#world = world;
    this.#index = index;
    this.name = name;
    const { behaviours } = helloOf(name);
    const whole: MemberHello = { name, behaviours, consent: 'auto', ...hello };
    this.#machine = createMember({ hello: whole, random: (length) => new Uint8Array(length), ...options });
  }

  get isOver(): boolean {
    return this.said('ended');
  }

  said(kind: MemberEvent['kind']): boolean {
    return this.events.some((event) => event.kind === kind);
  }

  last<Kind extends MemberEvent['kind']>(kind: Kind): Extract<MemberEvent, { kind: Kind }> {
    const found = this.events.findLast((event) => event.kind === kind);
    if (found === undefined) throw new Error(`no ${kind} in: ${this.story.join(', ')}`);
    return found as Extract<MemberEvent, { kind: Kind }>;
  }

  /** The number of the request. */
  ask(ask: MemberRequest): number {
    const request = ++this.#requests;
    this.hear({ kind: 'request', request, ask });
    return request;
  }

  introduce(peer: string | number, attempt = 1): number {
    return this.ask({ about: 'introduction', peer, attempt, transport: 'udp' });
  }

  /** How that request ended; undefined if it hasn't. */
  endOf(request: number): string | undefined {
    if (this.punches.some((punch) => punch.request === request)) return 'plan';
    const end = this.events.find(
      (event) => 'request' in event && event.request === request && event.kind !== 'waiting',
    );
    return end?.kind === 'refused' ? end.error.code : end?.kind;
  }

  /** The connection ends. */
  cut(): void {
    if (this.link !== undefined) this.#world.cut(this.link.number);
  }

  hear(input: MemberInput): void {
    this.#machine.handleInput(input, this.#world.now);
    this.drain();
  }

  /** Of the broker, on its way. */
  tell(number: number, message: ServerMessage): void {
    this.#world.schedule(WAY_MS, () => {
      if (this.link?.number !== number) return;
      if (message.kind !== 'heartbeat')
        this.story.push(message.kind === 'error' ? `<${message.code}` : `<${message.kind}`);
      this.hear({ kind: 'frame', connection: this.link.connection, text: JSON.stringify(message) });
    });
  }

  loseLink(number: number, code: number): void {
    if (this.link?.number !== number) return;
    const { connection } = this.link;
    this.link = undefined;
    const error = new NatprobeError('ERR_BROKER_LOST', 'the broker', `closed with code ${code}`);
    this.hear({ kind: 'closed', connection, error });
  }

  drain(): void {
    for (let next = this.#machine.pollAction(); next; next = this.#machine.pollAction()) this.#perform(next);
    for (let next = this.#machine.pollEvent(); next; next = this.#machine.pollEvent()) {
      this.events.push(next);
      this.story.push(next.kind);
    }
    this.#arm();
  }

  #perform(action: MemberAction): void {
    switch (action.kind) {
      case 'connect':
        this.#world.open(this, action.connection);
        return;
      case 'send':
        this.#note(action.message);
        if (this.link?.connection === action.connection)
          this.#world.say(this.link.number, JSON.stringify(action.message));
        return;
      case 'close': {
        const { link } = this;
        if (link?.connection !== action.connection) return;
        this.link = undefined;
        // After what was said.
        this.#world.schedule(WAY_MS, () => this.#world.cut(link.number));
        return;
      }
      case 'gather':
        this.#gather(action);
        return;
      case 'release':
        if (!this.gatherings.delete(action.gathering))
          throw new Error(`${action.gathering} was released before`);
        return;
      case 'punch': {
        const { plan, gathering, request } = action;
        if (!this.gatherings.has(gathering)) throw new Error(`a plan for ${gathering}, which is no more`);
        this.punches.push({ plan, gathering, request });
        return;
      }
    }
  }

  #note(message: ClientMessage): void {
    if (message.kind !== 'heartbeat') this.story.push(`>${message.kind}`);
  }

  #gather({ gathering, isFresh, nonce }: Extract<MemberAction, { kind: 'gather' }>): void {
    if (isFresh === this.gatherings.has(gathering))
      throw new Error(`${gathering} is not as it is said to be`);
    this.gatherings.add(gathering);
    if (isFresh) this.#ports.set(gathering, 1000 * (this.#index + 1) + gathering);
    const mapped = { address: `198.51.${this.#index}.7`, port: this.#ports.get(gathering)! };
    this.#world.schedule(GATHER_MS, () => {
      if (this.isSeen) {
        const candidates = { public: [this.#world.witness(nonce, mapped)], private: [], mapped: [] };
        this.hear({ kind: 'gathered', gathering, candidates });
      } else
        this.hear({ kind: 'not-gathered', gathering, error: new NatprobeError('ERR_UNREACHABLE', 'STUN') });
    });
  }

  #arm(): void {
    const due = this.#machine.pollTimeout();
    if (due === undefined || (this.#wakesAt !== undefined && this.#wakesAt <= due)) return;
    this.#wakesAt = due;
    this.#world.schedule(Math.max(0, due - this.#world.now), () => {
      this.#wakesAt = undefined;
      this.#machine.handleTimeout(this.#world.now);
      this.drain();
    });
  }
}
