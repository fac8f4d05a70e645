/** The bus between brokers over a real NATS server: names that are claimed, kept and taken over, and what is sent. */
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { BusAction, BusInput, NameClaim } from '../../../server/broker/bus/bus.ts';
import type { Seek } from '../../../server/broker/bus/messages.ts';
import { type BrokerBus, openBrokerBus } from '../../../server/nats/broker-bus.ts';
import { type NatsLink, openNats } from '../../../server/nats/open.ts';
import { natsMissing, startNats, type TestNats } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';

let nats: TestNats;
const links: NatsLink[] = [];
const buses: BrokerBus[] = [];
let turn = 0;

class Node {
  readonly heard: BusInput[] = [];
  readonly bus: BrokerBus;
  private readonly link: NatsLink;
  private lastRequest = 0;

  constructor(name: string) {
    this.link = openNats({ servers: [nats.servers[0]!.url] }, () => undefined);
    links.push(this.link);
    this.bus = openBrokerBus(this.link, name, () => undefined);
    buses.push(this.bus);
    this.bus.open((input) => this.heard.push(input));
  }

  perform(action: BusAction): void {
    this.bus.perform(action);
  }

  async hear<Kind extends BusInput['kind']>(...kinds: readonly Kind[]): Promise<BusInput & { kind: Kind }> {
    const find = () => this.heard.findIndex(({ kind }) => kinds.includes(kind as Kind));
    await expect.poll(find, { timeout: 10_000 }).toBeGreaterThanOrEqual(0);
    return this.heard.splice(find(), 1)[0] as BusInput & { kind: Kind };
  }

  async claim(claim: Partial<NameClaim> = {}) {
    const request = ++this.lastRequest;
    this.perform({ kind: 'claim', request, claim: { ...claimOf('Ann'), ...claim } });
    const claimed = await this.hear('claimed');
    expect(claimed.request).toBe(request);
    return claimed.end;
  }

  /** As a broker does once it has claimed the name. */
  async take(name: string, listedForMs = 60_000): Promise<number> {
    const end = await this.claim(claimOf(name));
    if (end.kind !== 'new') throw new Error(JSON.stringify(end));
    this.hold(name, end.number, listedForMs);
    // The others find it once its subscriptions are there.
    await (await this.link.connected).flush();
    return end.number;
  }

  hold(name: string, number: number, listedForMs = 60_000): void {
    const held = { room: room().toLowerCase(), name: name.toLowerCase(), number, listedForMs };
    this.perform({ kind: 'hold', held: { ...held, type: 'symmetric' } });
  }

  async list() {
    this.perform({ kind: 'list', request: 1, room: room().toLowerCase() });
    return (await this.hear('listed')).peers;
  }

  seek(peer: string | number, seek: Seek): Promise<BusInput & { kind: 'sought' | 'not-found' }> {
    this.perform({ kind: 'seek', request: 5, room: room().toLowerCase(), peer, seek });
    return this.hear('sought', 'not-found');
  }
}

/** Each test has its own. */
const room = (): string => `Room ${turn}`;

function claimOf(name: string): NameClaim {
  return {
    room: room(),
    name,
    type: 'symmetric',
    roomKeyHash: undefined,
    heldTokenHash: undefined,
    tokenHash: 'aa'.repeat(32),
  };
}

const SEEK: Seek = { from: 'one', asker: { number: 1, name: 'eve' } };

describeIf(natsMissing())('the bus over NATS', () => {
  beforeAll(async () => void (nats = await startNats()));
  afterAll(() => nats.remove());
  afterEach(async () => {
    turn++;
    await Promise.all(buses.splice(0).map((bus) => bus.close()));
    await Promise.all(links.splice(0).map((link) => link.close()));
  });

  it('gives a name to one, in whatever order they come', async () => {
    const nodes = ['one', 'two', 'three'].map((name) => new Node(name));
    const ends = await Promise.all(nodes.map((node) => node.claim()));
    expect(ends.map(({ kind }) => kind).sort()).toEqual(['new', 'refused', 'refused']);
    expect(ends.find(({ kind }) => kind === 'refused')).toMatchObject({ code: 'ERR_NAME_TAKEN' });
  });

  it('has it go on elsewhere with its token, under its number, and tells who had it', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    const number = await one.take('Ann');
    expect(await two.claim({ heldTokenHash: 'bb'.repeat(32) })).toMatchObject({ code: 'ERR_NAME_TAKEN' });
    expect(await two.claim({ heldTokenHash: 'aa'.repeat(32) })).toEqual({ kind: 'resumed', number });
    two.hold('ann', number);
    expect(await one.hear('usurped')).toMatchObject({ room: room().toLowerCase(), name: 'ann' });
    // And back again.
    expect(await one.claim({ heldTokenHash: 'aa'.repeat(32) })).toEqual({ kind: 'resumed', number });
    await two.hear('usurped');
  });

  it('frees what is released, and gives it another number', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    const number = await one.take('Ann');
    one.perform({ kind: 'release', room: room().toLowerCase(), name: 'ann' });
    await vi.waitFor(async () => expect((await two.claim()).kind).toBe('new'));
    expect((await one.claim()).kind).toBe('refused');
    expect(await two.list()).toEqual([]);
    expect(number).toBeGreaterThan(0);
  });

  it('has the key of a room be what its first peer gives it', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    const roomKeyHash = 'cc'.repeat(32);
    expect((await one.claim({ roomKeyHash })).kind).toBe('new');
    for (const node of [one, two]) {
      expect(await node.claim({ name: 'Bob' })).toMatchObject({ code: 'ERR_ROOM_KEY' });
      expect(await node.claim({ name: 'Bob', roomKeyHash: 'dd'.repeat(32) })).toMatchObject({
        code: 'ERR_ROOM_KEY',
      });
    }
    expect((await two.claim({ name: 'Bob', roomKeyHash })).kind).toBe('new');
  });

  it('lists those that can be introduced, of all servers, by number', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    const ann = await one.take('Ann');
    const bob = await two.take('Bob');
    const type = 'symmetric';
    const all = [
      { number: ann, name: 'Ann', type },
      { number: bob, name: 'Bob', type },
    ];
    await vi.waitFor(async () => expect(await one.list()).toEqual(all), { timeout: 10_000, interval: 100 });
    two.hold('bob', bob, 0);
    await vi.waitFor(async () => expect(await one.list()).toEqual(all.slice(0, 1)), {
      timeout: 10_000,
      interval: 100,
    });
  });

  it('finds a peer where it is, by name and by number, and says that nobody has it', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    const number = await two.take('Ann');
    for (const peer of ['ann', number]) {
      const sought = one.seek(peer, SEEK);
      const asked = await two.hear('seek');
      expect(asked).toMatchObject({ peer, seek: SEEK });
      two.perform({ kind: 'answer', reply: asked.reply, answer: { kind: 'refused', code: 'ERR_PEER_AWAY' } });
      expect(await sought).toMatchObject({ request: 5, answer: { code: 'ERR_PEER_AWAY' } });
    }
    expect(await one.seek('bob', SEEK)).toEqual({ kind: 'not-found', request: 5, isKept: false });
    await two.bus.close();
    await (await links[1]!.connected).flush();
    expect(await one.seek('ann', SEEK)).toEqual({ kind: 'not-found', request: 5, isKept: true });
  });

  it('passes on what one says to another, and nothing that is none', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    await two.take('Ann');
    await one.take('Bob');
    const about = { from: 'one', room: 'r', peer: 1, introduction: 2 };
    one.perform({
      kind: 'post',
      to: 'two',
      post: { kind: 'said', ...about, peer: 0, word: { kind: 'gone' } },
    });
    one.perform({ kind: 'post', to: 'two', post: { kind: 'said', ...about, word: { kind: 'gone' } } });
    expect(await two.hear('post')).toMatchObject({ post: { ...about, word: { kind: 'gone' } } });
  });

  it('notices that a server is no more', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    await two.take('Ann');
    await one.take('Bob');
    const check = (): void => one.perform({ kind: 'check', server: 'two' });
    check();
    check();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(one.heard).toEqual([]);
    await links[1]!.close();
    check();
    check();
    expect(await one.hear('unreachable')).toEqual({ kind: 'unreachable', server: 'two' });
  });

  it('counts what is asked of others, and how claims end, and knows whether names can be claimed', async () => {
    const [one, two] = [new Node('one'), new Node('two')];
    await two.take('Ann');
    expect((await one.claim()).kind).toBe('refused');
    const sought = one.seek('ann', SEEK);
    const { reply } = await two.hear('seek');
    two.perform({ kind: 'answer', reply, answer: { kind: 'refused', code: 'ERR_PEER_AWAY' } });
    await sought;
    await one.seek('bob', SEEK);
    one.perform({ kind: 'check', server: 'nobody' });
    await expect.poll(() => one.bus.status().counts.asked.check.nobody).toBe(1);
    expect(one.bus.status()).toEqual({
      hasNames: true,
      counts: {
        asked: {
          seek: { answered: 1, nobody: 1, unanswered: 0 },
          check: { answered: 0, nobody: 1, unanswered: 0 },
        },
        claims: { new: 0, resumed: 0, refused: 1, undecided: 0 },
      },
    });
    // Found there, and not answered in time.
    one.perform({ kind: 'seek', request: 6, room: room().toLowerCase(), peer: 'ann', seek: SEEK });
    await expect.poll(() => one.bus.status().counts.asked.seek.unanswered, { timeout: 5000 }).toBe(1);
    await links[0]!.close();
    expect(one.bus.status().hasNames).toBe(false);
  });

  it('writes names again that JetStream has lost', async () => {
    const one = new Node('one');
    const number = await one.take('Ann');
    const { jetstreamManager } = await import('@nats-io/jetstream');
    const manager = await jetstreamManager(await links[0]!.connected);
    await manager.streams.delete('KV_natprobe-names-alone');
    one.hold('ann', number, 50_000);
    await vi.waitFor(async () => expect(await one.list()).toMatchObject([{ number, name: 'Ann' }]), {
      timeout: 10_000,
      interval: 100,
    });
  }, 30_000);
});
