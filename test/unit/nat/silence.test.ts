import { describe, expect, it } from 'vitest';
import { chanceAllLost, MIN_SILENT_SLOTS, silenceNeeded } from '../../../shared/nat/silence.ts';

describe('chanceAllLost', () => {
  it('is the Beta(1,1) predictive probability, worked by hand', () => {
    expect(chanceAllLost(0, { answered: 3, lost: 1 })).toBe(1);
    expect(chanceAllLost(1, { answered: 0, lost: 0 })).toBe(1 / 2);
    // 4!·13!/17!
    expect(chanceAllLost(4, { answered: 12, lost: 0 })).toBeCloseTo(24 / (14 * 15 * 16 * 17), 12);
    expect(chanceAllLost(2, { answered: 5, lost: 3 })).toBeCloseTo((4 / 10) * (5 / 11), 12);
  });

  it('agrees with the integral of loss^n over the posterior', () => {
    const path = { answered: 7, lost: 4 };
    const steps = 200_000;
    let mass = 0;
    let all = 0;
    for (let i = 0; i < steps; i++) {
      const loss = (i + 0.5) / steps;
      const density = loss ** path.lost * (1 - loss) ** path.answered;
      mass += density;
      all += density * loss ** 5;
    }
    expect(chanceAllLost(5, path)).toBeCloseTo(all / mass, 8);
  });

  it('never lets one silent packet look certain on a clean path', () => {
    expect(chanceAllLost(1, { answered: 100, lost: 0 })).toBeGreaterThan(0.001);
  });
});

describe('silenceNeeded', () => {
  it('is the least number that reaches the confidence', () => {
    for (const path of [
      { answered: 12, lost: 0 },
      { answered: 20, lost: 8 },
      { answered: 3, lost: 0 },
    ]) {
      const n = silenceNeeded(path, 0.999);
      expect(chanceAllLost(n, path)).toBeLessThanOrEqual(0.001);
      if (n > MIN_SILENT_SLOTS) expect(chanceAllLost(n - 1, path)).toBeGreaterThan(0.001);
    }
  });

  it('grows with the loss and is never below the least number of slots', () => {
    expect(silenceNeeded({ answered: 1000, lost: 0 }, 0.999)).toBe(MIN_SILENT_SLOTS);
    expect(silenceNeeded({ answered: 16, lost: 9 }, 0.999)).toBeGreaterThan(
      silenceNeeded({ answered: 25, lost: 0 }, 0.999),
    );
  });
});
