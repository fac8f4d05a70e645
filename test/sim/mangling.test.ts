import { describe, expect, it } from 'vitest';
import { assessMangling, type ManglingAxis } from '../../shared/nat/mangling.ts';
import { classifyIn } from './classify.ts';
import type { NatBehaviour } from './nat.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';
import type { ServerKind } from './server-dialect.ts';

const LOSSES: readonly [string, Partial<Conditions>][] = [
  ['without loss', {}],
  ['at 10 % loss each way', { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
];

function natWith(more: Partial<NatBehaviour>): Layer {
  const behaviour: NatBehaviour = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports: { kind: 'random' },
    ...more,
  };
  return { kind: 'nat', behaviour };
}

function measure(layers: readonly Layer[], conditions: Partial<Conditions>, kind?: ServerKind): ManglingAxis {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld(
    { name: 'mangling', family: 'ipv4', layers, truth },
    { seed: 1, rttMs: 20, ...conditions, ...(kind === undefined ? {} : { server: { kind } }) },
  );
  return assessMangling(classifyIn(world).result!.evidence);
}

describe('payload mangling, from the classification’s evidence', () => {
  for (const [name, conditions] of LOSSES) {
    it(`is told from none, ${name}`, () => {
      for (let seed = 1; seed <= 5; seed += 1) {
        const rewritten = measure([natWith({ rewritesPayloads: true })], { seed, ...conditions });
        expect([rewritten.value, rewritten.confidence], `seed ${seed}`).toEqual(['rewritten', 1]);
        expect(rewritten.rewritten?.to.address).toBe('10.0.0.2');
        expect(rewritten.rewritten?.from.address).toBe('203.0.113.1');
        const intact = measure([natWith({})], { seed, ...conditions });
        expect([intact.value, intact.confidence], `seed ${seed}`).toEqual(['none', 1]);
      }
    });
  }

  it('is seen where one layer of two does it', () => {
    expect(measure([natWith({}), natWith({ rewritesPayloads: true })], {}).value).toBe('rewritten');
    expect(measure([natWith({ rewritesPayloads: true }), natWith({})], {}).value).toBe('none');
  });

  it('is not known from a server that says the address in one way only', () => {
    const axis = measure([natWith({ rewritesPayloads: true })], {}, 'rfc3489');
    expect([axis.value, axis.confidence, axis.reasons.map(({ code }) => code)]).toEqual([
      'unknown',
      0,
      ['payload-not-compared'],
    ]);
    expect(measure([natWith({})], {}, 'rfc5780').value).toBe('none');
  });

  it('is not known where nothing comes back', () => {
    expect(measure([{ kind: 'udp-block', blocked: 'both' }], {}).value).toBe('unknown');
  });
});
