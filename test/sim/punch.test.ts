import { describe, expect, it } from 'vitest';
import { familyOf } from '../../shared/endpoint.ts';
import { behaviourOf, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { type Behaviour, punchesPlainly, type Side } from '../../shared/punch/plain.ts';
import {
  LINUX_ROUTERS,
  LINUX_WITH_DROP,
  LINUX_WITHOUT_DROP,
  NINE_CELLS,
  OPEN,
  WITHOUT_NAT,
} from './cells.ts';
import { startCrossTraffic } from './cross-traffic.ts';
import { Host } from './host.ts';
import { measureSide } from './measure-side.ts';
import { type KnownSide, punchIn, PunchMatch, type PunchOptions, type PunchRun } from './punch.ts';
import { buildPunchWorld, type PunchSetup } from './punch-world.ts';
import type { PortAllocation } from './ports.ts';
import type { Layer, Scenario } from './scenario.ts';

const RTT_MS = 50;
const FIREWALLS = WITHOUT_NAT.filter(({ name }) => /^firewall.(ADF|APDF)/.test(name));
const TYPES: readonly Scenario[] = [OPEN, ...FIREWALLS, ...NINE_CELLS];
const PAIRS = TYPES.flatMap((a, index) => TYPES.slice(index).map((b) => [a, b] as const));
const [PLAIN, OTHERS] = [true, false].map((works) =>
  PAIRS.filter(([a, b]) => punchesPlainly(a.truth as Behaviour, b.truth as Behaviour) === works),
) as [typeof PAIRS, typeof PAIRS];

function known({ truth: { mapping, filtering } }: Scenario, more: Partial<PunchBehaviour> = {}): KnownSide {
  return { behaviour: { ...behaviourOf({ mapping, filtering }), unsolicited: 'dropped', ...more } };
}

/** Without having measured: types are known. */
function punch(
  [a, b]: readonly [Scenario, Scenario],
  setup: Partial<PunchSetup> = {},
  options: Partial<PunchOptions> = {},
): PunchRun {
  const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: a.layers, b: b.layers, ...setup });
  return punchIn(world, { a: known(a), b: known(b), skewMs: 10, ...options });
}

/** With what the probe finds out about both. */
function punchMeasured(a: Layer, b: Layer, setup: Partial<PunchSetup> = {}): PunchRun {
  const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [a], b: [b], ...setup });
  return punchIn(world, { a: measureSide(world, 'a'), b: measureSide(world, 'b'), skewMs: 10 });
}

const lossOf = (probability: number): Partial<PunchSetup> =>
  probability === 0 ? {} : { loss: { kind: 'independent', probability } };

function symmetric(ports: PortAllocation): Layer {
  const mapping = 'address-and-port-dependent';
  return { kind: 'nat', behaviour: { mapping, filtering: mapping, ports } };
}
const COUNTING = symmetric({ kind: 'sequential', first: 20_000, delta: 1 });
const BLOCK = symmetric({ kind: 'block', base: 1024, size: 512, within: 'random' });
const RANDOM = symmetric({ kind: 'random' });
/** Whose main socket hears the peer all the time, which never hears it. */
const ADMITTING = NINE_CELLS[6]!.layers[0]!;
const [STRICT] = LINUX_WITH_DROP.layers as readonly [Layer];
const [TRACKING] = LINUX_WITHOUT_DROP.layers as readonly [Layer];
const SEEDS = Array.from({ length: 10 }, (_, index) => index + 1);

/** How many of the runs opened a hole that carries data, and by what. */
function countOpen(runs: readonly PunchRun[]): { open: number; by: string[] } {
  const open = runs.filter(({ holes, carries }) => holes !== undefined && carries);
  const by = open.flatMap(({ holes }) => [holes!.a.strategy, holes!.b.strategy]);
  return { open: open.length, by: [...new Set(by)].sort() };
}

describe('two punchers', () => {
  it.each([0, 0.05])('open every pair that plain sending opens, at a loss of %d', (probability) => {
    expect(PLAIN.length).toBeGreaterThan(50);
    for (const pair of PLAIN) {
      for (const seed of [1, 2, 3]) {
        const run = punch(pair, { seed, ...lossOf(probability) });
        const what = `${pair[0].name} × ${pair[1].name}, seed ${seed}`;
        const paths = [run.holes?.a.path, run.holes?.b.path];
        expect([what, ...paths, run.carries]).toEqual([what, 'direct', 'direct', true]);
        if (probability === 0) expect([what, run.tookMs <= 2.5 * RTT_MS + 10]).toEqual([what, true]);
      }
    }
  });

  it('end in a failure with its reason, within the budget, or open otherwise, where plain sending does not', () => {
    expect(OTHERS.length).toBeGreaterThan(10);
    for (const pair of OTHERS) {
      const { a, b, holes, carries, plans, packets } = punch(pair);
      const what = `${pair[0].name} × ${pair[1].name}`;
      const ends = [a.at(-1)!, b.at(-1)!];
      expect([what, ends[0]!.kind === ends[1]!.kind]).toEqual([what, true]);
      for (const end of ends)
        if (end.kind === 'failed') {
          const budgetMs = plans.a.attempts * (plans.a.timeMs + 1000);
          expect([what, end.tookMs <= budgetMs, end.reason.text.length > 0]).toEqual([what, true, true]);
        } else expect([what, end.kind, carries, holes !== undefined]).toEqual([what, 'open', true, true]);
      expect([what, packets <= 2 * plans.a.attempts * plans.a.limits.packets]).toEqual([what, true]);
    }
  });

  it.each([0, 0.05])(
    'open two routers that remember what comes unasked, ten times of ten, at a loss of %d',
    (loss) => {
      const runs = SEEDS.map((seed) => punchMeasured(TRACKING, TRACKING, { seed, ...lossOf(loss) }));
      expect(countOpen(runs)).toEqual({ open: 10, by: ['low-ttl'] });
      const mixed = SEEDS.map((seed) => punchMeasured(STRICT, TRACKING, { seed, ...lossOf(loss) }));
      expect(countOpen(mixed).open).toBe(10);
    },
  );

  it('open them at the second attempt where nothing is known of them', () => {
    const unknown = known(LINUX_WITHOUT_DROP, { unsolicited: 'unknown' });
    let retried = 0;
    for (const seed of SEEDS) {
      const pair = [LINUX_WITHOUT_DROP, LINUX_WITHOUT_DROP] as const;
      // With so much skew one side's packets arrive before the other has sent.
      const run = punch(pair, { seed, rttMs: 10 }, { a: unknown, b: unknown, skewMs: 100 });
      expect([seed, run.holes !== undefined, run.carries]).toEqual([seed, true, true]);
      const retries = run.a.filter(({ kind }) => kind === 'retrying').length;
      expect(run.holes!.a.attempt).toBe(retries + 1);
      retried += retries;
    }
    expect(retried).toBeGreaterThan(0);
  });

  it('need a TTL that leaves all own layers', () => {
    const layers = [TRACKING, TRACKING];
    const deep = { behaviour: { ...known(LINUX_WITHOUT_DROP).behaviour, unsolicited: 'tracked' as const } };
    const setup = { a: layers, b: layers };
    const pair = [LINUX_WITHOUT_DROP, LINUX_WITHOUT_DROP] as const;
    const sides = { a: { ...deep, natLayers: 2 }, b: { ...deep, natLayers: 2 } };
    const right = SEEDS.map((seed) => punch(pair, { ...setup, seed }, sides));
    expect(countOpen(right)).toEqual({ open: 10, by: ['low-ttl'] });
    const attemptsOf = (runs: readonly PunchRun[]): number[] => runs.map(({ holes }) => holes!.a.attempt);
    expect(new Set(attemptsOf(right))).toEqual(new Set([1]));
    // Too low by one opens nothing; the next attempt takes one more.
    const wrong = { ...deep, natLayers: 1 };
    const low = SEEDS.map((seed) =>
      punch(pair, { ...setup, seed, rttMs: 10 }, { a: wrong, b: wrong, skewMs: 100 }),
    );
    expect(countOpen(low).open).toBe(10);
    expect(Math.max(...attemptsOf(low))).toBe(2);
  });

  it.each([
    ['one of them knows', 1, undefined, 1],
    ['one of them knows that there are two', 2, undefined, 1],
    ['neither knows', undefined, undefined, 1],
    ['neither knows that both have two', undefined, undefined, 2],
  ])('open without delay where %s how many NATs it has', (_name, ofA, ofB, count) => {
    const behaviour = { ...known(LINUX_WITHOUT_DROP).behaviour, unsolicited: 'tracked' as const };
    const pair = [LINUX_WITHOUT_DROP, LINUX_WITHOUT_DROP] as const;
    const layersOf = (layers: number | undefined): Layer[] => Array<Layer>(layers ?? count).fill(TRACKING);
    const sideOf = (layers: number | undefined): KnownSide => ({
      behaviour,
      ...(layers !== undefined && { natLayers: layers }),
    });
    const runs = SEEDS.map((seed) =>
      punch(
        pair,
        { a: layersOf(ofA), b: layersOf(ofB), seed, rttMs: 1 },
        { a: sideOf(ofA), b: sideOf(ofB), skewMs: 20 },
      ),
    );
    expect(countOpen(runs).open).toBe(10);
    const attempts = runs.map(({ holes }) => holes!.a.attempt);
    expect(new Set(attempts)).toEqual(new Set([count === 1 ? 1 : 3]));
  });

  it('need no TTL before a router that remembers where only one does: that one sends first', () => {
    const behaviour = { ...known(LINUX_WITHOUT_DROP).behaviour, unsolicited: 'tracked' as const };
    const pair = [LINUX_WITH_DROP, LINUX_WITHOUT_DROP] as const;
    const runs = SEEDS.map((seed) => punch(pair, { seed, rttMs: 1 }, { b: { behaviour }, skewMs: 20 }));
    expect(countOpen(runs)).toEqual({ open: 10, by: ['low-ttl'] });
    expect(new Set(runs.map(({ holes }) => holes!.a.attempt))).toEqual(new Set([1]));
  });

  it.each([
    ['counted ports', COUNTING, STRICT],
    ['ports of a block', BLOCK, STRICT],
    ['random ports', RANDOM, STRICT],
    ['random ports that let everybody in', ADMITTING, STRICT],
    ['random ports, before a router that remembers', RANDOM, TRACKING],
    ['counted ports, before a router that remembers', COUNTING, TRACKING],
  ])('guess %s', (_name, moving, steady) => {
    const runs = SEEDS.flatMap((seed) => [
      punchMeasured(moving, steady, { seed }),
      punchMeasured(steady, moving, { seed, ...lossOf(0.05) }),
    ]);
    expect(countOpen(runs).open).toBeGreaterThanOrEqual(19);
    for (const { plans, tookMs } of runs)
      expect(tookMs).toBeLessThan(plans.a.attempts * (plans.a.timeMs + 500));
  });

  it.each([0, 5])('meet where both count their ports, beside %d mappings a second of others', (flows) => {
    const runs = SEEDS.map((seed) => {
      const world = buildPunchWorld({ seed, rttMs: RTT_MS, a: [COUNTING], b: [COUNTING] });
      if (flows > 0)
        for (const realm of Object.values(world.realms))
          startCrossTraffic(new Host(realm, ['10.0.0.9']), flows);
      return punchIn(world, { a: measureSide(world, 'a'), b: measureSide(world, 'b'), skewMs: 10 });
    });
    expect(countOpen(runs).open).toBeGreaterThanOrEqual(9);
  });

  it('try few ports where a side may bind low local ones, which netfilter maps into as few', () => {
    const [drawing] = LINUX_ROUTERS[2]!.layers as readonly [Layer];
    const moving = behaviourOf({
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
    });
    const low = { behaviour: { ...moving, lowPorts: true } };
    const runs = SEEDS.map((seed) => {
      const world = buildPunchWorld({ seed, rttMs: RTT_MS, a: [drawing], b: [STRICT], ...lossOf(0.05) });
      return punchIn(world, { a: low, b: known(LINUX_WITH_DROP), skewMs: 10 });
    });
    expect(countOpen(runs)).toEqual({ open: 10, by: ['birthday'] });
    expect(Math.max(...runs.map(({ packets }) => packets))).toBeLessThan(400);
    const { action } = runs[0]!.plans.a.steps.find((step) => step.action.kind === 'spread')!;
    expect(action).toMatchObject({ localPorts: { first: 600, last: 1023 } });
  });

  it('open new sockets on told ports where a NAT keeps these at first, on either side', () => {
    const keeping = symmetric({ kind: 'preserve', onCollision: 'random' });
    const runs = SEEDS.flatMap((seed) => [
      punchMeasured(keeping, STRICT, { seed, ...lossOf(0.05) }),
      punchMeasured(TRACKING, keeping, { seed }),
    ]);
    expect(countOpen(runs)).toEqual({ open: 20, by: ['port-prediction'] });
    for (const { tookMs, packets } of runs) expect([tookMs < 500, packets < 200]).toEqual([true, true]);
  });

  it('meet where one keeps a drawn port, whatever the other does', () => {
    const keeping: Layer = {
      kind: 'nat',
      behaviour: {
        mapping: 'address-dependent',
        filtering: 'address-and-port-dependent',
        ports: { kind: 'block', base: 1024, size: 512, within: 'random' },
      },
    };
    for (const other of [keeping, COUNTING, BLOCK]) {
      const runs = SEEDS.slice(0, 5).map((seed) => punchMeasured(keeping, other, { seed }));
      expect(countOpen(runs)).toEqual({ open: 5, by: ['port-prediction'] });
    }
  });

  const KEEPING = symmetric({ kind: 'preserve', onCollision: 'random' });
  const OPEN_COUNTING: Layer = {
    kind: 'nat',
    behaviour: {
      mapping: 'address-and-port-dependent',
      filtering: 'address-dependent',
      ports: { kind: 'sequential', first: 20_000, delta: 1 },
    },
  };

  it.each([
    ['both draw from a block', BLOCK, BLOCK],
    ['one draws from a block and one counts', COUNTING, BLOCK],
    ['one draws from a block, and one counts and lets in more', BLOCK, OPEN_COUNTING],
    ['one draws from a block and one keeps local ports at first', BLOCK, KEEPING],
    ['one counts and one keeps local ports at first', KEEPING, COUNTING],
    ['both keep local ports at first', KEEPING, KEEPING],
  ])('meet at one port where %s', (_name, a, b) => {
    const runs = SEEDS.map((seed) => {
      const loss = lossOf(seed % 2 === 0 ? 0.05 : 0);
      const world = buildPunchWorld({ seed, rttMs: RTT_MS, a: [a], b: [b], ...loss });
      const sides = { a: measureSide(world, 'a'), b: measureSide(world, 'b') };
      // What the measuring has taken of a block is free again.
      world.network.run(world.network.now + 310_000);
      return punchIn(world, { ...sides, skewMs: 10 });
    });
    const { open, by } = countOpen(runs);
    expect(by).toEqual(['port-prediction']);
    // 94 % and more are predicted.
    expect(open).toBeGreaterThanOrEqual(8);
  });

  describe('with both families', () => {
    const FIREWALL: Layer = { kind: 'firewall', filtering: 'address-and-port-dependent' };
    const BLOCKED: Layer = { kind: 'udp-block', blocked: 'both' };
    const symmetricNat = behaviourOf({
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
    });
    const coneNat = known(LINUX_WITH_DROP).behaviour;
    /** With IPv6 firewalled on both sides, as each believes. */
    const dual = (
      [a, b]: readonly [Layer, Layer],
      ipv4: PunchBehaviour,
      ipv6: readonly [Layer[], Layer[]],
      seed: number,
    ): PunchRun => {
      const setup = { seed, rttMs: RTT_MS, a: [a], b: [b], ipv6: { a: ipv6[0], b: ipv6[1] } };
      const otherFamily = { ...known(FIREWALLS[1]!).behaviour, family: 'ipv6' as const };
      const side: KnownSide = { behaviour: { ...ipv4, family: 'ipv4', otherFamily } };
      return punchIn(buildPunchWorld(setup), { a: side, b: side, skewMs: 10 });
    };
    const families = (runs: readonly PunchRun[]): Set<string> =>
      new Set(
        runs.flatMap(({ holes }) => [holes!.a, holes!.b].map(({ remote }) => familyOf(remote.address))),
      );

    it('open over IPv6 between firewalls, though over IPv4 nothing does', () => {
      const runs = SEEDS.map((seed) => dual([RANDOM, RANDOM], symmetricNat, [[FIREWALL], [FIREWALL]], seed));
      expect(countOpen(runs)).toEqual({ open: 10, by: ['plain'] });
      expect(families(runs)).toEqual(new Set(['ipv6']));
      expect(Math.min(...runs.map(({ predicted }) => predicted))).toBeGreaterThan(0.9);
      expect(Math.max(...runs.map(({ tookMs }) => tookMs))).toBeLessThan(2.5 * RTT_MS);
    });

    it('open over IPv6 where either would do', () => {
      const runs = SEEDS.map((seed) => dual([STRICT, STRICT], coneNat, [[FIREWALL], [FIREWALL]], seed));
      expect(countOpen(runs).open).toBe(10);
      expect(families(runs)).toEqual(new Set(['ipv6']));
    });

    it.each([
      ['on both sides', [BLOCKED], [BLOCKED]],
      ['on one side', [FIREWALL], [BLOCKED]],
    ])('fall back to IPv4 at once where IPv6 leads nowhere %s', (_where, a, b) => {
      const runs = SEEDS.map((seed) => dual([STRICT, STRICT], coneNat, [a, b], seed));
      expect(countOpen(runs)).toEqual({ open: 10, by: ['plain'] });
      expect(families(runs)).toEqual(new Set(['ipv4']));
      expect(new Set(runs.map(({ holes }) => holes!.a.attempt))).toEqual(new Set([1]));
      // IPv4 begins 100 ms later.
      expect(Math.max(...runs.map(({ tookMs }) => tookMs))).toBeLessThan(100 + 2.5 * RTT_MS);
    });
  });

  it('find each other behind one NAT: on the LAN, or by a hairpin', () => {
    const nat = (hairpin: 'none' | 'external-source'): Layer => ({
      kind: 'nat',
      behaviour: {
        mapping: 'endpoint-independent',
        filtering: 'address-and-port-dependent',
        ports: { kind: 'random' },
        hairpin,
      },
    });
    const cone = NINE_CELLS[2]!;
    const same = (hairpin: 'none' | 'external-source', near: boolean): PunchRun =>
      punch([cone, cone], { a: [], b: [], common: [nat(hairpin)] }, { near });
    expect(countOpen([same('none', true)])).toEqual({ open: 1, by: ['lan'] });
    expect(countOpen([same('external-source', false)])).toEqual({ open: 1, by: ['hairpin'] });
    const neither = same('none', false);
    expect(neither.a.at(-1)).toMatchObject({ kind: 'failed', reason: { code: 'nothing-heard' } });
    // Two homes under one carrier that turns their packets; a stranger has the private address here.
    const homes = punch(
      [LINUX_WITH_DROP, LINUX_WITH_DROP],
      { common: [nat('external-source')] },
      { near: true, a: { ...known(cone), natLayers: 2 }, b: { ...known(cone), natLayers: 2 } },
    );
    expect(countOpen([homes])).toEqual({ open: 1, by: ['hairpin'] });
    expect([homes.holes!.a.path, homes.holes!.b.path]).toEqual(['hairpin', 'hairpin']);
  });

  it('never send more than their limits allow, in any second', () => {
    const setup = { seed: 5, rttMs: RTT_MS, a: [RANDOM], b: [RANDOM] };
    for (const layers of [setup, { ...setup, b: [STRICT] }]) {
      const world = buildPunchWorld(layers);
      const match = new PunchMatch(world, { a: measureSide(world, 'a'), b: measureSide(world, 'b') });
      const { plans } = match.run();
      for (const { sentAt } of Object.values(match.peers)) {
        for (let index = 0, first = 0; index < sentAt.length; index++) {
          while (sentAt[index]! - sentAt[first]! >= 1000) first++;
          expect(index - first + 1).toBeLessThanOrEqual(plans.a.limits.packetsPerSecond);
        }
      }
    }
  });

  it('hold the hole, with few packets', () => {
    const { layers } = NINE_CELLS[2]!;
    const [{ behaviour }] = layers as unknown as [Extract<Layer, { kind: 'nat' }>];
    const lifetime = { idleMs: 40_000, refreshedByOutbound: true, refreshedByInbound: false };
    const mortal: Layer = { kind: 'nat', behaviour: { ...behaviour, lifetime } };
    const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [mortal], b: [mortal] });
    const side = known(NINE_CELLS[2]!);
    const match = new PunchMatch(world, { a: { ...side, lifetimeMs: 40_000 }, b: side });
    expect(match.run().carries).toBe(true);
    const before = match.peers.a.sent;
    world.network.run(world.network.now + 600_000);
    expect(match.peers.a.events.map(({ kind }) => kind)).toEqual(['open']);
    expect(match.peers.a.sent - before).toBeLessThan(80);
  });

  it.each(['a', 'b'] as const)(
    'make it again when it is gone, whoever notices: the socket of %s dies',
    (side) => {
      const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [STRICT], b: [STRICT] });
      const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
      expect(match.run().carries).toBe(true);
      const before = { a: match.peers.a.hole!.socket, b: match.peers.b.hole!.socket };
      // Not when both are about to look: the one notices long before the other.
      world.network.run(world.network.now + 10_000);
      match.peers[side].main.close();
      world.network.run(world.network.now + 60_000);
      for (const [name, peer] of Object.entries(match.peers)) {
        expect(peer.events.map(({ kind }) => kind)).toEqual(['open', 'lost', 'open']);
        expect(peer.hole!.socket).not.toBe(before[name as Side]);
      }
      expect(match.carries()).toBe(true);
      match.stop();
      for (const peer of Object.values(match.peers)) expect(peer.events.at(-1)).toEqual({ kind: 'closed' });
    },
  );

  it('end it on both sides when one closes it, at 20 % loss too', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const world = buildPunchWorld({ seed, rttMs: RTT_MS, a: [STRICT], b: [STRICT], ...lossOf(0.2) });
      const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
      expect(match.run().holes).toBeDefined();
      const closedAt = world.network.now;
      match.peers.a.stop();
      world.network.run(closedAt + 600);
      for (const peer of Object.values(match.peers)) expect(peer.events.at(-1)).toEqual({ kind: 'closed' });
      const before = match.peers.a.sent + match.peers.b.sent;
      world.network.run(closedAt + 60_000);
      expect(match.peers.a.sent + match.peers.b.sent).toBe(before);
    }
  });

  it('say that it is lost for good where the other does not come back', () => {
    const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [STRICT], b: [STRICT] });
    const match = new PunchMatch(world, { a: known(LINUX_WITH_DROP), b: known(LINUX_WITH_DROP) });
    match.run();
    match.peers.a.vanish();
    world.network.run(world.network.now + 120_000);
    expect(match.peers.b.events).toMatchObject([
      { kind: 'open' },
      { kind: 'lost' },
      { kind: 'failed', reason: { code: 'no-plan' } },
    ]);
  });
});
