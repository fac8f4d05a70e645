import { describe, expect, it } from 'vitest';
import { planFragments } from '../../probe/classify/inquiries/fragments.ts';
import type { ProberOptions } from '../../probe/classify/prober.ts';
import type { Family } from '../../shared/endpoint.ts';
import { assessFragments, type FragmentsAxis } from '../../shared/nat/fragments.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence } from './nat.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';

const LOSSES: readonly [string, Partial<Conditions>][] = [
  ['without loss', {}],
  ['at 10 % loss each way', { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
];
const TRUTHS = {
  outbound: 'blocked-outbound',
  inbound: 'blocked-inbound',
  both: 'blocked-outbound',
} as const;

function natWith(filtering: Dependence): Layer {
  const ports = { kind: 'random' } as const;
  return { kind: 'nat', behaviour: { mapping: 'endpoint-independent', filtering, ports } };
}

const NAT = natWith('address-and-port-dependent');

function dropping(blocked: 'outbound' | 'inbound' | 'both', mtuBytes = 1500): Layer {
  return { kind: 'fragment-filter', blocked, mtuBytes };
}

function measure(
  layers: readonly Layer[],
  conditions: Partial<Conditions> = {},
  family: Family = 'ipv4',
  options: Partial<ProberOptions> = {},
): { axis: FragmentsAxis; tookMs: number; sent: number } {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld(
    { name: 'fragments', family, layers, truth },
    { seed: 1, rttMs: 40, ...conditions },
  );
  const plan = planFragments({ server: world.server.primary });
  const { result, tookMs, sent } = inquireIn(world, plan, options);
  return { axis: assessFragments(result!.evidence), tookMs, sent };
}

for (const [name, conditions] of LOSSES) {
  describe(`fragments, ${name}`, () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      it(`pass where nothing drops them, over ${family}`, () => {
        for (let seed = 1; seed <= 10; seed += 1) {
          const { axis } = measure([NAT], { seed, ...conditions }, family);
          expect(axis, `seed ${seed}`).toMatchObject({
            value: 'pass',
            confidence: 1,
            largestHeardBytes: 2048,
            largestWholeBytes: 1500,
          });
        }
      });

      it(`are found dropped, and on which way, over ${family}`, () => {
        const misses: string[] = [];
        for (const blocked of ['outbound', 'inbound', 'both'] as const) {
          for (let seed = 1; seed <= 10; seed += 1) {
            const { axis } = measure([NAT, dropping(blocked)], { seed, ...conditions }, family);
            if (axis.value !== TRUTHS[blocked] || axis.confidence < 0.999 || axis.largestHeardBytes !== 1500)
              misses.push(`${blocked}, seed ${seed}: ${axis.value} ${axis.largestHeardBytes}`);
          }
        }
        expect(misses).toEqual([]);
      });
    }

    it('show the largest packet that passes where the path takes less', () => {
      for (let seed = 1; seed <= 10; seed += 1) {
        const { axis } = measure([NAT, dropping('both', 1420)], { seed, ...conditions });
        expect([axis.value, axis.largestWholeBytes, axis.largestHeardBytes], `seed ${seed}`).toEqual([
          'blocked-outbound',
          1420,
          1420,
        ]);
      }
    });

    it('are told the same behind every filtering, and with one address on the server', () => {
      const filterings = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
      for (const filtering of filterings) {
        for (const oneAddress of [false, true]) {
          const layers = [natWith(filtering), dropping('inbound')];
          expect(measure(layers, { oneAddress, ...conditions }).axis.value).toBe('blocked-inbound');
        }
      }
    });
  });
}

describe('the inquiry into fragments', () => {
  it('takes two round trips where they pass, and less than a second where they do not', () => {
    expect(measure([NAT]).tookMs).toBeLessThanOrEqual(180);
    for (const blocked of ['outbound', 'inbound'] as const) {
      const { tookMs, sent } = measure([NAT, dropping(blocked)]);
      expect(tookMs).toBeLessThan(1000);
      expect(sent).toBeLessThan(80);
    }
  });

  it('also gets there at ten packets a second', () => {
    for (const blocked of ['outbound', 'inbound'] as const) {
      const { axis } = measure([NAT, dropping(blocked)], {}, 'ipv4', { paceMs: 100 });
      expect(axis.value).toBe(TRUTHS[blocked]);
    }
  });

  it('says what it cannot know', () => {
    const codesOf = (layers: readonly Layer[], conditions: Partial<Conditions> = {}): string[] => {
      const { axis } = measure(layers, conditions);
      expect([axis.value, axis.confidence]).toEqual(['unknown', 0]);
      return axis.reasons.map(({ code }) => code);
    };
    expect(codesOf([{ kind: 'udp-block', blocked: 'both' }])).toEqual(['no-answer']);
    // Without receipts silence doesn't say on which way.
    const server = { kind: 'rfc5780' } as const;
    expect(codesOf([NAT, dropping('inbound')], { server })).toEqual(['fragments-open']);
    expect(measure([NAT], { server }).axis.value).toBe('pass');
  });
});
