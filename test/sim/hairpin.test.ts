import { describe, expect, it } from 'vitest';
import { planHairpin } from '../../probe/classify/inquiries/hairpin.ts';
import type { ProberOptions } from '../../probe/classify/prober.ts';
import { assessHairpin, type HairpinAxis } from '../../shared/nat/hairpin.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence, NatBehaviour } from './nat.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';

const DEPENDENCES: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];
const TRUTHS = {
  'external-source': 'translated',
  'internal-source': 'untranslated',
  none: 'none',
} as const;

const LOSSES: readonly [string, Partial<Conditions>][] = [
  ['without loss', {}],
  ['at 10 % loss each way', { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
  [
    'at 10 % loss on both sides of the box',
    {
      rough: { loss: { kind: 'independent', probability: 0.1 } },
      access: { loss: { kind: 'independent', probability: 0.1 } },
    },
  ],
];

function natWith(more: Partial<NatBehaviour>, poolSize = 1): Layer {
  const behaviour: NatBehaviour = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports: { kind: 'random' },
    ...more,
  };
  return { kind: 'nat', behaviour, poolSize };
}

function measure(
  layers: readonly Layer[],
  conditions: Partial<Conditions> = {},
  options: Partial<ProberOptions> = {},
): { axis: HairpinAxis; tookMs: number; sent: number } {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld(
    { name: 'hairpin', family: 'ipv4', layers, truth },
    { seed: 1, rttMs: 40, ...conditions },
  );
  const { result, tookMs, sent } = inquireIn(world, planHairpin({ server: world.server.primary }), options);
  return { axis: assessHairpin(result!.evidence), tookMs, sent };
}

for (const [name, conditions] of LOSSES) {
  describe(`hairpinning, ${name}`, () => {
    for (const filtering of DEPENDENCES) {
      it(`is named right behind ${filtering} filtering`, () => {
        const misses: string[] = [];
        for (const hairpin of ['external-source', 'internal-source', 'none'] as const) {
          for (let seed = 1; seed <= 10; seed += 1) {
            const { axis } = measure([natWith({ filtering, hairpin })], { seed, ...conditions });
            if (axis.value !== TRUTHS[hairpin]) misses.push(`${hairpin}, seed ${seed}: ${axis.value}`);
          }
        }
        expect(misses).toEqual([]);
      });
    }

    it('is none on a Linux router, which has no rule for it', () => {
      for (const inputDrop of [true, false]) {
        expect(measure([{ kind: 'linux-router', inputDrop }], conditions).axis.value).toBe('none');
      }
    });

    it('is what the layers make of it', () => {
      const inner = natWith({ hairpin: 'none' });
      const carrier = natWith({ hairpin: 'external-source' });
      expect(measure([inner, carrier], conditions).axis.value).toBe('translated');
      expect(measure([carrier, inner], conditions).axis.value).toBe('none');
      // Seen as the home router's outer endpoint, which only a filter that looks at nothing lets in.
      const untranslating = natWith({ hairpin: 'internal-source' });
      const unfiltered = natWith({ filtering: 'endpoint-independent' });
      expect(measure([unfiltered, untranslating], conditions).axis).toMatchObject({
        value: 'translated',
        seenAs: { address: '100.64.1.2' },
      });
      expect(measure([inner, untranslating], conditions).axis.value).toBe('none');
    });
  });
}

describe('the hairpin inquiry', () => {
  it('is done in a round trip where packets arrive, and soon where they do not', () => {
    const heard = measure([natWith({ hairpin: 'external-source' })]);
    expect(heard.tookMs).toBeLessThanOrEqual(100);
    const silent = measure([natWith({ hairpin: 'none' })]);
    expect(silent.tookMs).toBeLessThan(500);
    expect(silent.sent).toBeLessThan(45);
    expect(silent.axis.confidence).toBeGreaterThan(0.999);
  });

  it('also gets there at ten packets a second', () => {
    for (const hairpin of ['external-source', 'none'] as const) {
      const { axis } = measure([natWith({ hairpin })], {}, { paceMs: 100 });
      expect(axis.value).toBe(TRUTHS[hairpin]);
    }
  });

  it('finds it by address where each mapping has its own of a pool', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const nat = natWith({ hairpin: 'external-source', pooling: 'arbitrary' }, 4);
      expect(measure([nat], { seed }).axis.value, `seed ${seed}`).toBe('translated');
    }
  });

  it('counts what arrives where mappings depend on the destination: neither packet opens the other’s filter', () => {
    const values = DEPENDENCES.map(
      (filtering) =>
        measure([natWith({ mapping: 'address-and-port-dependent', filtering, hairpin: 'external-source' })])
          .axis.value,
    );
    expect(values).toEqual(['translated', 'none', 'none']);
  });

  it('says nothing where nothing is translated, or nothing answers', () => {
    const codesOf = (layers: readonly Layer[]): string[] => {
      const { axis } = measure(layers);
      expect([axis.value, axis.confidence]).toEqual(['unknown', 0]);
      return axis.reasons.map(({ code }) => code);
    };
    expect(codesOf([])).toEqual(['not-translated']);
    expect(codesOf([{ kind: 'firewall', filtering: 'address-dependent' }])).toEqual(['not-translated']);
    expect(codesOf([{ kind: 'udp-block', blocked: 'both' }])).toEqual(['no-answer']);
  });
});
