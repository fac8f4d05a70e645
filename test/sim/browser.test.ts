/** The page's measuring behind simulated boxes: never wrong, and right where the loss allows it. */
import { describe, expect, it } from 'vitest';
import { classifyBrowserIn, type BrowserOptions } from './browser.ts';
import { ALL_CELLS, BLOCKED, NINE_CELLS, PASSING, WITHOUT_NAT } from './cells.ts';
import { buildWorld, type Conditions, type Scenario } from './scenario.ts';

interface Tally {
  /** Verdicts that say something that is not so. */
  readonly wrong: string[];
  readonly inconclusive: string[];
  readonly timesMs: number[];
}

function tally(
  scenarios: readonly Scenario[],
  seeds: number,
  conditions: Omit<Conditions, 'seed'>,
  options: BrowserOptions = {},
): Tally {
  const result: Tally = { wrong: [], inconclusive: [], timesMs: [] };
  for (const scenario of scenarios) {
    for (let seed = 1; seed <= seeds; seed++) {
      const world = buildWorld(scenario, { ...conditions, seed });
      const { judgement, totalMs } = classifyBrowserIn(world, conditions.rttMs, options);
      const run = `${scenario.name}, seed ${seed}: ${JSON.stringify(judgement?.verdict)}`;
      result.timesMs.push(totalMs);
      if (judgement === undefined) {
        result.wrong.push(run);
        continue;
      }
      const { type, mapping, filtering } = judgement.verdict;
      const { truth } = scenario;
      const differs =
        (type !== truth.type && type !== 'inconclusive') ||
        (mapping !== truth.mapping && mapping !== 'unknown') ||
        (filtering !== truth.filtering && filtering !== 'unknown');
      if (differs) result.wrong.push(run);
      else if (type !== truth.type) result.inconclusive.push(run);
    }
  }
  return result;
}

const independent = (probability: number): NonNullable<Conditions['rough']> => ({
  loss: { kind: 'independent', probability },
});

describe('without loss every box is named right', () => {
  it.each([
    [20, 1000],
    [100, 1200],
    [300, 2500],
  ])('at a round trip of %i ms, within %i ms', (rttMs, limitMs) => {
    const { wrong, inconclusive, timesMs } = tally(PASSING, 1, { rttMs });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
    expect(Math.max(...timesMs)).toBeLessThan(limitMs);
  });

  it('even at 600 ms', () => {
    const { wrong, inconclusive } = tally([...NINE_CELLS, ...WITHOUT_NAT], 2, { rttMs: 600 });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
  });

  it('by a browser whose checks are retransmitted at growing intervals', () => {
    const { wrong, inconclusive } = tally(PASSING, 1, { rttMs: 50 }, { pacing: 'doubling' });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
  });
});

describe('under loss nothing is named wrong', () => {
  // By cell, so that none takes long.
  it.each(NINE_CELLS)('in two hundred runs at 5 %, with none undecided: $name', (cell) => {
    const { wrong, inconclusive, timesMs } = tally([cell], 200, { rttMs: 20, rough: independent(0.05) });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
    expect(timesMs.toSorted((a, b) => a - b)[100]).toBeLessThan(500);
  });

  it.each(NINE_CELLS)(
    'in a hundred at 20 %, where five sends are often too few and more follow: $name',
    (cell) => {
      const { wrong, inconclusive } = tally([cell], 100, { rttMs: 20, rough: independent(0.2) });
      expect(wrong).toEqual([]);
      expect(inconclusive.length, inconclusive[0]).toBeLessThanOrEqual(1);
    },
  );

  it('nor left undecided by a busy server whose timers come late', () => {
    const rough = independent(0.05);
    const { wrong, inconclusive } = tally(NINE_CELLS, 30, { rttMs: 20, rough }, { meanLateMs: 60 });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
  });

  it('behind all other boxes, at 5 % and 10 %', () => {
    for (const loss of [0.05, 0.1]) {
      const { wrong, inconclusive, timesMs } = tally(PASSING, 5, { rttMs: 50, rough: independent(loss) });
      expect(wrong).toEqual([]);
      expect(inconclusive.length, inconclusive[0]).toBeLessThan(0.01 * timesMs.length);
    }
  });

  it('in bursts that last longer than a test', () => {
    const bursts = {
      kind: 'timed-gilbert-elliott',
      meanGoodMs: 400,
      meanBadMs: 100,
      lossGood: 0,
      lossBad: 1,
    } as const;
    expect(tally(ALL_CELLS, 5, { rttMs: 50, rough: { loss: bursts } }).wrong).toEqual([]);
  });

  it('with jitter, reordering and duplicates', () => {
    const rough = {
      jitter: { kind: 'exponential', meanMs: 20 },
      reorder: 0.1,
      reorderByMs: 40,
      duplicate: 0.1,
      duplicateAfterMs: 20,
    } as const;
    const { wrong, inconclusive } = tally(PASSING, 3, { rttMs: 50, rough });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
  });
});

describe('blocked UDP', () => {
  it('is told within 2.2 s, whichever way it is blocked', () => {
    const { wrong, inconclusive, timesMs } = tally(BLOCKED, 3, { rttMs: 20 });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
    expect(Math.max(...timesMs)).toBeLessThan(2200);
  });

  it('is told too from a browser that does not count its checks', () => {
    const outwards = BLOCKED.filter(({ name }) => name !== 'UDP blocked on the way in');
    const { wrong, inconclusive } = tally(outwards, 3, { rttMs: 20 }, { pacing: 'doubling' });
    expect(wrong).toEqual([]);
    expect(inconclusive).toEqual([]);
  });
});

describe('what can not be told is not said', () => {
  it('a dead path from the other address does not turn a full cone into a restricted one', () => {
    // What the server sends from there is lost; what is sent to there arrives.
    const links = { alternate: { up: { loss: { kind: 'independent', probability: 1 } } } } as const;
    const cell = NINE_CELLS.filter(({ truth }) => truth.type === 'full-cone');
    const { wrong, inconclusive } = tally(cell, 5, { rttMs: 20, server: { links } });
    expect(wrong).toEqual([]);
    expect(inconclusive).toHaveLength(5);
  });

  it('one mapping connection alone does not make a NAT symmetric', () => {
    const cells = NINE_CELLS.filter(({ truth }) => truth.type === 'symmetric');
    const { wrong, inconclusive, timesMs } = tally(cells, 2, { rttMs: 20 }, { mappings: 1 });
    expect(wrong).toEqual([]);
    expect(inconclusive).toHaveLength(timesMs.length);
  });

  it('a server of one address tells port filtering, and no more', () => {
    for (const scenario of NINE_CELLS) {
      const world = buildWorld(scenario, { seed: 1, rttMs: 20, oneAddress: true });
      const strict = scenario.truth.filtering === 'address-and-port-dependent';
      const { judgement } = classifyBrowserIn(world, 20);
      expect(judgement?.verdict.filtering, scenario.name).toBe(strict ? scenario.truth.filtering : 'unknown');
    }
  });
});
