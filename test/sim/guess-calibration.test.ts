import { describe, expect, it } from 'vitest';
import { calibrateGuesses } from './guess-calibration.ts';
import type { PortAllocation } from './ports.ts';

const RUNS = 60;
/** Three standard deviations of the share of hits at 95 %, and what the bench allows a bin to be off by. */
const TOLERANCE = 3 * Math.sqrt((0.95 * 0.05) / RUNS) + 0.05;

const SEQUENTIAL: PortAllocation = { kind: 'sequential', first: 20_000, delta: 1 };
const CASES: readonly (readonly [string, PortAllocation, number, string])[] = [
  ['a counter', SEQUENTIAL, 0, 'port-prediction'],
  ['a counter beside 5 other flows a second', SEQUENTIAL, 5, 'port-prediction'],
  ['a counter beside 50 other flows a second', SEQUENTIAL, 50, 'port-prediction'],
  ['a block, drawn from', { kind: 'block', base: 1024, size: 512, within: 'random' }, 0, 'birthday'],
  ['all ports, drawn from', { kind: 'random' }, 0, 'birthday'],
];

describe('what is predicted of guessing, from a measured report', () => {
  it.each(CASES)('is what comes of it: %s', (_name, ports, flowsPerSecond, strategy) => {
    const { strategies, predicted, actual } = calibrateGuesses(ports, flowsPerSecond, RUNS);
    expect(strategies[strategy] ?? 0).toBeGreaterThan(0.9 * RUNS);
    expect(predicted).toBeGreaterThan(0.95);
    expect(Math.abs(predicted - actual), `predicted ${predicted}, came ${actual}`).toBeLessThan(TOLERANCE);
  });
});
