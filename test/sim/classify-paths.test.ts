import { describe, expect, it } from 'vitest';
import {
  BLOCKED,
  LINUX_ROUTERS,
  LINUX_WITHOUT_DROP,
  NINE_CELLS,
  OPEN,
  STRICT_FIREWALL,
  WITHOUT_NAT,
} from './cells.ts';
import { classifyIn, describeAnswer, describeRun, markRun } from './classify.ts';
import type { LossOptions } from './loss.ts';
import { buildWorld, type Conditions, type Scenario } from './scenario.ts';

const independent = (probability: number): LossOptions => ({ kind: 'independent', probability });
const bursts = (meanGoodMs: number, meanBadMs: number): LossOptions => ({
  kind: 'timed-gilbert-elliott',
  meanGoodMs,
  meanBadMs,
  lossGood: 0,
  lossBad: 1,
});
const PACKET_BURSTS: LossOptions = { kind: 'gilbert-elliott', p: 0.05, r: 0.2, lossGood: 0, lossBad: 1 };

/** Loss each way outside the NAT at this round trip. */
const rough = (loss: LossOptions, rttMs = 100): Omit<Conditions, 'seed'> => ({ rttMs, rough: { loss } });
/** Loss only on what the alternate address sends. */
const roughAlternate = (loss: LossOptions): Omit<Conditions, 'seed'> => ({
  rttMs: 100,
  server: { links: { alternate: { up: { loss } } } },
});

function named(name: string): Scenario {
  const found = [...NINE_CELLS, OPEN, STRICT_FIREWALL, ...LINUX_ROUTERS].find(
    (scenario) => scenario.name === name || scenario.name === `${name}, random ports`,
  );
  if (found === undefined) throw new RangeError(`no scenario ${name}`);
  return found;
}

/** Runs that once gave a wrong verdict or none, by what went wrong. */
const FAILED_ONCE: readonly [string, readonly (readonly [string, number, Omit<Conditions, 'seed'>])[]][] = [
  [
    'one burst ate every receipt request, so that natprobed passed for a server without receipts',
    [
      ['ADM/EIF', 802, rough(bursts(160, 40))],
      ['EIM/EIF', 6036, rough(PACKET_BURSTS)],
      ['EIM/EIF', 6855, rough(PACKET_BURSTS)],
      ['EIM/EIF', 3, rough(bursts(1000, 250), 600)],
      ['open', 9, rough(bursts(5000, 500), 600)],
      ...(['rfc5780', 'rfc3489'] as const).flatMap((kind) =>
        ['ADM/ADF', 'APDM/ADF'].map(
          (name) => [name, 42, { ...rough(independent(0.2)), server: { kind } }] as const,
        ),
      ),
    ],
  ],
  [
    'an outage made an endpoint look dead',
    [
      ['EIM/APDF', 139, rough(PACKET_BURSTS)],
      ['EIM/APDF', 213, rough(PACKET_BURSTS)],
      ['EIM/APDF', 214, rough(PACKET_BURSTS)],
      [LINUX_WITHOUT_DROP.name, 85, rough(PACKET_BURSTS)],
      ['EIM/APDF', 7, rough(bursts(5000, 500))],
      ['EIM/APDF', 7, rough(bursts(5000, 500), 600)],
      ['EIM/APDF', 22, rough(bursts(1000, 250))],
      ['EIM/APDF', 22, rough(bursts(1000, 250), 600)],
      [STRICT_FIREWALL.name, 99, rough(PACKET_BURSTS)],
    ],
  ],
  [
    'what the alternate address sent was lost, while all else got through',
    [
      ['EIM/EIF', 101, roughAlternate(independent(0.2))],
      ['EIM/EIF', 185, roughAlternate(independent(0.2))],
      ['EIM/EIF', 28, roughAlternate(independent(0.4))],
      ['open', 5, roughAlternate(independent(0.4))],
      ['EIM/EIF', 3, roughAlternate(PACKET_BURSTS)],
      ['open', 16, roughAlternate(PACKET_BURSTS)],
      ['EIM/EIF', 12, roughAlternate(bursts(160, 40))],
      ['open', 15, roughAlternate(bursts(160, 40))],
      ['open', 12, roughAlternate(bursts(1000, 250))],
    ],
  ],
  [
    'nothing was planned any more while something was still open',
    [
      ['EIM/ADF', 38, { ...rough(bursts(1000, 250)), server: { kind: 'rfc5780' } }],
      ['Linux router without input drop, fully random', 5, rough(bursts(160, 40))],
      [
        'Linux router without input drop, fully random',
        5,
        { ...rough(bursts(160, 40)), server: { kind: 'rfc5780' } },
      ],
    ],
  ],
];

describe('runs that once went wrong go right, in at most six round trips and 1.5 s', () => {
  for (const [fault, runs] of FAILED_ONCE) {
    it(`where ${fault}`, () => {
      for (const [name, seed, conditions] of runs) {
        const scenario = named(name);
        const run = classifyIn(buildWorld(scenario, { ...conditions, seed }));
        const label = `${name}, seed ${seed}, ${JSON.stringify(conditions)}`;
        expect(describeRun(run), label).toBe(describeAnswer(scenario.truth));
        expect(run.tookMs, label).toBeLessThanOrEqual(6 * conditions.rttMs + 1500);
      }
    });
  }

  it('where UDP was silent and the SYNs of several attempts were lost', () => {
    for (const scenario of BLOCKED) {
      for (const seed of [15, ...Array.from({ length: 20 }, (_, index) => 100 + index)]) {
        const run = classifyIn(buildWorld(scenario, { ...rough(independent(0.2)), seed }));
        expect(describeRun(run), `${scenario.name}, seed ${seed}`).toBe(describeAnswer(scenario.truth));
        expect(run.tookMs, `${scenario.name}, seed ${seed}`).toBeLessThanOrEqual(3000);
      }
    }
  });

  it('where the first answer came after the second TCP attempt: UDP is asked all the while', () => {
    const run = classifyIn(buildWorld(named('EIM/EIF'), { ...rough(PACKET_BURSTS), seed: 64 }));
    expect(describeRun(run)).toBe(describeAnswer(named('EIM/EIF').truth));
    expect(run.tookMs).toBeLessThanOrEqual(1500);
  });
});

describe('a rough path of one of the two addresses alone is no filtering', () => {
  const sorts = [...NINE_CELLS, ...WITHOUT_NAT, ...LINUX_ROUTERS];
  for (const [name, loss] of [
    ['20 %', independent(0.2)],
    ['40 %', independent(0.4)],
    ['bursts of packets', PACKET_BURSTS],
    ['short bursts', bursts(160, 40)],
  ] as const) {
    for (const address of ['primary', 'alternate'] as const) {
      it(`${name} on what the ${address} one sends`, () => {
        const wrong: string[] = [];
        for (const scenario of sorts) {
          for (let seed = 1; seed <= 15; seed += 1) {
            const server = { links: { [address]: { up: { loss } } } };
            const run = classifyIn(buildWorld(scenario, { rttMs: 100, seed, server }));
            if (markRun(run, scenario.truth) !== 'right')
              wrong.push(`${scenario.name}, seed ${seed}: ${describeRun(run)}`);
          }
        }
        expect(wrong).toEqual([]);
      });
    }
  }
});
