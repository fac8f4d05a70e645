/** Routers that remember what comes unasked: who sends first, and with which TTL. */
import { describe, expect, it } from 'vitest';
import { LINUX_WITH_DROP, LINUX_WITHOUT_DROP } from './cells.ts';
import type { KnownSide, PunchRun } from './punch.ts';
import { countOpen, known, lossOf, punch, punchMeasured, SEEDS, STRICT, TRACKING } from './punch-runs.ts';
import type { Layer } from './scenario.ts';

describe('two punchers', () => {
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
});
