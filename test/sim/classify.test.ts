import { describe, expect, it } from 'vitest';
import type { ClassifierOptions } from '../../probe/classify/classifier.ts';
import { ALL_CELLS, BLOCKED, LINUX_ROUTERS, NINE_CELLS, PASSING, WITHOUT_NAT } from './cells.ts';
import { classifyIn, describeAnswer, describeRun } from './classify.ts';
import { buildWorld, type Conditions, type Scenario } from './scenario.ts';

/** Each sort of box once, with random ports. */
const SORTS: readonly Scenario[] = [...NINE_CELLS, ...WITHOUT_NAT, ...LINUX_ROUTERS];

/** Runs that missed the truth or the limit, as text with the seed to repeat each. */
function missesOf(
  scenarios: readonly Scenario[],
  seeds: number,
  conditions: Omit<Conditions, 'seed'>,
  options: Partial<ClassifierOptions> = {},
  limitMs = Infinity,
): string[] {
  const misses: string[] = [];
  for (const scenario of scenarios) {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const run = classifyIn(buildWorld(scenario, { ...conditions, seed }), options);
      const found = describeRun(run);
      if (found === describeAnswer(scenario.truth) && run.tookMs <= limitMs) continue;
      misses.push(`${scenario.name}, seed ${seed}: ${found} after ${run.tookMs} ms`);
    }
  }
  return misses;
}

const independent = (probability: number) => ({ loss: { kind: 'independent', probability } }) as const;

describe('without loss every scenario is named right, in at most 3 round trips and 100 ms', () => {
  for (const rttMs of [20, 100, 600]) {
    it(`at a round trip of ${rttMs} ms`, () => {
      expect(missesOf(PASSING, 2, { rttMs }, {}, 3 * rttMs + 100)).toEqual([]);
    });
  }

  it('at no round trip to speak of, in 100 ms', () => {
    expect(missesOf(PASSING, 2, { rttMs: 0 }, {}, 100)).toEqual([]);
  });

  it('where the alternate endpoint is known beforehand, a round trip earlier', () => {
    const alternate = { address: '192.0.2.2', port: 3479 };
    for (const rttMs of [100, 600]) {
      expect(missesOf(SORTS, 2, { rttMs }, { alternate }, 2 * rttMs + 100)).toEqual([]);
    }
  });

  it('where what was known of the alternate endpoint is wrong', () => {
    const alternate = { address: '10.9.9.9', port: 3479 };
    expect(missesOf(SORTS, 2, { rttMs: 100 }, { alternate }, 400)).toEqual([]);
  });

  it('also at ten new transactions a second (RFC 5780 §5)', () => {
    expect(missesOf(SORTS, 2, { rttMs: 100 }, { paceMs: 100 }, 2000)).toEqual([]);
  });

  it('also where the path to the alternate address is four times as long', () => {
    const far = { up: { delayMs: 150 }, down: { delayMs: 150 } };
    expect(missesOf(SORTS, 3, { rttMs: 100, server: { links: { alternate: far } } })).toEqual([]);
  });
});

describe('with loss each way every scenario is named right', () => {
  for (const [percent, seeds] of [
    [10, 5],
    [20, 10],
  ] as const) {
    it(`at ${percent} %`, () => {
      expect(missesOf(PASSING, seeds, { rttMs: 100, rough: independent(percent / 100) })).toEqual([]);
    });
  }

  it('at 20 %, where the path to the alternate address is four times as long', () => {
    const far = { up: { delayMs: 150 }, down: { delayMs: 150 } };
    const conditions = {
      rttMs: 100,
      rough: independent(0.2),
      server: { links: { alternate: far } },
    } as const;
    expect(missesOf(SORTS, 5, conditions)).toEqual([]);
  });

  it('at 20 % between the client and the box, and at 10 % on both sides of it', () => {
    expect(missesOf(SORTS, 10, { rttMs: 100, access: independent(0.2) })).toEqual([]);
    const both = { rough: independent(0.1), access: independent(0.1) };
    expect(missesOf(SORTS, 10, { rttMs: 100, ...both })).toEqual([]);
  });

  it('at 40 %, if it takes its time', () => {
    expect(missesOf(SORTS, 5, { rttMs: 100, rough: independent(0.4) })).toEqual([]);
  });
});

describe('on a rough path every sort of box is named right', () => {
  const jitters = [
    { kind: 'uniform', maxMs: 60 },
    { kind: 'exponential', meanMs: 30 },
    { kind: 'normal', meanMs: 30, deviationMs: 15 },
  ] as const;
  for (const jitter of jitters) {
    it(`with ${jitter.kind} jitter, without loss and at 20 %`, () => {
      expect(missesOf(SORTS, 5, { rttMs: 100, rough: { jitter } })).toEqual([]);
      expect(missesOf(SORTS, 5, { rttMs: 100, rough: { jitter, ...independent(0.2) } })).toEqual([]);
    });
  }

  it('that reorders', () => {
    expect(missesOf(SORTS, 5, { rttMs: 100, rough: { reorder: 0.2, reorderByMs: 60 } })).toEqual([]);
    expect(missesOf(SORTS, 5, { rttMs: 100, rough: { reorder: 0.1, reorderByMs: 200 } })).toEqual([]);
  });

  it('that duplicates', () => {
    expect(missesOf(SORTS, 5, { rttMs: 100, rough: { duplicate: 0.3, duplicateAfterMs: 20 } })).toEqual([]);
  });

  it('that does all of it', () => {
    const rough = {
      jitter: { kind: 'exponential', meanMs: 15 },
      reorder: 0.1,
      reorderByMs: 30,
      duplicate: 0.1,
      duplicateAfterMs: 20,
      ...independent(0.15),
    } as const;
    expect(missesOf(ALL_CELLS, 3, { rttMs: 100, rough })).toEqual([]);
  });
});

describe('blocked UDP', () => {
  for (const rttMs of [20, 100, 600]) {
    it(`is told in a second and 3 TCP round trips of ${rttMs} ms`, () => {
      expect(missesOf(BLOCKED, 2, { rttMs }, {}, 1000 + 3 * rttMs)).toEqual([]);
    });
  }

  it('is told from a server that hangs up or, where nothing rejects UDP, resets', () => {
    expect(missesOf(BLOCKED, 1, { rttMs: 100, server: { tcp: 'closes' } }, {}, 1300)).toEqual([]);
    const dropping = BLOCKED.filter(({ name }) => name !== 'UDP rejected');
    expect(missesOf(dropping, 1, { rttMs: 100, server: { tcp: 'refuses' } }, {}, 1300)).toEqual([]);
  });

  it('is not claimed where TCP is silent too', () => {
    for (const scenario of BLOCKED) {
      const run = classifyIn(buildWorld(scenario, { seed: 1, rttMs: 100, server: { tcp: 'silent' } }));
      expect(describeRun(run)).toMatch(/^unreachable: /);
    }
  });

  it('is not claimed where nothing listens, over UDP or TCP', () => {
    for (const scenario of SORTS) {
      const world = buildWorld(scenario, { seed: 1, rttMs: 100 });
      const run = classifyIn(world, { servers: [{ address: world.server.primary.address, port: 9 }] });
      expect(describeRun(run)).toBe('inconclusive unknown unknown');
    }
  });
});
