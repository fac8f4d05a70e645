import { describe, expect, it } from 'vitest';
import type { Filtering, Mapping } from '../../shared/nat/behaviour.ts';
import { LINUX_ROUTERS, NINE_CELLS, WITHOUT_NAT } from './cells.ts';
import { classifyIn, describeAnswer, describeRun, verdictOf } from './classify.ts';
import type { MachineRun } from './machine-driver.ts';
import { buildWorld, type Conditions, type Scenario, type World } from './scenario.ts';
import type { ServerKind } from './server-dialect.ts';
import { SimulatedServer } from './server.ts';

const SORTS: readonly Scenario[] = [...NINE_CELLS, ...WITHOUT_NAT, ...LINUX_ROUTERS];
const SEEDS = [1, 2, 3, 4, 5];
const DEAD = { loss: { kind: 'independent', probability: 1 } } as const;

/** Runs every sort of box under `conditions`, at no loss and at 20 %, and hands each run to `check`. */
function inEverySort(
  conditions: Omit<Conditions, 'seed' | 'rttMs' | 'rough'>,
  check: (scenario: Scenario, run: MachineRun, label: string) => void,
  classify: (world: World) => MachineRun = classifyIn,
): void {
  for (const probability of [0, 0.2]) {
    for (const scenario of SORTS) {
      for (const seed of SEEDS) {
        const rough = { loss: { kind: 'independent', probability } } as const;
        const world = buildWorld(scenario, { ...conditions, seed, rttMs: 100, rough });
        check(scenario, classify(world), `${scenario.name}, loss ${probability}, seed ${seed}`);
      }
    }
  }
}

function reasonCodes(run: MachineRun): string[] {
  return verdictOf(run)?.reasons.map(({ code }) => code) ?? [];
}

/** What is said may be less than the truth, never other than it. */
function expectNothingFalse(scenario: Scenario, run: MachineRun, label: string): void {
  const { mapping, filtering } = scenario.truth;
  const verdict = verdictOf(run);
  expect(verdict, label).toBeDefined();
  const allowedMappings: Mapping[] = ['unknown', mapping];
  if (mapping === 'address-dependent' || mapping === 'address-and-port-dependent')
    allowedMappings.push('dependent');
  const allowedFilterings: Filtering[] = ['unknown', filtering];
  expect(allowedMappings, label).toContain(verdict!.mapping);
  expect(allowedFilterings, label).toContain(verdict!.filtering);
}

describe('servers of others, without receipts', () => {
  for (const kind of ['rfc5780', 'rfc3489', 'fixed-other-address'] satisfies ServerKind[]) {
    it(`${kind}: every sort of box is named right`, () => {
      inEverySort({ server: { kind } }, (scenario, run, label) => {
        expect(describeRun(run), label).toBe(describeAnswer(scenario.truth));
      });
    });
  }

  it('that ignore CHANGE-REQUEST: mapping right, filtering unknown with the reason, never a full cone', () => {
    inEverySort({ server: { kind: 'ignores-change-request' } }, (scenario, run, label) => {
      expect(verdictOf(run)?.mapping, label).toBe(scenario.truth.mapping);
      expect(verdictOf(run)?.filtering, label).toBe('unknown');
      expect(reasonCodes(run), label).toContain('change-request-unsupported');
      expect(['cone', 'symmetric', 'inconclusive'], label).toContain(verdictOf(run)?.type);
    });
  });
});

describe('servers with one address', () => {
  /** The one server, and another one elsewhere. */
  const withSecond = (kind: ServerKind) => (world: World) => {
    const second = new SimulatedServer(world.network, { addresses: ['198.51.100.1'], kind });
    return classifyIn(world, { servers: [world.server.primary, second.primary] });
  };

  it('one alone: nothing false is said, and that an address lacks', () => {
    for (const kind of ['natprobed', 'rfc5780'] satisfies ServerKind[]) {
      inEverySort({ oneAddress: true, server: { kind } }, (scenario, run, label) => {
        expectNothingFalse(scenario, run, label);
        expect(reasonCodes(run), label).toContain('one-address-server');
      });
    }
  });

  it('two of natprobed: the mapping is right, and filtering by port is proven by receipts', () => {
    inEverySort(
      { oneAddress: true },
      ({ truth }, run, label) => {
        const byPort = truth.filtering === 'address-and-port-dependent';
        expect(verdictOf(run)?.mapping, label).toBe(truth.mapping);
        expect(verdictOf(run)?.filtering, label).toBe(byPort ? truth.filtering : 'unknown');
      },
      withSecond('natprobed'),
    );
  });

  it('two of others: the mapping is endpoint-independent or dependent, filtering unknown', () => {
    inEverySort(
      { oneAddress: true, server: { kind: 'rfc5780' } },
      ({ truth }, run, label) => {
        const isDependent = truth.mapping !== 'none' && truth.mapping !== 'endpoint-independent';
        expect(verdictOf(run)?.mapping, label).toBe(isDependent ? 'dependent' : truth.mapping);
        expect(verdictOf(run)?.filtering, label).toBe('unknown');
      },
      withSecond('rfc5780'),
    );
  });
});

describe('servers whose other address fails: nothing false is said, and why', () => {
  it('dead both ways, though the receipts say that it sent', () => {
    inEverySort({ server: { links: { alternate: { up: DEAD, down: DEAD } } } }, (scenario, run, label) => {
      expectNothingFalse(scenario, run, label);
      expect(reasonCodes(run), label).toContain('other-address-dead');
    });
  });

  it('dead on the way back', () => {
    inEverySort({ server: { links: { alternate: { up: DEAD } } } }, expectNothingFalse);
  });

  it('dead on the way there', () => {
    inEverySort({ server: { links: { alternate: { down: DEAD } } } }, expectNothingFalse);
  });

  it('named wrongly', () => {
    const advertised = { 2: { address: '10.9.9.9', port: 3478 }, 3: { address: '10.9.9.9', port: 3479 } };
    inEverySort({ server: { advertised } }, (scenario, run, label) => {
      expectNothingFalse(scenario, run, label);
      expect(reasonCodes(run), label).toContain('other-address-dead');
    });
  });
});
