/**
 * A natprobed that stands still while it measures a browser is late, and never wrong for it: what came in
 * meanwhile is read before anybody's silence counts, and a page that gave up on its browser is asked again.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Judgement } from '../../shared/nat/judge.ts';
import { type BrowserRun, classifyBrowserIn, END_MS, type Stall } from '../sim/browser.ts';
import { BLOCKED, NINE_CELLS, WITHOUT_NAT } from '../sim/cells.ts';
import { buildWorld, type Conditions, type Scenario } from '../sim/scenario.ts';
import { checkProperty } from './property.ts';

const LONGEST_STALL_MS = 5000;
/** What a measurement takes besides: two seconds where UDP is blocked, and round trips. */
const LONGEST_MS = 3000;
const MOST_ROUND_TRIPS = 10;

interface Case {
  readonly scenario: Scenario;
  readonly seed: number;
  readonly rttMs: number;
  readonly pacing: 'round' | 'doubling';
  readonly stalls: readonly Stall[];
}

/** A firewall that lets everything out tells a browser which doesn't count its checks nothing in two seconds. */
const scenarios = [...NINE_CELLS, ...WITHOUT_NAT, ...BLOCKED].filter(
  ({ name }) => name !== 'UDP blocked on the way in',
);

/** Anywhere; or about when the browser's first checks come, or when the page and the server have waited long enough. */
const time = fc.oneof(
  fc.integer({ min: 0, max: 3000 }),
  fc.integer({ min: 0, max: 60 }),
  fc.integer({ min: 1850, max: 2350 }),
);

/** One, or two with some time between them. */
const stalls = fc
  .record({
    fromMs: time,
    toMs: fc.oneof(fc.integer({ min: 20, max: 3000 + LONGEST_STALL_MS }), time),
    share: fc.constantFrom(1, 1, 0.3, 0.6, 0.9),
    pauseMs: fc.integer({ min: 1, max: 600 }),
  })
  .map(({ fromMs, toMs, share, pauseMs }): Stall[] => {
    const lengthMs = Math.min(LONGEST_STALL_MS, Math.max(20, toMs - fromMs));
    const middleMs = fromMs + Math.round(lengthMs * share);
    const first = { fromMs, toMs: middleMs };
    return share === 1 ? [first] : [first, { fromMs: middleMs + pauseMs, toMs: fromMs + lengthMs + pauseMs }];
  });

const cases: fc.Arbitrary<Case> = fc.record({
  scenario: fc.constantFrom(...scenarios),
  seed: fc.integer({ min: 1, max: 2 ** 30 }),
  rttMs: fc.constantFrom(1, 20, 100, 300),
  pacing: fc.constantFrom('round', 'doubling'),
  stalls,
});

it('whenever it stands still, up to five seconds, the verdict is right, and as much later at most', () => {
  checkProperty(
    fc.property(cases, (one) => {
      const { judgement, totalMs } = measure(one);
      expect(verdictOf(judgement)).toEqual(one.scenario.truth);
      const stalledMs = one.stalls.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
      expect(totalMs).toBeLessThan(stalledMs + LONGEST_MS + MOST_ROUND_TRIPS * one.rttMs);
    }),
    1500,
  );
});

it('under loss nothing is said that is not so', () => {
  // With more of it a silence is chance once in some thousand runs, as the confidence says.
  const rough = { loss: { kind: 'independent', probability: 0.03 } } as const;
  checkProperty(
    fc.property(cases, (one) => {
      const { judgement, totalMs } = measure(one, rough);
      const { truth } = one.scenario;
      const verdict = verdictOf(judgement);
      expect(verdict).toEqual({
        type: verdict?.type === 'inconclusive' ? 'inconclusive' : truth.type,
        mapping: verdict?.mapping === 'unknown' ? 'unknown' : truth.mapping,
        filtering: verdict?.filtering === 'unknown' ? 'unknown' : truth.filtering,
      });
      expect(totalMs).toBeLessThan(END_MS);
    }),
    1500,
  );
});

function measure({ scenario, seed, rttMs, pacing, stalls }: Case, rough?: Conditions['rough']): BrowserRun {
  const world = buildWorld(scenario, { seed, rttMs, ...(rough && { rough }) });
  return classifyBrowserIn(world, rttMs, { pacing, stalls });
}

function verdictOf(judgement: Judgement | undefined): Partial<Judgement['verdict']> | undefined {
  if (judgement === undefined) return undefined;
  const { type, mapping, filtering } = judgement.verdict;
  return { type, mapping, filtering };
}
