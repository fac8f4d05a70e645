import { describe, expect, it } from 'vitest';
import { createLossModel, meanBurstOf, meanLossOf, type LossOptions } from './loss.ts';
import { Random } from './random.ts';

const PACKETS = 200_000;

/** The share lost and the mean run of losses over many packets, `gapMs` apart. */
function measure(options: LossOptions, gapMs: number, seed: number): { loss: number; burst: number } {
  const model = createLossModel(options, new Random(seed));
  let lost = 0;
  let runs = 0;
  let wasLost = false;
  for (let packet = 0; packet < PACKETS; packet += 1) {
    const isLost = model.isLost(packet * gapMs);
    if (isLost) lost += 1;
    if (isLost && !wasLost) runs += 1;
    wasLost = isLost;
  }
  return { loss: lost / PACKETS, burst: runs === 0 ? 0 : lost / runs };
}

describe('loss models', () => {
  const perPacket = [
    { kind: 'independent', probability: 0.2 },
    { kind: 'gilbert-elliott', p: 0.05, r: 0.25, lossGood: 0, lossBad: 1 },
    { kind: 'gilbert-elliott', p: 0.02, r: 0.1, lossGood: 0.01, lossBad: 0.6 },
  ] as const;

  it('have the means that the formulas give', () => {
    expect(perPacket.map(meanLossOf)).toEqual([
      0.2,
      expect.closeTo(1 / 6, 12),
      expect.closeTo((5 / 6) * 0.01 + (1 / 6) * 0.6, 12),
    ]);
    expect(perPacket.slice(0, 2).map((options) => meanBurstOf(options))).toEqual([
      1.25,
      expect.closeTo(4, 12),
    ]);
    for (const options of perPacket) {
      const { loss, burst } = measure(options, 1, 42);
      // Bursts make the mean of 200,000 packets wander more: its deviation is at most 0.003 here.
      expect(Math.abs(loss - meanLossOf(options))).toBeLessThan(0.01);
      expect(Math.abs(burst / meanBurstOf(options) - 1)).toBeLessThan(0.05);
    }
  });

  it('in time have the same mean at any pace, and bursts as long as the bad state', () => {
    const options = {
      kind: 'timed-gilbert-elliott',
      meanGoodMs: 400,
      meanBadMs: 100,
      lossGood: 0,
      lossBad: 1,
    } as const;
    expect(meanLossOf(options)).toBeCloseTo(0.2, 12);
    for (const gapMs of [0.5, 5, 100, 1000]) {
      expect(Math.abs(measure(options, gapMs, 42).loss - 0.2)).toBeLessThan(0.02);
    }
    // About 800 bursts: a deviation of 3.5 ms.
    expect(Math.abs(measure(options, 2, 42).burst * 2 - 100)).toBeLessThan(12);
    // Far apart, packets are lost independently: 1 / (1 - 0.2).
    expect(Math.abs(measure(options, 5000, 42).burst - 1.25)).toBeLessThan(0.02);
  });

  it('are stationary from the first packet on', () => {
    const options = { kind: 'gilbert-elliott', p: 0.01, r: 0.04, lossGood: 0, lossBad: 1 } as const;
    let lost = 0;
    for (let seed = 1; seed <= 5000; seed += 1) {
      if (createLossModel(options, new Random(seed)).isLost(0)) lost += 1;
    }
    expect(Math.abs(lost / 5000 - 0.2)).toBeLessThan(0.025);
  });

  it('lose nothing by default', () => {
    expect(measure({ kind: 'none' }, 1, 1)).toEqual({ loss: 0, burst: 0 });
  });
});
