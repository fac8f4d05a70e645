import { describe, expect, it } from 'vitest';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { assessPorts, type PortsAxis } from '../../shared/nat/ports.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence, NatBehaviour } from './nat.ts';
import { calibrate, CALIBRATED_ALLOCATIONS, type CalibrationCase } from './port-calibration.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';

const MAPPINGS: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

function measure(layers: readonly Layer[], conditions: Conditions): { axis: PortsAxis; tookMs: number } {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld({ name: 'ports', family: 'ipv4', layers, truth }, conditions);
  const { result, tookMs } = inquireIn(world, planPorts({ server: world.server.primary }));
  return { axis: assessPorts(result!.evidence), tookMs };
}

function natWith(mapping: Dependence, ports: PortAllocation, more: Partial<NatBehaviour> = {}): Layer {
  return { kind: 'nat', behaviour: { mapping, filtering: 'endpoint-independent', ports, ...more } };
}

/** What an axis says, without what depends on chance. */
function saidBy({ value, delta, whenTaken, keepsMapping, parityPreserved, contiguous }: PortsAxis): string {
  return [
    value,
    ...(delta === undefined ? [] : [`by ${delta}`]),
    ...(whenTaken === undefined ? [] : [`then ${whenTaken}`]),
    `keeps ${keepsMapping}`,
    `parity ${parityPreserved}`,
    `contiguous ${contiguous}`,
  ].join(', ');
}

/** What the axis should say of each allocation where a socket keeps its mapping, and where it doesn't. */
const TRUTHS: Record<string, readonly [kept: string, dependent: string]> = {
  'preserved, else random': [
    'preserved, keeps yes, parity yes, contiguous yes',
    'preserved, then random, keeps no, parity *, contiguous yes',
  ],
  'preserved, else the next': [
    'preserved, keeps yes, parity yes, contiguous yes',
    'preserved, then sequential, keeps no, parity *, contiguous yes',
  ],
  sequential: [
    'sequential, by 1, keeps yes, parity no, contiguous *',
    'sequential, by 1, keeps no, parity no, contiguous *',
  ],
  'sequential by two': [
    'sequential, by 2, keeps yes, parity no, contiguous no',
    'sequential, by 2, keeps no, parity no, contiguous no',
  ],
  random: ['random, keeps yes, parity no, contiguous no', 'random, keeps no, parity no, contiguous no'],
  'random, parity kept': [
    'random, keeps yes, parity yes, contiguous no',
    'random, keeps no, parity yes, contiguous no',
  ],
  'block of 512, random': [
    'block, keeps yes, parity *, contiguous no',
    'block, keeps no, parity *, contiguous no',
  ],
  'block of 2000, random': [
    'block, keeps yes, parity *, contiguous no',
    'block, keeps no, parity *, contiguous no',
  ],
  'block of 512, in order': [
    'sequential, by 1, keeps yes, parity no, contiguous *',
    'sequential, by 1, keeps no, parity no, contiguous *',
  ],
};

/** The values of all seeds which aren't as they should be; `*` stands for anything. */
function missesOf(conditions: Omit<Conditions, 'seed'>, seeds: number): string[] {
  const misses: string[] = [];
  for (const [name, ports] of CALIBRATED_ALLOCATIONS) {
    for (const mapping of MAPPINGS) {
      const truth = TRUTHS[name]![mapping === 'endpoint-independent' ? 0 : 1];
      const pattern = new RegExp(`^${truth.replaceAll('*', '\\w+')}$`);
      for (let seed = 1; seed <= seeds; seed += 1) {
        const said = saidBy(measure([natWith(mapping, ports)], { ...conditions, seed }).axis);
        if (!pattern.test(said)) misses.push(`${mapping}, ${name}, seed ${seed}: ${said}`);
      }
    }
  }
  return misses;
}

const lossy = (probability: number) => ({ loss: { kind: 'independent', probability } }) as const;

describe('the ports axis', () => {
  it('tells every way of picking ports, with every mapping', () => {
    // A few of the small blocks look like others by chance: what is not named is `unknown`.
    const misses = missesOf({ rttMs: 50 }, 5);
    expect(misses.filter((miss) => !miss.includes(': unknown'))).toEqual([]);
    expect(misses.length).toBeLessThanOrEqual(7);
  });

  it('is never wrong at 10 % loss each way', () => {
    const misses = missesOf({ rttMs: 50, rough: lossy(0.1) }, 5);
    const wrong = misses.filter((miss) => !/: (unknown|.*(keeps|parity|contiguous) unknown)/.test(miss));
    expect(wrong).toEqual([]);
    expect(misses.length).toBeLessThanOrEqual(25);
  });

  it('takes three round trips and the pacing of 24 packets, or half a second where ports are counted', () => {
    const random = natWith('address-and-port-dependent', { kind: 'random' });
    expect(measure([random], { seed: 1, rttMs: 50 }).tookMs).toBeLessThanOrEqual(3 * 50 + 24 * 5);
    const counted = natWith('endpoint-independent', { kind: 'sequential', first: 2000, delta: 1 });
    expect(measure([counted], { seed: 1, rttMs: 50 }).tookMs).toBeLessThanOrEqual(500 + 50 + 20);
  });

  it('finds a block’s base and size', () => {
    const block = natWith('address-and-port-dependent', {
      kind: 'block',
      base: 1024,
      size: 1024,
      within: 'random',
    });
    const { axis } = measure([block], { seed: 2, rttMs: 50 });
    expect(axis).toMatchObject({ value: 'block', block: { size: 1024 } });
    expect(axis.block!.first % 1024).toBe(0);
    expect(axis.reasons[0]!.text).toBe(
      `ports are drawn from a block of 1024, from ${axis.block!.first} to ${axis.block!.first + 1023}`,
    );
  });

  it('names the block that is one from either origin, where a dozen ports fit others too', () => {
    const ports = { kind: 'block', base: 1024, size: 1024, within: 'random' } as const;
    const sizes = Array.from({ length: 20 }, (_, index) => {
      const { axis } = measure([natWith('endpoint-independent', ports)], { seed: index + 1, rttMs: 50 });
      return axis.block?.size;
    });
    expect(sizes, 'seeds 1 to 20').toEqual(Array(20).fill(1024));
  });

  it('says preserved where nothing is translated, and of a Linux router', () => {
    const expected = 'preserved, keeps yes, parity yes, contiguous yes';
    expect(saidBy(measure([], { seed: 1, rttMs: 50 }).axis)).toBe(expected);
    const router = { kind: 'linux-router', inputDrop: true } as const;
    expect(saidBy(measure([router], { seed: 1, rttMs: 50 }).axis)).toBe(expected);
    const random = { ...router, fullyRandom: true };
    expect(saidBy(measure([random], { seed: 1, rttMs: 50 }).axis)).toBe(
      'random, keeps no, parity no, contiguous no',
    );
  });

  it('does without a second address, and says nothing where nothing answers', () => {
    const counted = natWith('endpoint-independent', { kind: 'sequential', first: 2000, delta: 1 });
    const oneAddress = measure([counted], { seed: 1, rttMs: 50, oneAddress: true });
    expect(saidBy(oneAddress.axis)).toMatch(/^sequential, by 1, keeps unknown/);
    const blocked = measure([{ kind: 'udp-block', blocked: 'both' }], { seed: 1, rttMs: 50 });
    expect(blocked.axis).toMatchObject({
      value: 'unknown',
      confidence: 0,
      reasons: [{ code: 'ports-silent' }],
      samples: { sockets: 0, mappings: 0 },
    });
    expect(blocked.tookMs).toBe(4000);
  });
});

/** Lines of the table that `npm run bench:ports` prints in full. */
const CALIBRATED: readonly CalibrationCase[] = CALIBRATED_ALLOCATIONS.flatMap(([, ports]) =>
  (ports.kind === 'sequential' ? [0, 10, 200] : [20]).flatMap((flowsPerSecond) =>
    (ports.kind === 'preserve' ? (['new-socket', 'new-endpoint'] as const) : (['new-endpoint'] as const)).map(
      (next) =>
        ({ mapping: 'address-and-port-dependent', ports, flowsPerSecond, next, afterMs: 200 }) as const,
    ),
  ),
);

describe('the predicted set of ports', () => {
  const RUNS = 100;

  it('has the next mapping’s in nine runs of ten, and is at most twice as large as it must be', () => {
    const misses: string[] = [];
    for (const item of CALIBRATED) {
      const { hits, count, smallest } = calibrate(item, 1, RUNS);
      if (hits >= 0.9 * RUNS && count <= 2 * smallest) continue;
      misses.push(`${JSON.stringify(item)}: ${hits} of ${RUNS}, ${count} of ${smallest}`);
    }
    expect(misses, `seeds 1 to ${RUNS}`).toEqual([]);
  }, 120_000);

  it('is one port where a socket keeps its mapping', () => {
    for (const [, ports] of CALIBRATED_ALLOCATIONS) {
      const { hits, count } = calibrate(
        { mapping: 'endpoint-independent', ports, flowsPerSecond: 20, next: 'new-endpoint', afterMs: 100 },
        1,
        10,
      );
      expect({ hits, count: Math.round(count * 1e6) / 1e6 }).toEqual({ hits: 10, count: 1 });
    }
  });

  it('holds at 10 % loss each way as well', () => {
    for (const [name, ports] of CALIBRATED_ALLOCATIONS) {
      const { hits } = calibrate(
        {
          mapping: 'address-and-port-dependent',
          ports,
          flowsPerSecond: 20,
          next: 'new-endpoint',
          afterMs: 100,
          loss: { kind: 'independent', probability: 0.1 },
        },
        1,
        50,
      );
      expect(hits, `${name}, seeds 1 to 50`).toBeGreaterThanOrEqual(45);
    }
  });
});
