/** Ports that a side can't be told of: predicted, guessed, or met at. */
import { describe, expect, it } from 'vitest';
import { behaviourOf } from '../../shared/punch/behaviour.ts';
import { LINUX_ROUTERS, LINUX_WITH_DROP, NINE_CELLS } from './cells.ts';
import { startCrossTraffic } from './cross-traffic.ts';
import { Host } from './host.ts';
import { measureSide } from './measure-side.ts';
import { punchIn } from './punch.ts';
import {
  countOpen,
  known,
  lossOf,
  punchMeasured,
  RTT_MS,
  SEEDS,
  STRICT,
  symmetric,
  TRACKING,
} from './punch-runs.ts';
import { buildPunchWorld } from './punch-world.ts';
import type { Layer } from './scenario.ts';

const COUNTING = symmetric({ kind: 'sequential', first: 20_000, delta: 1 });
const BLOCK = symmetric({ kind: 'block', base: 1024, size: 512, within: 'random' });
const RANDOM = symmetric({ kind: 'random' });
/** Whose main socket hears the peer all the time, which never hears it. */
const ADMITTING = NINE_CELLS[6]!.layers[0]!;
const KEEPING = symmetric({ kind: 'preserve', onCollision: 'random' });
const OPEN_COUNTING: Layer = {
  kind: 'nat',
  behaviour: {
    mapping: 'address-and-port-dependent',
    filtering: 'address-dependent',
    ports: { kind: 'sequential', first: 20_000, delta: 1 },
  },
};

describe('two punchers', () => {
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
    const runs = SEEDS.flatMap((seed) => [
      punchMeasured(KEEPING, STRICT, { seed, ...lossOf(0.05) }),
      punchMeasured(TRACKING, KEEPING, { seed }),
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
});
