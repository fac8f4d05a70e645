/** The client of a relay: what it asks for and when, through losses, and how it says that it can't. */
import { describe, expect, it } from 'vitest';
import { createTurnClient, type TurnClientOptions } from '../../../../probe/punch/turn/client.ts';
import { describeTurnFailure, type TurnEvent, type TurnInput } from '../../../../probe/punch/turn/io.ts';
import type { Endpoint } from '../../../../shared/endpoint.ts';
import { METHOD, methodName } from '../../../../shared/stun/registry.ts';
import { Random } from '../../../sim/random.ts';
import { TurnPlay, type TurnPlayOptions } from '../../../support/turn-server.ts';

const RELAYED: Endpoint = { address: '198.51.100.1', port: 50_000 };
const PEER: Endpoint = { address: '203.0.113.9', port: 4000 };
const STRANGER: Endpoint = { address: '203.0.113.10', port: 4000 };
const CREDENTIALS = { username: '1700000000:1a', password: 'secret' };
const ONE_WAY_MS = 20;
const HOUR_MS = 3_600_000;

interface SceneOptions extends Partial<TurnPlayOptions> {
  readonly seed?: number;
  readonly client?: Partial<TurnClientOptions>;
  /** The relay hears nothing. */
  readonly isDown?: boolean;
}

/** A client and its relay, 40 ms apart there and back, under virtual time. */
class Scene {
  readonly relay: TurnPlay;
  readonly events: TurnEvent[] = [];
  readonly sentAt: number[] = [];
  now = 0;
  readonly #client;
  readonly #random;
  #loss = 0;
  readonly #isDown: boolean;
  #onTheWay: { readonly at: number; readonly arrive: () => void }[] = [];

  constructor({ seed = 1, client, isDown = false, ...more }: SceneOptions = {}) {
    this.#random = new Random(seed);
    this.#isDown = isDown;
    this.relay = new TurnPlay({
      ...CREDENTIALS,
      relayed: RELAYED,
      lifetimeMs: 600_000,
      permissionMs: 300_000,
      channelMs: 600_000,
      nonceMs: Infinity,
      ...more,
    });
    this.#client = createTurnClient(
      {
        credentials: CREDENTIALS,
        family: 'ipv4',
        peers: [PEER.address],
        random: (length) => this.#random.bytes(length),
        ...client,
      },
      0,
    );
    this.#settle();
  }

  /** From now on that share of datagrams, each way. */
  lose(share: number): this {
    this.#loss = share;
    return this;
  }

  wait(ms: number): this {
    const until = this.now + ms;
    for (;;) {
      const arrivesAt = Math.min(Infinity, ...this.#onTheWay.map(({ at }) => at));
      const dueAt = Math.max(this.now, this.#client.pollTimeout() ?? Infinity);
      if (Math.min(arrivesAt, dueAt) > until) break;
      this.now = Math.min(arrivesAt, dueAt);
      const arrived = this.#onTheWay.filter(({ at }) => at <= this.now);
      this.#onTheWay = this.#onTheWay.filter(({ at }) => at > this.now);
      for (const { arrive } of arrived) arrive();
      if (dueAt <= this.now) this.#client.handleTimeout(this.now);
      this.#settle();
    }
    this.now = until;
    return this;
  }

  send(text: string, to = PEER): this {
    this.#tell({ kind: 'relay', to, bytes: Buffer.from(text) });
    return this.wait(ONE_WAY_MS);
  }

  /** What the client makes of a datagram that somebody sends to the relayed address. */
  hear(text: string, from = PEER): string[] {
    const bytes = this.relay.fromPeer(from, text, this.now);
    const before = this.events.length;
    if (bytes !== undefined) this.#tell({ kind: 'datagram', bytes });
    return this.events
      .slice(before)
      .map((event) => (event.kind === 'received' ? Buffer.from(event.bytes).toString() : event.kind));
  }

  release(): this {
    this.#tell({ kind: 'release' });
    return this;
  }

  beRefused(): this {
    this.#tell({ kind: 'unreachable' });
    return this;
  }

  #tell(input: TurnInput): void {
    this.#client.handleInput(input, this.now);
    this.#settle();
  }

  #settle(): void {
    for (let action = this.#client.pollAction(); action; action = this.#client.pollAction()) {
      const { bytes } = action;
      this.sentAt.push(this.now);
      this.#carry(() => {
        const answer = this.#isDown ? undefined : this.relay.handle(bytes, this.now);
        if (answer !== undefined)
          this.#carry(() => this.#client.handleInput({ kind: 'datagram', bytes: answer }, this.now));
      });
    }
    for (let event = this.#client.pollEvent(); event; event = this.#client.pollEvent())
      this.events.push(event);
  }

  #carry(arrive: () => void): void {
    if (this.#random.fraction() >= this.#loss) this.#onTheWay.push({ at: this.now + ONE_WAY_MS, arrive });
  }
}

function whyFailed({ events }: Scene): string | undefined {
  const last = events.at(-1);
  return last?.kind === 'failed' ? describeTurnFailure(last.failure) : undefined;
}

describe('a client of a relay', () => {
  it('has a relayed address in three round trips, with the credentials that were asked for', () => {
    const scene = new Scene().wait(119);
    expect(scene.events).toEqual([]);
    scene.wait(1);
    expect(scene.events).toEqual([{ kind: 'allocated', relayed: RELAYED }]);
    expect(scene.relay.met.map(methodName)).toEqual(['Allocate', 'CreatePermission']);
  });

  it('relays both ways, from the first answer on through a channel, and to nobody else', () => {
    const scene = new Scene().wait(500);
    expect(scene.hear('first')).toEqual(['first']);
    expect(scene.hear('mine', STRANGER)).toEqual([]);
    scene.send('one').wait(100).send('two');
    expect(scene.relay.atPeer).toEqual([
      { to: PEER, text: 'one', by: 'indication' },
      { to: PEER, text: 'two', by: 'channel' },
    ]);
    expect(scene.hear('back')).toEqual(['back']);
    expect(scene.events.at(-1)).toMatchObject({ kind: 'received', from: PEER });
  });

  it('goes on by indications where a channel is refused', () => {
    const scene = new Scene({ refuse: { method: METHOD.CHANNEL_BIND, code: 508 } }).wait(500);
    scene.send('one').wait(100).send('two');
    expect(scene.relay.atPeer.map(({ by }) => by)).toEqual(['indication', 'indication']);
  });

  it('holds allocation, permission and channel for hours while a quarter of the packets are lost', () => {
    for (let seed = 1; seed <= 4; seed++) {
      // As short as a relay may be told to be, with nonces that go stale all the time.
      const short = { lifetimeMs: 30_000, permissionMs: 60_000, channelMs: 60_000, nonceMs: 47_000 };
      const scene = new Scene({ seed, ...(seed % 2 === 0 && short) }).wait(1000).lose(0.25).send('first');
      for (let minute = 0; minute < 60; minute++) {
        scene.wait(60_000);
        expect([seed, minute, scene.events.map(({ kind }) => kind)]).toEqual([seed, minute, ['allocated']]);
        const heard = scene.relay.fromPeer(PEER, 'still there', scene.now);
        expect([seed, minute, heard?.length]).toEqual([seed, minute, 4 + 'still there'.length]);
      }
    }
  });

  it('costs three requests in four minutes', () => {
    const scene = new Scene().wait(1000).send('first').wait(1000);
    const before = scene.sentAt.length;
    scene.wait(HOUR_MS);
    expect(scene.sentAt.length - before).toBe((3 * HOUR_MS) / 240_000);
  });

  it('gives the allocation back, also one that was not there yet', () => {
    const scene = new Scene().wait(500).release().wait(100);
    expect(scene.events.map(({ kind }) => kind)).toEqual(['allocated', 'released']);
    expect(scene.relay.allocatedUntil).toBe(-Infinity);
    for (const afterMs of [0, 30, 50, 90, 110]) {
      const early = new Scene().wait(afterMs).release().wait(500);
      expect([afterMs, early.events]).toEqual([afterMs, [{ kind: 'released' }]]);
      expect([afterMs, early.relay.allocatedUntil]).toEqual([afterMs, -Infinity]);
    }
  });

  it('says what is the matter where there is no relay to be had', () => {
    const wrong = { ...CREDENTIALS, password: 'another' };
    expect(whyFailed(new Scene({ client: { credentials: wrong } }).wait(500))).toBe(
      'does not take the credentials, which have expired or were made with another secret (401 Unauthenticated)',
    );
    expect(whyFailed(new Scene({ isDown: true }).wait(4999))).toBeUndefined();
    expect(whyFailed(new Scene({ isDown: true }).wait(5000))).toBe('does not answer');
    expect(whyFailed(new Scene({ isDown: true }).wait(10).beRefused())).toBe(
      'is not running: its port is closed',
    );
    const forbidding = new Scene({ refuse: { method: METHOD.CREATE_PERMISSION, code: 403 } });
    expect(whyFailed(forbidding.wait(500))).toBe('does not relay to the peer’s address (403 Forbidden)');
    const full = new Scene({ refuse: { method: METHOD.ALLOCATE, code: 486 } });
    expect(whyFailed(full.wait(500))).toBe('has no more room for this user (486 Allocation Quota Reached)');
  });

  it('tells of an allocation that is gone: the relay was started anew', () => {
    const scene = new Scene().wait(500);
    scene.relay.allocatedUntil = -Infinity;
    expect(whyFailed(scene.wait(240_500))).toBe('refuses (437 Allocation Mismatch)');
  });

  it('is not misled by answers that nobody who has the password gave', () => {
    const scene = new Scene({ password: 'another', refuse: { method: METHOD.ALLOCATE, code: 508 } });
    expect(whyFailed(scene.wait(500))).toContain('401');
  });
});
