import { describe, expect, it } from 'vitest';
import type { Filtering, Mapping } from '../../shared/nat/behaviour.ts';
import { LINUX_ROUTERS, NINE_CELLS, WITHOUT_NAT } from './cells.ts';
import { classifyIn, describeAnswer, describeRun, verdictOf } from './classify.ts';
import type { LinkOptions } from './link.ts';
import type { MachineRun } from './machine-driver.ts';
import { buildWorld, type Conditions, type Scenario } from './scenario.ts';
import { SimulatedServer, type SimulatedServerOptions } from './server.ts';

const SORTS: readonly Scenario[] = [...NINE_CELLS, ...WITHOUT_NAT, ...LINUX_ROUTERS];
const SEEDS = [1, 2, 3];
const LOST = { loss: { kind: 'independent', probability: 1 } } as const;
const DEAD: LinkOptions = { up: LOST, down: LOST };
const DEAD_SERVER = { links: { primary: DEAD, alternate: DEAD } } as const;

interface Case {
  /** The first server, and the path of all. */
  readonly first?: Omit<Conditions, 'seed' | 'rttMs' | 'rough'>;
  readonly rttMs?: number;
  readonly further?: readonly Partial<SimulatedServerOptions>[];
  /** Without loss every run has ended by then; at 20 % within twice as long and a second. */
  readonly limitMs: number;
}

function farBy(ms: number): LinkOptions {
  return { up: { delayMs: ms / 2 }, down: { delayMs: ms / 2 } };
}

/** Runs every sort of box without loss and at 20 %, holds the time, and hands each run to `check`. */
function inEverySort(
  { first = {}, rttMs = 100, further = [], limitMs }: Case,
  check: (scenario: Scenario, run: MachineRun, label: string) => void,
): void {
  for (const probability of [0, 0.2]) {
    for (const scenario of SORTS) {
      for (const seed of SEEDS) {
        const rough = { loss: { kind: 'independent', probability } } as const;
        const world = buildWorld(scenario, { ...first, seed, rttMs, rough });
        const servers = further.map(
          (options, index) =>
            new SimulatedServer(world.network, {
              addresses: [`198.51.100.${2 * index + 1}`, `198.51.100.${2 * index + 2}`],
              ...options,
            }),
        );
        const run = classifyIn(world, { servers: [world.server, ...servers].map(({ primary }) => primary) });
        const label = `${scenario.name}, loss ${probability}, seed ${seed}`;
        expect(run.tookMs, label).toBeLessThanOrEqual(probability === 0 ? limitMs : 2 * limitMs + 1000);
        check(scenario, run, label);
      }
    }
  }
}

function expectRight({ truth }: Scenario, run: MachineRun, label: string): void {
  expect(describeRun(run), label).toBe(describeAnswer(truth));
}

/** What a server with one address leaves to say: filtering only where silence from its other port proves it. */
function byOneAddress({ filtering }: Scenario['truth']): Filtering {
  return filtering === 'address-and-port-dependent' ? filtering : 'unknown';
}

describe('of several servers one that serves is enough', () => {
  it('the first', () => {
    inEverySort({ further: [{}], limitMs: 400 }, expectRight);
    inEverySort({ further: [DEAD_SERVER], limitMs: 400 }, expectRight);
    inEverySort({ further: [{ addresses: ['198.51.100.1'] }], limitMs: 400 }, expectRight);
  });

  it('the second, where the first is dead', () => {
    inEverySort({ first: { server: DEAD_SERVER }, further: [{}], limitMs: 400 }, expectRight);
  });

  it('the third, where the others are dead', () => {
    inEverySort({ first: { server: DEAD_SERVER }, further: [DEAD_SERVER, {}], limitMs: 400 }, expectRight);
  });

  it('the second, where the first has one address', () => {
    inEverySort({ first: { oneAddress: true }, further: [{}], limitMs: 400 }, expectRight);
  });

  it('the second, where the other address of the first is dead or named wrongly', () => {
    const wrong = { 2: { address: '10.9.9.9', port: 3478 }, 3: { address: '10.9.9.9', port: 3479 } };
    const servers = [
      { links: { alternate: DEAD } },
      { links: { alternate: { down: LOST } } },
      { advertised: wrong },
    ];
    for (const server of servers)
      inEverySort({ first: { server }, further: [{}], limitMs: 550 }, expectRight);
  });

  it('the second, where the first ignores CHANGE-REQUEST', () => {
    const first = { server: { kind: 'ignores-change-request' } } as const;
    inEverySort({ first, further: [{}], limitMs: 400 }, expectRight);
  });

  it('the faster, where the other is slow, whichever comes first', () => {
    for (const slower of [270, 1500]) {
      const links = { primary: farBy(slower), alternate: farBy(slower) };
      inEverySort({ first: { server: { links } }, rttMs: 30, further: [{}], limitMs: 200 }, expectRight);
      inEverySort({ rttMs: 30, further: [{ links }], limitMs: 190 }, expectRight);
    }
  });
});

describe('where no server serves in full, the run ends once nothing more can be learned', () => {
  it('two of natprobed with one address each', () => {
    const second = { addresses: ['198.51.100.1'] } as const;
    inEverySort({ first: { oneAddress: true }, further: [second], limitMs: 400 }, ({ truth }, run, label) => {
      expect(verdictOf(run)?.mapping, label).toBe(truth.mapping);
      expect(verdictOf(run)?.filtering, label).toBe(byOneAddress(truth));
    });
  });

  it('two of others with one address each: the type is cone, symmetric or, without NAT, none', () => {
    const first = { oneAddress: true, server: { kind: 'rfc5780' } } as const;
    const second = { addresses: ['198.51.100.1'], kind: 'rfc5780' } as const;
    inEverySort({ first, further: [second], limitMs: 300 }, ({ truth }, run, label) => {
      const expected: Record<string, [Mapping, string]> = {
        none: ['none', 'inconclusive'],
        'endpoint-independent': ['endpoint-independent', 'cone'],
        'address-dependent': ['dependent', 'symmetric'],
        'address-and-port-dependent': ['dependent', 'symmetric'],
      };
      expect([verdictOf(run)?.mapping, verdictOf(run)?.type], label).toEqual(expected[truth.mapping]);
      expect(verdictOf(run)?.filtering, label).toBe('unknown');
    });
  });

  it('one with one address alone, or beside a dead one: no more than the mapping towards it', () => {
    const cases: Case[] = [
      { first: { oneAddress: true }, limitMs: 400 },
      { first: { oneAddress: true }, further: [DEAD_SERVER], limitMs: 1100 },
      { first: { server: DEAD_SERVER }, further: [{ addresses: ['198.51.100.1'] }], limitMs: 1100 },
    ];
    for (const it of cases) {
      inEverySort(it, ({ truth }, run, label) => {
        // Two ports of one address that saw the same leave the other address open.
        const seen: Record<string, Mapping> = {
          none: 'none',
          'address-and-port-dependent': 'address-and-port-dependent',
        };
        expect(verdictOf(run)?.mapping, label).toBe(seen[truth.mapping] ?? 'unknown');
        expect(verdictOf(run)?.filtering, label).toBe(byOneAddress(truth));
      });
    }
  });

  it('one whose other address answers nobody', () => {
    for (const alternate of [DEAD, { up: LOST }, { down: LOST }]) {
      inEverySort({ first: { server: { links: { alternate } } }, limitMs: 1200 }, ({ truth }, run, label) => {
        const { mapping, filtering } = verdictOf(run)!;
        expect(['unknown', truth.mapping], label).toContain(mapping);
        expect(['unknown', truth.filtering], label).toContain(filtering);
      });
    }
  });
});

describe('at ten transactions a second (RFC 5780 §5)', () => {
  it('every sort of server gets its tests and its controls', () => {
    for (const kind of ['natprobed', 'rfc5780', 'rfc3489'] as const) {
      for (const scenario of SORTS) {
        const run = classifyIn(buildWorld(scenario, { seed: 1, rttMs: 100, server: { kind } }), {
          paceMs: 100,
        });
        expect(describeRun(run), `${scenario.name}, ${kind}`).toBe(describeAnswer(scenario.truth));
        expect(run.tookMs, `${scenario.name}, ${kind}`).toBeLessThanOrEqual(2500);
      }
    }
  });
});
