import { describe, expect, it } from 'vitest';
import { planUnsolicited } from '../../probe/classify/inquiries/unsolicited.ts';
import { assessUnsolicited, type UnsolicitedAxis } from '../../shared/nat/unsolicited.ts';
import { LINUX_WITH_DROP, LINUX_WITHOUT_DROP, NINE_CELLS, OPEN, STRICT_FIREWALL } from './cells.ts';
import { inquireIn } from './inquire.ts';
import { buildWorld, type Conditions, type Scenario } from './scenario.ts';

function measure(scenario: Scenario, conditions: Conditions): { axis: UnsolicitedAxis; tookMs: number } {
  const world = buildWorld(scenario, conditions);
  const { result, tookMs } = inquireIn(world, planUnsolicited({ server: world.server.primary }));
  return { axis: assessUnsolicited(result!.evidence), tookMs };
}

const [EIM_EIF, EIM_ADF, EIM_APDF, , , , , , APDM_APDF] = NINE_CELLS as readonly [
  Scenario,
  Scenario,
  Scenario,
  Scenario,
  Scenario,
  Scenario,
  Scenario,
  Scenario,
  Scenario,
];
const DOUBLE: Scenario = {
  ...LINUX_WITHOUT_DROP,
  name: 'two Linux routers without input drop',
  layers: [...LINUX_WITHOUT_DROP.layers, ...LINUX_WITHOUT_DROP.layers],
};

/** What each should be told as: the value, or the reason why it can't be told. */
const TRUTHS: readonly (readonly [Scenario, string])[] = [
  [LINUX_WITH_DROP, 'dropped'],
  [LINUX_WITHOUT_DROP, 'tracked'],
  [DOUBLE, 'tracked'],
  [EIM_ADF, 'dropped'],
  [EIM_APDF, 'dropped'],
  [STRICT_FIREWALL, 'dropped'],
  [EIM_EIF, 'unsolicited-admitted'],
  [OPEN, 'unsolicited-admitted'],
  [APDM_APDF, 'unsolicited-dependent'],
];

function saidBy({ value, reasons }: UnsolicitedAxis): string {
  return value === 'unknown' ? reasons[0]!.code : value;
}

function missesOf(conditions: Omit<Conditions, 'seed'>, seeds: number): string[] {
  return TRUTHS.flatMap(([scenario, truth]) =>
    Array.from({ length: seeds }, (_, index) => index + 1).flatMap((seed) => {
      const { axis } = measure(scenario, { ...conditions, seed });
      const sure = axis.value === 'unknown' || axis.confidence >= 0.999;
      return saidBy(axis) === truth && sure
        ? []
        : [`${scenario.name}, seed ${seed}: ${saidBy(axis)}, ${axis.confidence}`];
    }),
  );
}

describe('the unsolicited axis', () => {
  it('tells what an unasked packet does', () => {
    expect(missesOf({ rttMs: 50 }, 10)).toEqual([]);
  });

  it('at 10 % loss each way as well', () => {
    expect(missesOf({ rttMs: 50, rough: { loss: { kind: 'independent', probability: 0.1 } } }, 20)).toEqual(
      [],
    );
  });

  it('with jitter and a far other address as well', () => {
    const far = { up: { delayMs: 150 }, down: { delayMs: 150 } };
    const rough = { jitter: { kind: 'uniform', maxMs: 40 } } as const;
    expect(missesOf({ rttMs: 50, rough, server: { links: { alternate: far } } }, 5)).toEqual([]);
  });

  it('takes four round trips and the wait', () => {
    for (const [scenario] of TRUTHS)
      expect(measure(scenario, { seed: 1, rttMs: 50 }).tookMs, scenario.name).toBeLessThanOrEqual(
        4 * 50 + 50 + 100,
      );
  });

  it('says that it lacks a second address, receipts, or any answer', () => {
    const saidWith = (conditions: Partial<Conditions>): string =>
      saidBy(measure(LINUX_WITHOUT_DROP, { seed: 1, rttMs: 50, ...conditions }).axis);
    expect(saidWith({ oneAddress: true })).toBe('unsolicited-one-address');
    expect(saidWith({ server: { kind: 'rfc5780' } })).toBe('unsolicited-unsent');
    expect(saidWith({ rough: { loss: { kind: 'independent', probability: 1 } } })).toBe('unsolicited-silent');
  });
});
