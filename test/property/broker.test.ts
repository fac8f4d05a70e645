/**
 * Whatever is said to the broker over several connections in whatever order: a plan has no address but
 * those witnessed in its peer's session (or private ones, where both are seen in one network), names are
 * unique in a room, what is sent goes to open connections, only those who said hello hear more than
 * an error, and what is withdrawn was asked, prepared or planned there before, and ends once.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { ClientMessage, Consent, Plan, Transport } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { planPunch } from '../../shared/punch/plan.ts';
import type { PeerAction } from '../../server/broker/io.ts';
import { BrokerPlay, helloOf, OTHER_KEY } from '../support/broker.ts';
import { checkProperty } from './property.ts';

const CONNECTIONS = 5;
const NAMES = ['ann', 'bob', 'ANN', 'carol'];
/** The first two share a /24. */
const PLACES: readonly Endpoint[] = [
  { address: '198.51.100.7', port: 40000 },
  { address: '198.51.100.8', port: 40001 },
  { address: '203.0.113.9', port: 50000 },
  { address: '2001:db8::9', port: 50001 },
];
const PRIVATE: readonly Endpoint[] = [
  { address: '192.168.1.7', port: 7 },
  { address: '10.0.0.7', port: 8 },
];

type Step = { readonly who: number } & (
  | { readonly kind: 'open' }
  | { readonly kind: 'drop' }
  | { readonly kind: 'bye' | 'heartbeat' | 'list' }
  | {
      readonly kind: 'hello';
      readonly name: number;
      readonly room: number;
      readonly consent: Consent;
      readonly token: boolean;
    }
  | {
      readonly kind: 'candidates';
      readonly place: number;
      readonly private: boolean;
      readonly forged: 'no' | 'other-session' | 'other-place' | 'other-key' | 'stale' | 'report';
      readonly alsoMapped: number | undefined;
      /** Whether they answer a `prepare`: one that somebody was asked, whoever it is, or any other. */
      readonly introduction: number | 'asked' | undefined;
    }
  | {
      readonly kind: 'introduce';
      readonly peer: number;
      readonly byNumber: boolean;
      readonly attempt: number;
      readonly transport: Transport;
    }
  | { readonly kind: 'consent' | 'refuse' | 'outcome'; readonly introduction: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'noise'; readonly text: string }
);

/** Those in which something is said that is a message. */
type SpokenStep = Extract<
  Step,
  {
    readonly kind:
      'hello' | 'candidates' | 'introduce' | 'consent' | 'refuse' | 'outcome' | 'heartbeat' | 'list' | 'bye';
  }
>;

const HONEST_MOSTLY = [
  ...Array<'no'>(9).fill('no'),
  'other-session',
  'other-place',
  'other-key',
  'stale',
  'report',
] as const;

const who = fc.nat({ max: CONNECTIONS - 1 });
const small = fc.nat({ max: 3 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('open' as const, 'open' as const, 'drop' as const), who }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('heartbeat' as const, 'list' as const, 'bye' as const),
      who,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('hello' as const),
      who,
      name: small,
      room: fc.nat({ max: 1 }),
      consent: fc.constantFrom('auto' as const, 'auto' as const, 'ask' as const, 'refuse' as const),
      token: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('candidates' as const),
      who,
      place: small,
      private: fc.boolean(),
      forged: fc.constantFrom(...HONEST_MOSTLY),
      alsoMapped: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: small }),
      introduction: fc.oneof(
        { weight: 4, arbitrary: fc.constant(undefined) },
        { weight: 4, arbitrary: fc.constant('asked' as const) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
      ),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('introduce' as const),
      who,
      peer: small,
      byNumber: fc.boolean(),
      attempt: fc.integer({ min: 1, max: 2 }),
      transport: fc.constantFrom('udp' as const, 'udp' as const, 'tcp' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('consent' as const, 'refuse' as const, 'outcome' as const),
      who,
      introduction: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      who,
      ms: fc.constantFrom(100, 500, 1000, 2000, 5000, 40_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('noise' as const), who, text: fc.json() }) },
);

interface Session {
  readonly name: string;
  readonly room: string;
  readonly nonce: string;
  readonly token: string;
  /** What has been witnessed for it, and is told of it besides. */
  readonly witnessed: Endpoint[];
  private: Endpoint[];
  /** Introductions that it was asked, or told a plan of, and that were not withdrawn. */
  readonly told: Set<number>;
}

/** Plays the peers, and knows what each may be told. */
class World {
  readonly play = new BrokerPlay({ planners: { udp: planPunch, tcp: planPunch } });
  private readonly slots: (number | undefined)[] = Array<undefined>(CONNECTIONS).fill(undefined);
  private readonly open = new Set<number>();
  private readonly sessions = new Map<number, Session>();
  /** Every nonce and token ever given. */
  private readonly all: Session[] = [];
  /** The last introduction for which a connection was asked for fresh candidates. */
  private readonly asked = new Map<number, number>();
  plans = 0;
  /** Of those, with candidates that were asked for. */
  prepared = 0;
  withdrawn = 0;

  take(step: Step): void {
    const isAnswer = step.kind === 'candidates' && step.introduction === 'asked';
    const connection = (isAnswer ? this.whoIsAsked() : undefined) ?? this.slots[step.who];
    if (step.kind === 'wait') {
      this.check(this.play.wait(step.ms));
      return;
    }
    if (step.kind === 'open') {
      if (connection !== undefined && this.open.has(connection)) return;
      const opened = this.play.connect();
      this.slots[step.who] = opened;
      this.open.add(opened);
      this.check(this.play.actions());
      return;
    }
    if (connection === undefined) return;
    // What comes in the wrong order ends a connection, and so would most otherwise.
    const isGreeted = this.sessions.has(connection);
    if (isGreeted ? step.kind === 'hello' && !step.token : step.kind === 'introduce') return;
    if (step.kind === 'drop') {
      this.open.delete(connection);
      this.check(this.play.drop(connection));
      return;
    }
    const message = step.kind === 'noise' ? step.text : this.messageOf(step, connection);
    if (message === undefined) return;
    this.check(this.play.say(connection, message), step.kind === 'hello' ? step : undefined);
  }

  private whoIsAsked(): number | undefined {
    return [...this.asked.keys()].find((connection) => this.open.has(connection));
  }

  private messageOf(step: SpokenStep, connection: number) {
    switch (step.kind) {
      case 'hello': {
        const name = NAMES[step.name]!;
        const room = `room ${step.room}`;
        const earlier = this.all.findLast((one) => one.name === name && one.room === room);
        const token = step.token ? earlier?.token : undefined;
        return helloOf(name, { room, consent: step.consent, ...(token !== undefined && { token }) });
      }
      case 'candidates':
        return this.candidates(step, connection);
      case 'introduce':
        return {
          kind: 'introduce',
          id: 1,
          peer: step.byNumber ? step.peer + 1 : NAMES[step.peer]!,
          attempt: step.attempt,
          transport: step.transport,
        } satisfies ClientMessage;
      case 'consent':
      case 'refuse':
        return { kind: step.kind, introduction: step.introduction } satisfies ClientMessage;
      case 'outcome':
        return {
          kind: 'outcome',
          introduction: step.introduction,
          outcome: 'open',
          packets: 1,
          timeMs: 1,
        } satisfies ClientMessage;
      case 'heartbeat':
        return { kind: 'heartbeat', beat: 1 } satisfies ClientMessage;
      case 'list':
        return { kind: 'peers', id: 1 } satisfies ClientMessage;
      case 'bye':
        return { kind: 'bye' } satisfies ClientMessage;
    }
  }

  /** As the peer says it; what of it is honest is noted as witnessed. */
  private candidates(step: Step & { kind: 'candidates' }, connection: number): ClientMessage | undefined {
    const session = this.sessions.get(connection);
    if (session === undefined) return undefined;
    const place = PLACES[step.place]!;
    const strangers = this.all.filter(({ nonce }) => nonce !== session.nonce);
    const nonce = step.forged === 'other-session' ? strangers.at(-1)?.nonce : session.nonce;
    if (nonce === undefined) return undefined;
    const fresh = this.play.witness(nonce, place, {
      ...(step.forged === 'other-key' && { key: OTHER_KEY }),
      ...(step.forged === 'report' && { purpose: 'report' }),
    });
    const witness = {
      ...fresh,
      ...(step.forged === 'stale' && { madeAtMs: fresh.madeAtMs - 90_001 }),
      ...(step.forged === 'other-place' && { mapped: { address: '192.0.2.66', port: 66 } }),
    };
    const mapped =
      step.alsoMapped === undefined ? [] : [{ address: PLACES[step.alsoMapped]!.address, port: 9 }];
    const isHonest = step.forged === 'no' && mapped.every(({ address }) => address === place.address);
    if (isHonest) {
      session.witnessed.push(place, ...mapped);
      session.private = step.private ? [...PRIVATE] : [];
    }
    const introduction = step.introduction === 'asked' ? this.asked.get(connection) : step.introduction;
    if (introduction === this.asked.get(connection)) this.asked.delete(connection);
    return {
      kind: 'candidates',
      public: [witness],
      tcp: [witness],
      private: step.private ? [...PRIVATE] : [],
      mapped,
      ...(introduction !== undefined && { introduction }),
    };
  }

  private check(actions: readonly PeerAction[], hello?: Step & { kind: 'hello' }): void {
    for (const action of actions) {
      expect(this.open.has(action.connection)).toBe(true);
      if (action.kind === 'close') {
        this.open.delete(action.connection);
        continue;
      }
      const { message, connection } = action;
      if (message.kind === 'welcome') this.welcome(connection, message, hello!);
      const session = this.sessions.get(connection);
      if (message.kind !== 'error') expect(session).toBeDefined();
      if (message.kind === 'prepare') this.asked.set(connection, message.introduction);
      if (message.kind === 'ask' || message.kind === 'prepare' || message.kind === 'plan')
        session!.told.add(message.introduction);
      if (message.kind === 'withdrawn') {
        expect(session!.told.delete(message.introduction)).toBe(true);
        this.withdrawn++;
      }
      if (message.kind === 'plan') this.checkPlan(session!, message);
    }
    // Of those that are open, no two have one name in one room.
    const names = [...this.sessions]
      .filter(([connection]) => this.open.has(connection))
      .map(([, { name, room }]) => `${room}/${name.toLowerCase()}`);
    expect(new Set(names).size).toBe(names.length);
  }

  private welcome(
    connection: number,
    { nonce, token, resumed }: { nonce: string; token: string; resumed: boolean },
    { name, room }: Step & { kind: 'hello' },
  ): void {
    const known = this.all.find((session) => session.nonce === nonce);
    expect(known !== undefined).toBe(resumed);
    const session = known ?? {
      name: NAMES[name]!,
      room: `room ${room}`,
      nonce,
      token,
      witnessed: [],
      private: [],
      told: new Set(),
    };
    if (known === undefined) this.all.push(session);
    this.sessions.set(connection, session);
  }

  private checkPlan(own: Session, plan: Plan): void {
    this.plans++;
    if (plan.plan.attempt > 1) this.prepared++;
    const peer = this.all.findLast(
      ({ name, room }) => name.toLowerCase() === plan.peer.name.toLowerCase() && room === own.room,
    )!;
    const told = endpointsIn(plan);
    const allowed = peer.witnessed.map(({ address }) => address);
    const maySeePrivate = own.witnessed.some((mine) =>
      peer.witnessed.some((its) => networkOf(mine) === networkOf(its)),
    );
    if (maySeePrivate) allowed.push(...PRIVATE.map(({ address }) => address));
    expect(told.filter((address) => !allowed.includes(address))).toEqual([]);
  }
}

/** Every address that stands anywhere in it. */
function endpointsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) =>
    name === 'address' ? [String(member)] : endpointsIn(member),
  );
}

function networkOf({ address }: Endpoint): string {
  return address.includes(':') ? address.split(':').slice(0, 3).join(':') : address.replace(/\.\d+$/, '');
}

it('plans have witnessed addresses only, names are unique, and nobody hears what isn’t for him', () => {
  let plans = 0;
  let prepared = 0;
  let withdrawn = 0;
  checkProperty(
    fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), (steps) => {
      const world = new World();
      // So that more than refusals happen: two peers are there at the start.
      for (const [index, name] of [0, 1].entries()) {
        world.take({ kind: 'open', who: index });
        world.take({ kind: 'hello', who: index, name, room: 0, consent: 'auto', token: false });
        world.take({
          kind: 'candidates',
          who: index,
          place: 2 * index,
          private: true,
          forged: 'no',
          alsoMapped: undefined,
          introduction: undefined,
        });
      }
      for (const one of steps) world.take(one);
      plans += world.plans;
      prepared += world.prepared;
      withdrawn += world.withdrawn;
    }),
    800,
  );
  // A test in which nothing is planned tells nothing.
  expect(plans).toBeGreaterThan(100);
  expect(prepared).toBeGreaterThan(0);
  expect(withdrawn).toBeGreaterThan(0);
});
