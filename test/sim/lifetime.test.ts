import { describe, expect, it } from 'vitest';
import {
  lifetimeTimeoutMs,
  planLifetime,
  type LifetimeContext,
} from '../../probe/classify/inquiries/lifetime.ts';
import { assessLifetime, type InboundRefresh, type LifetimeAxis } from '../../shared/nat/lifetime.ts';
import { inquireIn } from './inquire.ts';
import type { NatBehaviour } from './nat.ts';
import { buildWorld, type Conditions, type Layer, type Scenario } from './scenario.ts';

const OPTIONS = { maxMs: 60_000, resolutionMs: 5000 };
/** What the questions of a round take at most, at the losses and round trips tried here. */
const ROUND_MS = 2500;

interface Run {
  readonly axis: LifetimeAxis;
  readonly tookMs: number;
}

function measure(
  layers: readonly Layer[],
  conditions: Conditions,
  options: Omit<LifetimeContext, 'server'> = OPTIONS,
  stopAfterMs?: number,
): Run {
  const world = buildWorld(scenarioOf(layers), conditions);
  const context = { server: world.server.primary, ...options };
  const timeoutMs = lifetimeTimeoutMs(context, 5);
  const { result, tookMs } = inquireIn(world, planLifetime(context), { timeoutMs }, stopAfterMs);
  return { axis: assessLifetime(result!.evidence), tookMs };
}

function scenarioOf(layers: readonly Layer[]): Scenario {
  return {
    name: 'lifetime',
    family: 'ipv4',
    layers,
    truth: { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' },
  };
}

function natFor(idleMs: number, refreshedByInbound: boolean, more: Partial<NatBehaviour> = {}): Layer {
  return {
    kind: 'nat',
    behaviour: {
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
      ports: { kind: 'random' },
      lifetime: { idleMs, refreshedByOutbound: true, refreshedByInbound },
      ...more,
    },
  };
}

/** Undefined if the bounds hold the true lifetime and are no wider than a step and a round; else what is wrong. */
function missOf(
  { value, atLeastMs, atMostMs }: Pick<LifetimeAxis, 'value' | 'atLeastMs' | 'atMostMs'>,
  trueMs: number,
  stepMs: number,
): string | undefined {
  const found = `${value} ${atLeastMs} to ${atMostMs}, truly ${trueMs}`;
  if (value !== 'finite' || atMostMs === undefined) return found;
  const holds = atLeastMs <= trueMs && trueMs <= atMostMs;
  return holds && atMostMs - atLeastMs <= stepMs + ROUND_MS ? undefined : found;
}

const LOSSES = [
  ['without loss', {}],
  ['at 10 % loss each way', { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
] as const;

for (const [name, rough] of LOSSES) {
  describe(`a mapping's lifetime, ${name}`, () => {
    for (const inbound of [false, true]) {
      const refreshed: InboundRefresh = inbound ? 'inbound-too' : 'outbound-only';
      it(`is found to a step, and that it is refreshed ${refreshed}`, () => {
        const misses: string[] = [];
        for (const trueMs of [9000, 15_000, 20_000, 30_000, 42_000]) {
          for (let seed = 1; seed <= 5; seed += 1) {
            const { axis, tookMs } = measure([natFor(trueMs, inbound)], { seed, rttMs: 60, ...rough });
            const miss = missOf(axis, trueMs, 5000) ?? missOf(axis.stream, trueMs, 5000);
            if (miss !== undefined) misses.push(`seed ${seed}: ${miss}`);
            if (axis.refreshedByInbound !== refreshed)
              misses.push(`seed ${seed}: ${axis.refreshedByInbound} at ${trueMs}`);
            // The longest interval tried is the first that is too long.
            if (tookMs > trueMs + 5000 + 2500 + ROUND_MS) misses.push(`seed ${seed}: took ${tookMs}`);
          }
        }
        expect(misses).toEqual([]);
      });
    }

    it('is found behind each mapping and filtering', () => {
      const dependences = [
        'endpoint-independent',
        'address-dependent',
        'address-and-port-dependent',
      ] as const;
      const misses: string[] = [];
      for (const mapping of dependences) {
        for (const filtering of dependences) {
          const nat = natFor(20_000, false, { mapping, filtering });
          const { axis } = measure([nat], { seed: 3, rttMs: 60, ...rough });
          const miss = missOf(axis, 20_000, 5000);
          if (miss !== undefined || axis.refreshedByInbound !== 'outbound-only')
            misses.push(`${mapping} ${filtering}: ${miss} ${axis.refreshedByInbound}`);
        }
      }
      expect(misses).toEqual([]);
    });

    it('is longer than tried where it is, in that time', () => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const { axis, tookMs } = measure([natFor(300_000, false)], { seed, rttMs: 60, ...rough });
        expect([axis.value, axis.stream.value, axis.refreshedByInbound], `seed ${seed}`).toEqual([
          'longer-than-tried',
          'longer-than-tried',
          'unknown',
        ]);
        expect(axis.atLeastMs).toBeGreaterThan(59_000);
        expect(axis).not.toHaveProperty('atMostMs');
        expect(tookMs).toBeLessThan(60_000 + 2500 + ROUND_MS);
      }
    });

    it('is the shorter one of two layers', () => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const layers = [natFor(45_000, true), natFor(20_000, false)];
        const { axis } = measure(layers, { seed, rttMs: 60, ...rough });
        expect(missOf(axis, 20_000, 5000), `seed ${seed}`).toBeUndefined();
        expect(axis.refreshedByInbound).toBe('outbound-only');
      }
    });

    it('differs between one exchange and a stream on a Linux router', () => {
      for (const inputDrop of [true, false]) {
        const layers = [{ kind: 'linux-router', inputDrop }] as const;
        const { axis } = measure(layers, { seed: 1, rttMs: 60, ...rough }, { maxMs: 130_000 });
        expect([missOf(axis, 30_000, 5000), missOf(axis.stream, 120_000, 5000)]).toEqual([
          undefined,
          undefined,
        ]);
        expect(axis.refreshedByInbound).toBe('inbound-too');
      }
    });

    it('is no more than bounds by step where addresses of a pool are given out one by one', () => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const pool = { ...natFor(30_000, false, { pooling: 'arbitrary' }), poolSize: 3 } as Layer;
        const { axis } = measure([pool], { seed, rttMs: 60, ...rough });
        expect(axis.reasons.map(({ code }) => code)).toContain('address-pool');
        if (axis.value === 'unknown') continue;
        expect(axis.atLeastMs, `seed ${seed}`).toBeLessThanOrEqual(30_000);
        expect(axis.atMostMs ?? Infinity, `seed ${seed}`).toBeGreaterThanOrEqual(30_000);
      }
    });

    it('is found without receipts too, beside controls', () => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const server = { kind: 'rfc5780' } as const;
        const { axis } = measure([natFor(20_000, false)], { seed, rttMs: 60, server, ...rough });
        expect(missOf(axis, 20_000, 5000), `seed ${seed}`).toBeUndefined();
        expect(axis.refreshedByInbound).toBe('outbound-only');
      }
    });
  });
}

describe('the lifetime inquiry', () => {
  it('finds 30, 60 and 180 s by default, in the longest interval and a few seconds', () => {
    for (const trueMs of [30_000, 60_000, 180_000]) {
      const { axis, tookMs } = measure([natFor(trueMs, false)], { seed: 1, rttMs: 100 }, {});
      expect(missOf(axis, trueMs, 5000)).toBeUndefined();
      expect(tookMs).toBeLessThan(trueMs + 10_000);
    }
  });

  it('says longer than tried where nothing is translated or filtered', () => {
    const { axis } = measure([], { seed: 1, rttMs: 60 }, { maxMs: 10_000, resolutionMs: 1000 });
    expect([axis.value, axis.stream.value, axis.confidence]).toEqual([
      'longer-than-tried',
      'longer-than-tried',
      1,
    ]);
  });

  it('takes a port that belongs to another socket by now for an expired mapping', () => {
    // Mappings so short-lived that the exchanges of streams get the ports of those who fell silent.
    const nat = natFor(700, false, {
      ports: { kind: 'block', base: 2000, size: 64, within: 'sequential' },
      filtering: 'endpoint-independent',
    });
    const { axis } = measure([nat], { seed: 1, rttMs: 20 }, { maxMs: 8000, resolutionMs: 1000 });
    expect([missOf(axis, 700, 1000), missOf(axis.stream, 700, 1000)]).toEqual([undefined, undefined]);
  });

  it('says what is known when it is stopped', () => {
    const before = measure([natFor(30_000, false)], { seed: 1, rttMs: 60 }, OPTIONS, 20_000);
    expect(before.tookMs).toBe(20_000);
    expect(before.axis).toMatchObject({ value: 'longer-than-tried', refreshedByInbound: 'unknown' });
    expect(before.axis.atLeastMs).toBeGreaterThan(17_000);
    expect(before.axis.atLeastMs).toBeLessThan(20_000);
    expect(before.axis.reasons.map(({ code }) => code)).toContain('lifetime-open');

    const after = measure([natFor(15_000, false)], { seed: 1, rttMs: 60 }, OPTIONS, 18_500);
    expect(missOf(after.axis, 15_000, 5000)).toBeUndefined();

    const atOnce = measure([natFor(15_000, false)], { seed: 1, rttMs: 60 }, OPTIONS, 30);
    expect(atOnce.axis).toMatchObject({ value: 'unknown', atLeastMs: 0, stream: { value: 'unknown' } });
  });

  it('ends at once, and says why, where it cannot measure', () => {
    const reasonOf = (conditions: Partial<Conditions>, layers: readonly Layer[]): string[] => {
      const { axis, tookMs } = measure(layers, { seed: 1, rttMs: 60, ...conditions });
      expect(tookMs).toBeLessThan(5100);
      expect([axis.value, axis.confidence, axis.stream.value]).toEqual(['unknown', 0, 'unknown']);
      return axis.reasons.map(({ code }) => code);
    };
    const nat = natFor(30_000, false);
    expect(reasonOf({}, [{ kind: 'udp-block', blocked: 'both' }])).toEqual(['no-answer']);
    expect(reasonOf({ server: { kind: 'ignores-response-port' } }, [nat])).toEqual([
      'response-port-unsupported',
    ]);
    expect(reasonOf({ server: { kind: 'refuses-response-port' } }, [nat])).toEqual([
      'response-port-unsupported',
    ]);
  });
});
