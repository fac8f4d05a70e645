import { describe, expect, it } from 'vitest';
import { judge } from '../../shared/nat/judge.ts';
import { assessTranslation, type TranslationAxis } from '../../shared/nat/translation.ts';
import { WELL_KNOWN_NAT64_PREFIX, type Nat64Prefix } from '../../shared/nat64.ts';
import { natTypeOf, type Filtering, type Mapping } from '../../shared/nat/behaviour.ts';
import { classifyIn, describeAnswer, describeRun } from './classify.ts';
import type { NatBehaviour } from './nat.ts';
import { buildWorld, type Conditions, type Layer, type Scenario } from './scenario.ts';

const LOSSES: readonly [string, Partial<Conditions>][] = [
  ['without loss', {}],
  ['at 10 % loss each way', { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
];
const SEEDS = [1, 2, 3, 4, 5];

const EIM = 'endpoint-independent';
const APDF = 'address-and-port-dependent';
const APDM = 'address-and-port-dependent';
const FIREWALL: Layer = { kind: 'firewall', filtering: APDF };
const NAT: NatBehaviour = {
  mapping: EIM,
  filtering: APDF,
  ports: { kind: 'preserve', onCollision: 'random' },
};
const MOVING: NatBehaviour = { ...NAT, ports: { kind: 'random' } };

function nat64(behaviour: NatBehaviour, prefix: Nat64Prefix = WELL_KNOWN_NAT64_PREFIX): Layer {
  return { kind: 'nat64', behaviour, prefix };
}

function scenario(
  name: string,
  family: Scenario['family'],
  layers: readonly Layer[],
  mapping: Mapping,
  filtering: Filtering,
): Scenario {
  return { name, family, layers, truth: { type: natTypeOf(mapping, filtering), mapping, filtering } };
}

const CASES: readonly (readonly [TranslationAxis['value'], Scenario])[] = [
  ['none', scenario('nothing', 'ipv6', [], 'none', EIM)],
  ['none', scenario('a firewall', 'ipv6', [FIREWALL], 'none', APDF)],
  ['nat44', scenario('a NAT', 'ipv4', [{ kind: 'nat', behaviour: NAT }], EIM, APDF)],
  ['nat66', scenario('a NAT of IPv6', 'ipv6', [{ kind: 'nat', behaviour: MOVING }], EIM, APDF)],
  ['nat66', scenario('one with its own address', 'ipv6', [{ kind: 'nat', behaviour: NAT }], EIM, APDF)],
  ['nptv6', scenario('NPTv6, /48', 'ipv6', [{ kind: 'nptv6', length: 48 }], EIM, EIM)],
  ['nptv6', scenario('NPTv6, /64', 'ipv6', [{ kind: 'nptv6', length: 64 }], EIM, EIM)],
  ['nptv6', scenario('NPTv6 and a firewall', 'ipv6', [FIREWALL, { kind: 'nptv6', length: 48 }], EIM, APDF)],
  ['nat64', scenario('a NAT64', 'ipv4', [nat64(NAT)], EIM, APDF)],
  ['nat64', scenario('a NAT64 without a filter', 'ipv4', [nat64({ ...NAT, filtering: EIM })], EIM, EIM)],
  [
    'nat64',
    scenario(
      'a NAT64 by address',
      'ipv4',
      [nat64({ ...MOVING, filtering: 'address-dependent' })],
      EIM,
      'address-dependent',
    ),
  ],
  ['nat64', scenario('a symmetric NAT64', 'ipv4', [nat64({ ...MOVING, mapping: APDM })], APDM, APDF)],
  [
    'nat64',
    scenario(
      'a NAT64 of the network’s own prefix, and a firewall',
      'ipv4',
      [FIREWALL, nat64({ ...NAT, filtering: EIM }, { address: '2001:db8:64::', length: 48 })],
      EIM,
      APDF,
    ),
  ],
];

describe('translation, from the classification’s evidence', () => {
  for (const [loss, conditions] of LOSSES) {
    for (const [translation, { name, ...rest }] of CASES) {
      it(`of ${name} is ${translation}, and the verdict right, ${loss}`, () => {
        for (const seed of SEEDS) {
          const world = buildWorld({ name, ...rest }, { seed, rttMs: 20, ...conditions });
          const run = classifyIn(world);
          expect(describeRun(run), `seed ${seed}`).toBe(describeAnswer(rest.truth));
          const axis = assessTranslation(run.result!.evidence);
          expect([axis.value, axis.confidence >= 0.99], `seed ${seed}`).toEqual([translation, true]);
        }
      });
    }
  }

  it('of a NAT64 has IPv6 here and IPv4 there, says so, and is judged alike by whoever reads it', () => {
    const world = buildWorld(CASES.find(([value]) => value === 'nat64')![1], { seed: 1, rttMs: 20 });
    const { evidence, endpoints, outcome } = classifyIn(world).result!;
    expect(endpoints.local?.address).toBe('fd00::2');
    expect(endpoints.mapped?.address).toBe('203.0.113.1');
    expect(judge(evidence)).toMatchObject({
      verdict: outcome.kind === 'verdict' && outcome.verdict,
      endpoints,
    });
    expect(judge(evidence).verdict.reasons).toContainEqual({
      code: 'through-nat64',
      text: 'IPv4 was reached over IPv6, through the NAT64 at 64:ff9b::/96',
    });
    expect(assessTranslation(evidence).nat64Prefixes).toEqual(['64:ff9b::/96']);
  });
});
