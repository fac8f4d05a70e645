/** What is predicted of plain punching, held against the simulator's NATs: for every pair there is. */
import { describe, expect, it } from 'vitest';
import { natTypeOf } from '../../shared/nat/behaviour.ts';
import { behaviourOf, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import type { Behaviour } from '../../shared/punch/plain.ts';
import { predict } from '../../shared/punch/predict.ts';
import { classifyIn, verdictOf } from './classify.ts';
import { punchInSimulation } from './plain-punch.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Layer } from './scenario.ts';

const MAPPINGS = ['none', 'endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const FILTERINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
/** open, fw/ADF, fw/APDF and the nine NATs of RFC 4787. */
const BEHAVIOURS: readonly Behaviour[] = MAPPINGS.flatMap((mapping) =>
  FILTERINGS.map((filtering) => ({ mapping, filtering })),
);
const PAIRS = BEHAVIOURS.flatMap((a) => BEHAVIOURS.map((b) => [a, b] as const));

const ALLOCATIONS: readonly PortAllocation[] = [
  { kind: 'random' },
  { kind: 'preserve', onCollision: 'sequential' },
  { kind: 'sequential', first: 20_000, delta: 1 },
  { kind: 'block', base: 1024, size: 512, within: 'random' },
];

function nameOf({ mapping, filtering }: Behaviour): string {
  return behaviourOf({ mapping, filtering }).name;
}

/** As a probe behind it would report it. */
function measure({ mapping, filtering }: Behaviour, index: number): PunchBehaviour {
  const layers: Layer[] =
    mapping === 'none'
      ? filtering === 'endpoint-independent'
        ? []
        : [{ kind: 'firewall', filtering }]
      : [{ kind: 'nat', behaviour: { mapping, filtering, ports: { kind: 'random' } } }];
  const truth = { type: natTypeOf(mapping, filtering), mapping, filtering };
  const world = buildWorld({ name: 'measured', family: 'ipv4', layers, truth }, { seed: index, rttMs: 40 });
  const verdict = verdictOf(classifyIn(world))!;
  return { ...behaviourOf(verdict), confidence: verdict.confidence };
}

describe('a plain punch', () => {
  it('is asked about for 144 pairs', () => {
    expect(PAIRS).toHaveLength(144);
  });

  it.each(ALLOCATIONS.map((ports) => [ports.kind, ports] as const))(
    'is predicted to work exactly where it works in the simulator, with ports of kind %s',
    (_kind, ports) => {
      const seeds = [1, 2, 3];
      const wrong = PAIRS.flatMap(([a, b]) =>
        seeds.flatMap((seed) => {
          const heard = punchInSimulation(a, b, ports, seed);
          const { plain } = predict(behaviourOf(a), behaviourOf(b));
          return plain === (heard.a && heard.b) ? [] : [`${nameOf(a)} x ${nameOf(b)}, seed ${seed}`];
        }),
      );
      expect(wrong).toEqual([]);
    },
  );

  it('is predicted alike from what the classifier measures of both', () => {
    const measured = BEHAVIOURS.map((behaviour, index) => measure(behaviour, index));
    const wrong = BEHAVIOURS.flatMap((a, row) =>
      BEHAVIOURS.flatMap((b, column) => {
        const { plain } = predict(measured[row]!, measured[column]!);
        const heard = punchInSimulation(a, b, { kind: 'random' }, 1);
        return plain === (heard.a && heard.b) ? [] : [`${nameOf(a)} x ${nameOf(b)}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it('works in some pairs, and not in others', () => {
    const works = PAIRS.filter(([a, b]) => predict(behaviourOf(a), behaviourOf(b)).plain).length;
    expect(works).toBeGreaterThan(72);
    expect(works).toBeLessThan(144);
  });
});
