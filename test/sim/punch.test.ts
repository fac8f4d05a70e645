import { describe, expect, it } from 'vitest';
import { type Behaviour, punchesPlainly } from '../../shared/punch/plain.ts';
import { LINUX_WITH_DROP, NINE_CELLS, OPEN } from './cells.ts';
import { measureSide } from './measure-side.ts';
import { PunchMatch, type PunchRun } from './punch.ts';
import { countOpen, FIREWALLS, known, lossOf, punch, RTT_MS, STRICT, symmetric } from './punch-runs.ts';
import { buildPunchWorld } from './punch-world.ts';
import type { Layer, Scenario } from './scenario.ts';

const TYPES: readonly Scenario[] = [OPEN, ...FIREWALLS, ...NINE_CELLS];
const PAIRS = TYPES.flatMap((a, index) => TYPES.slice(index).map((b) => [a, b] as const));
const [PLAIN, OTHERS] = [true, false].map((works) =>
  PAIRS.filter(([a, b]) => punchesPlainly(a.truth as Behaviour, b.truth as Behaviour) === works),
) as [typeof PAIRS, typeof PAIRS];

const RANDOM = symmetric({ kind: 'random' });

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
});
