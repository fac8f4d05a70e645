/** Verdicts against two hosts that are a pair: however far apart they are, and whenever a part of it dies. */
import { describe, expect, it } from 'vitest';
import { LOST_AFTER_MS } from '../../server/pair/pair.ts';
import { LINUX_ROUTERS, NINE_CELLS, WITHOUT_NAT } from './cells.ts';
import { classifyIn, describeAnswer, describeRun, verdictOf } from './classify.ts';
import { type PairConditions, pairHosts } from './paired-hosts.ts';
import { Random } from './random.ts';
import { buildWorld, type Scenario } from './scenario.ts';
import type { MachineRun } from './machine-driver.ts';

const SORTS: readonly Scenario[] = [...NINE_CELLS, ...WITHOUT_NAT, ...LINUX_ROUTERS];
/** Hosts in one rack, in one country, on two continents. */
const ROUND_TRIPS_MS = [1, 30, 300];
/** A run takes some 250 ms at this round trip, and begins 0 to some seconds before or after the death. */
const RTT_MS = 60;
const DEATHS = 12;

function classifyAgainst(
  scenario: Scenario,
  seed: number,
  loss: number,
  conditions: PairConditions,
): MachineRun {
  const rough = { loss: { kind: 'independent', probability: loss } } as const;
  const world = buildWorld(scenario, { seed, rttMs: RTT_MS, rough });
  pairHosts(world.network, world.server, conditions);
  return classifyIn(world);
}

describe('two hosts that are a pair', () => {
  it.each(ROUND_TRIPS_MS)('%d ms apart, there and back: every sort of box is named right', (roundTripMs) => {
    for (const loss of [0, 0.2]) {
      for (const scenario of SORTS) {
        for (const seed of [1, 2, 3]) {
          const label = `${scenario.name}, loss ${loss}, seed ${seed}`;
          const run = classifyAgainst(scenario, seed, loss, { roundTripMs });
          expect(describeRun(run), label).toBe(describeAnswer(scenario.truth));
        }
      }
    }
  });

  it.each(
    (['other-host', 'messages'] as const).flatMap((of) =>
      ROUND_TRIPS_MS.map((roundTripMs) => ({ of, roundTripMs })),
    ),
  )('nothing false is said whenever a part dies: %j', ({ of, roundTripMs }) => {
    const filterings = new Set<string>();
    for (const [index, scenario] of SORTS.entries()) {
      for (let seed = 1; seed <= DEATHS; seed++) {
        const random = new Random(1000 * index + seed);
        // Before the run too: then it begins with an other address that is dead and not yet known to be.
        const atMs = random.integer(-LOST_AFTER_MS, 600);
        const noticedAtMs = atMs + random.integer(1000, LOST_AFTER_MS + 300);
        const loss = random.chance(0.5) ? 0 : 0.1;
        const run = classifyAgainst(scenario, seed, loss, { roundTripMs, death: { of, atMs, noticedAtMs } });
        const label = `${scenario.name}, seed ${seed}, dies at ${atMs}, noticed at ${noticedAtMs}, loss ${loss}`;
        const { mapping, filtering } = scenario.truth;
        const verdict = verdictOf(run);
        expect(verdict, label).toBeDefined();
        const dependent = mapping === 'none' || mapping === 'endpoint-independent' ? [] : ['dependent'];
        expect(['unknown', mapping, ...dependent], label).toContain(verdict!.mapping);
        expect(['unknown', filtering], label).toContain(verdict!.filtering);
        filterings.add(verdict!.filtering);
      }
    }
    expect(filterings).toContain('unknown');
  });
});
