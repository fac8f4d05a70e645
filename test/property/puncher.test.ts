/**
 * Whatever plans a puncher is given and whatever it hears: in no second and in no attempt does it send
 * more than its plan and its own limits allow, it sends to no address but those of its plans and those
 * that the peer was heard from, and it ends in one event, with all sockets closed and nothing to do.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PuncherAction, PuncherEvent, PuncherInput } from '../../probe/punch/io.ts';
import { createPuncher } from '../../probe/punch/puncher.ts';
import { punchSession, type PunchSession } from '../../probe/punch/session.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { decodeCheck, encodeCheck, encodeCheckResponse } from '../../shared/ice/check.ts';
import { MOST_SENT, PUNCH_ROLES, type PunchPlan, type PunchStep } from '../../shared/punch/plan.ts';
import { STRATEGY_NAMES } from '../../shared/punch/strategy.ts';
import { decodeMessage, type TransactionId } from '../../shared/stun/message.ts';
import { Random } from '../sim/random.ts';
import { checkProperty } from './property.ts';

const KEY = Buffer.alloc(32, 3);
/** The first two are in plans. */
const ADDRESSES = ['203.0.113.1', '2001:db8::1', '198.51.100.7', '10.0.0.9'];
const MOST_MS = 3000;
/** After a hole was closed. */
const MOST_GOODBYE_MS = 500;

type Deed = { readonly afterMs: number } & (
  | { readonly kind: 'plan'; readonly plan: PunchPlan }
  /** So many checks of the peer at once, each from a port of its own. */
  | { readonly kind: 'checks'; readonly from: Endpoint; readonly count: number; readonly nominates: boolean }
  | { readonly kind: 'answers' | 'opened' }
  | { readonly kind: 'noise'; readonly from: Endpoint; readonly bytes: Uint8Array }
);

const address = fc.constantFrom(...ADDRESSES.slice(0, 2));
const port = fc.integer({ min: 1, max: 65_535 });
const anyone = fc.record({
  address: fc.constantFrom(...ADDRESSES),
  port: fc.integer({ min: 1, max: 60_000 }),
});
const target = fc.record({ address, port });
const ttl = fc.option(fc.record({ ttl: fc.integer({ min: 1, max: 16 }) }), { nil: {} });
const action: fc.Arbitrary<PunchStep['action']> = fc.oneof(
  fc
    .tuple(fc.array(target, { maxLength: 4 }), ttl)
    .map(([to, more]) => ({ kind: 'check' as const, to, ...more })),
  fc.record({
    kind: fc.constant('guess' as const),
    address,
    ports: fc.array(port, { maxLength: 300 }),
    rounds: fc.integer({ min: 0, max: 8 }),
  }),
  fc.record({
    kind: fc.constant('spray' as const),
    address,
    ranges: fc.constant([{ first: 1024, last: 65_535, step: 1 }]),
    probes: fc.integer({ min: 0, max: 2048 }),
  }),
  fc
    .tuple(target, fc.integer({ min: 0, max: 256 }), ttl)
    .map(([to, sockets, more]) => ({ kind: 'spread' as const, to, sockets, ...more })),
);
const milliseconds = fc.integer({ min: 0, max: MOST_MS });
const step: fc.Arbitrary<PunchStep> = fc.record({
  strategy: fc.constantFrom(...STRATEGY_NAMES),
  atMs: milliseconds,
  untilMs: milliseconds,
  action,
});
const plan: fc.Arbitrary<PunchPlan> = fc.record({
  transport: fc.constant('udp' as const),
  role: fc.constantFrom(...PUNCH_ROLES),
  peer: fc.constant({ publicKey: '', candidates: [] }),
  startInMs: fc.integer({ min: 0, max: 200 }),
  steps: fc.array(step, { maxLength: 6 }),
  timeMs: milliseconds,
  limits: fc.record({
    packetsPerSecond: fc.integer({ min: 0, max: 10_000 }),
    packets: fc.integer({ min: 0, max: 100_000 }),
  }),
  keepaliveMs: fc.integer({ min: 0, max: 20_000 }),
  attempt: fc.integer({ min: 1, max: 3 }),
  attempts: fc.integer({ min: 1, max: 3 }),
  predicted: fc.constant({ strategy: 'plain' as const, probability: 1 }),
});
const afterMs = fc.integer({ min: 0, max: 400 });
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('plan' as const), afterMs, plan }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('checks' as const),
      afterMs,
      from: anyone,
      count: fc.constantFrom(1, 2, 400),
      nominates: fc.boolean(),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('answers' as const, 'opened'), afterMs }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('noise' as const),
      afterMs,
      from: anyone,
      bytes: fc.uint8Array({ maxLength: 60 }),
    }),
  },
);

type Send = Extract<PuncherAction, { kind: 'send' }>;

class Play {
  readonly sentAt: number[] = [];
  readonly events: PuncherEvent[] = [];
  readonly open = new Set<string>();
  readonly #puncher;
  readonly #allowed = new Set<string>();
  #now = 0;
  #plan: PunchPlan | undefined;
  #peer: PunchSession | undefined;
  #unanswered: Send[] = [];
  #sentInAttempt = 0;
  #isLimited = true;
  #checks = 0;
  #plans = 0;
  /** Asked for, and neither there nor failed yet. */
  #pending: string[] = [];

  constructor(seed: number) {
    const random = new Random(seed);
    this.#puncher = createPuncher({ random: (length) => random.bytes(length) });
  }

  do(item: Deed): void {
    this.wait(item.afterMs);
    switch (item.kind) {
      case 'plan':
        this.#begin(item.plan);
        return;
      case 'checks':
        for (let index = 0; index < item.count; index++)
          this.#hearCheck({ ...item.from, port: item.from.port + index }, item.nominates);
        return;
      case 'answers':
        for (const sent of this.#unanswered.splice(0)) this.#hearAnswer(sent);
        return;
      case 'opened':
        this.openSockets();
        return;
      case 'noise':
        this.tell({ kind: 'datagram', socket: `${this.#main} v4`, from: item.from, bytes: item.bytes });
    }
  }

  /** Lets the time pass, timer by timer; a machine whose timer doesn't move is stuck. */
  wait(milliseconds: number): void {
    const until = this.#now + milliseconds;
    let stuck = 0;
    for (;;) {
      const at = this.#puncher.pollTimeout();
      if (at === undefined || at > until) break;
      stuck = at > this.#now ? 0 : stuck + 1;
      expect(stuck).toBeLessThan(5);
      this.#now = Math.max(this.#now, at);
      this.#puncher.handleTimeout(this.#now);
      this.#drain();
    }
    this.#now = until;
  }

  tell(input: PuncherInput): void {
    this.#puncher.handleInput(input, this.#now);
    this.#drain();
  }

  get timeoutAt(): number | undefined {
    return this.#puncher.pollTimeout();
  }

  get isOver(): boolean {
    return this.events.some(({ kind }) => kind === 'failed' || kind === 'closed');
  }

  /** Tells of each socket that was asked for; every third one fails. */
  openSockets(): void {
    for (const [index, socket] of this.#pending.splice(0).entries()) {
      const fails = index % 3 === 2;
      if (!fails) this.open.add(socket);
      this.tell({ kind: fails ? 'socket-failed' : 'socket-opened', socket });
    }
  }

  get #main(): string {
    return `main ${this.#plans}`;
  }

  #begin(given: PunchPlan): void {
    if (this.isOver) return;
    this.#plans += 1;
    this.#plan = given;
    this.#peer = punchSession(KEY, given.role === 'controlling' ? 'controlled' : 'controlling');
    this.#unanswered = [];
    this.#sentInAttempt = 0;
    this.#isLimited = true;
    const sockets = { ipv4: `${this.#main} v4`, ipv6: `${this.#main} v6` };
    for (const name of Object.values(sockets)) this.open.add(name);
    for (const { action: each } of given.steps)
      for (const to of 'to' in each ? [each.to].flat() : [each]) this.#allowed.add((to as Endpoint).address);
    this.tell({ kind: 'plan', plan: given, key: KEY, sockets });
  }

  #hearCheck(from: Endpoint, nominates: boolean): void {
    if (this.#peer === undefined) return;
    const { own, peer, role } = this.#peer;
    const bytes = encodeCheck(
      {
        transactionId: String(++this.#checks).padStart(24, '0') as TransactionId,
        receiverUfrag: peer.ufrag,
        senderUfrag: own.ufrag,
        priority: 1,
        role,
        nominates,
      },
      peer.password,
    );
    this.#allowed.add(from.address);
    this.tell({ kind: 'datagram', socket: `${this.#main} v4`, from, bytes });
  }

  #hearAnswer({ socket, to, bytes }: Send): void {
    const decoded = decodeMessage(bytes);
    const check = decoded.kind === 'message' ? decodeCheck(decoded.message) : undefined;
    if (check === undefined) return;
    const answer = encodeCheckResponse(check.transactionId, to, this.#peer!.own.password);
    this.tell({ kind: 'datagram', socket, from: to, bytes: answer });
  }

  #drain(): void {
    for (let action = this.#puncher.pollAction(); action; action = this.#puncher.pollAction())
      this.#act(action);
    for (let event = this.#puncher.pollEvent(); event; event = this.#puncher.pollEvent()) {
      this.events.push(event);
      if (event.kind === 'open') this.#isLimited = false;
    }
  }

  #act(action: PuncherAction): void {
    switch (action.kind) {
      case 'send':
        expect(this.#allowed).toContain(action.to.address);
        expect(this.open).toContain(action.socket);
        this.sentAt.push(this.#now);
        this.#unanswered.push(action);
        this.#sentInAttempt += 1;
        if (this.#isLimited)
          expect(this.#sentInAttempt).toBeLessThanOrEqual(
            Math.min(this.#plan!.limits.packets, MOST_SENT.packets),
          );
        return;
      case 'open-socket':
        this.#pending.push(action.socket);
        return;
      case 'close-socket':
        this.open.delete(action.socket);
        return;
      case 'renew':
        return;
      case 'relay':
        throw new Error('it turned to a relay, and was told of none');
    }
  }
}

it('a puncher keeps to its limits and ends in an event, whatever it is told', () => {
  const property = fc.property(
    plan,
    fc.array(deed, { maxLength: 12 }),
    fc.integer(),
    (first, deeds, seed) => {
      const play = new Play(seed);
      for (const item of [{ kind: 'plan', plan: first, afterMs: 0 } as const, ...deeds]) play.do(item);
      play.wait(2 * MOST_MS);
      play.tell({ kind: 'stop' });
      play.openSockets();
      play.wait(MOST_GOODBYE_MS);
      const sentBy = play.sentAt.length;
      play.wait(60_000);
      const { sentAt, events } = play;
      expect(sentAt.length).toBe(sentBy);
      for (let index = 0, oldest = 0; index < sentAt.length; index++) {
        while (sentAt[index]! - sentAt[oldest]! >= 1000) oldest++;
        expect(index - oldest + 1).toBeLessThanOrEqual(MOST_SENT.packetsPerSecond);
      }
      expect(events.filter(({ kind }) => kind === 'failed' || kind === 'closed').length).toBe(1);
      expect(['failed', 'closed']).toContain(events.at(-1)!.kind);
      expect(play.timeoutAt).toBeUndefined();
      expect([...play.open]).toEqual([]);
    },
  );
  checkProperty(property, 100);
});
