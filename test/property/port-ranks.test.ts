/** Ranking runs of ports gives what going over all ports gives, whatever a peer states of its NAT. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FIRST_PORT,
  LAST_PORT,
  massesOf,
  type PortLaw,
  type PortRange,
  rangesOf,
  type Situation,
  type WeightedLaw,
} from '../../shared/nat/port-law.ts';
import { type Draw, guessPorts, portsToDraw } from '../../shared/punch/port-odds.ts';
import { runsOf } from '../../shared/punch/port-ranks.ts';
import { checkProperty } from './property.ts';

const port = fc.integer({ min: FIRST_PORT, max: LAST_PORT });
const anyPort = fc.oneof({ weight: 4, arbitrary: port }, fc.integer({ min: 0, max: LAST_PORT }));
const twoPorts = fc
  .uniqueArray(anyPort, { minLength: 2, maxLength: 2 })
  .map(([a, b]) => [Math.min(a!, b!), Math.max(a!, b!)] as const);
const skips = fc.record({
  shape: fc.double({ min: 0.5, max: 200, noNaN: true }),
  rate: fc.double({ min: 0.5, max: 1e4, noNaN: true }),
});
const delta = fc.integer({ min: -300, max: 300 });
const law: fc.Arbitrary<PortLaw> = fc.oneof(
  fc.constant<PortLaw>({ kind: 'kept' }),
  fc.constant<PortLaw>({ kind: 'preserved' }),
  fc.record({ kind: fc.constant('after-own' as const), delta, skips }),
  fc.record({
    kind: fc.constant('after-last' as const),
    delta,
    skips,
    last: port,
    agoMs: fc.integer({ min: 0, max: 3000 }),
  }),
  fc
    .record({ range: twoPorts, sameParity: fc.boolean() })
    .map(({ range: [first, last], sameParity }): PortLaw => ({ kind: 'uniform', first, last, sameParity })),
  fc
    .record({ range: twoPorts, sameParity: fc.boolean(), samples: fc.integer({ min: 2, max: 40 }) })
    .map(({ range: [lowest, highest], ...rest }): PortLaw => ({ kind: 'spread', lowest, highest, ...rest })),
);
const mixture = fc
  .array(fc.record({ weight: fc.integer({ min: 1, max: 1000 }), law }), { minLength: 1, maxLength: 4 })
  .map((laws): WeightedLaw[] => {
    const total = laws.reduce((sum, { weight }) => sum + weight, 0);
    return laws.map((each) => ({ ...each, weight: each.weight / total }));
  });
const situation: fc.Arbitrary<Situation> = fc.record({
  localPort: port,
  ownPort: port,
  afterMs: fc.integer({ min: 1, max: 3000 }),
  latest: fc.record({ port, agoMs: fc.integer({ min: 1, max: 3000 }) }),
});
const count = fc.integer({ min: 1, max: 2048 });

describe('the runs of a mixture', () => {
  it('have each port once, with the mass that it has among all ports', () => {
    const property = fc.property(mixture, situation, (laws, where) => {
      const masses = massesOf(laws, where);
      const seen = new Float64Array(LAST_PORT + 1);
      for (const { first, last, step, mass } of runsOf(laws, where))
        for (let each = first; each <= last; each += step) seen[each]! += mass;
      expect(masses.findIndex((mass, index) => !isNear(mass, seen[index]!))).toBe(-1);
    });
    checkProperty(property, 30);
  });

  it('are guessed and drawn from as all ports would be', () => {
    const cases = fc.record({
      laws: mixture,
      where: situation,
      count,
      draw: fc.constantFrom<Draw>('first', 'later', 'elsewhere', 'elsewhereLater'),
    });
    const property = fc.property(cases, ({ laws, where, count: wanted, draw }) => {
      const masses = massesOf(laws, where);
      const axis = { model: { newSocket: laws, newEndpoint: laws } };
      const guesses = guessPorts(axis, where, wanted);
      // Sums in another order may differ in the last digit: each port has to be as good as the one in its place.
      expect(new Set(guesses).size).toBe(guesses.length);
      const best = likeliest(masses, wanted);
      expect(guesses.length).toBe(best.length);
      expect(guesses.findIndex((each, rank) => !isNear(masses[each]!, masses[best[rank]!]!))).toBe(-1);
      expect(portsToDraw(axis, where, wanted, draw)).toEqual(drawFromAll(masses, wanted, draw));
    });
    checkProperty(property, 30);
  });
});

function isNear(one: number, other: number): boolean {
  return Math.abs(one - other) <= 1e-12 * Math.max(one, other);
}

const DRAWS: Readonly<Record<Draw, readonly [asLikely: number, asGood: number]>> = {
  first: [0.8, 0.95],
  later: [0.2, 0.3],
  elsewhere: [0.4, 0.7],
  elsewhereLater: [0.05, 0.2],
};

function drawFromAll(masses: Float64Array, wanted: number, draw: Draw): PortRange[] {
  const [asLikely, asGood] = DRAWS[draw];
  const best = likeliest(masses, wanted);
  const least = massOfRank(masses, wanted) * asLikely;
  const likely = Array.from(masses.keys()).filter(
    (each) => each >= FIRST_PORT && masses[each]! > 0 && masses[each]! >= least,
  );
  const massOf = (ports: readonly number[]): number => ports.reduce((sum, each) => sum + masses[each]!, 0);
  const isFair = (massOf(likely) / likely.length) * best.length >= asGood * massOf(best);
  return rangesOf(isFair ? likely : best.sort((a, b) => a - b));
}

/** Of all ports as likely as the one of that rank: the likeliest first, of those alike the lowest. */
function likeliest(masses: Float64Array, wanted: number): number[] {
  const least = massOfRank(masses, wanted);
  return Array.from(masses.keys())
    .filter((each) => each >= FIRST_PORT && masses[each]! > 0 && masses[each]! >= least)
    .sort((a, b) => masses[b]! - masses[a]! || a - b)
    .slice(0, wanted);
}

function massOfRank(masses: Float64Array, rank: number): number {
  return masses.toSorted().at(-rank) ?? 0;
}
