/** The TCP inquiry against simulated NATs: every mapping, filtering and treatment of SYNs, with and without loss. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_DIAL_LIMITS } from '../../server/tcp/dial-back.ts';
import type { TcpDialEvidence } from '../../shared/nat/evidence.ts';
import type { Dependence } from './nat.ts';
import { describeTcpRun, inquireTcp, type TcpRun } from './tcp-inquire.ts';
import type { TcpNatBehaviour } from './tcp-nat.ts';

const EIM: Dependence = 'endpoint-independent';
const DEPENDENCES: readonly Dependence[] = [EIM, 'address-dependent', 'address-and-port-dependent'];
const BEHAVIOURS: readonly TcpNatBehaviour[] = (['none', ...DEPENDENCES] as const).flatMap((mapping) =>
  DEPENDENCES.flatMap((filtering) =>
    (['dropped', 'reset', 'icmp'] as const).map((unsolicited) => ({ mapping, filtering, unsolicited })),
  ),
);
const STRICT: TcpNatBehaviour = {
  mapping: EIM,
  filtering: 'address-and-port-dependent',
  unsolicited: 'dropped',
};
const OPEN: TcpNatBehaviour = { mapping: EIM, filtering: EIM, unsolicited: 'dropped' };
const BY_ADDRESS: TcpNatBehaviour = { mapping: EIM, filtering: 'address-dependent', unsolicited: 'dropped' };

/** `MAPPING FILTERING SYN OPEN`, as it should be found. */
function truthOf({ mapping, filtering, unsolicited }: TcpNatBehaviour): string {
  const syn = filtering === EIM ? 'accepted' : unsolicited;
  const harmless = syn === 'dropped' || syn === 'accepted';
  const open = mapping !== 'none' && mapping !== EIM ? 'needs-prediction' : harmless ? 'likely' : 'by-chance';
  return `${mapping} ${filtering} ${syn} ${open}`;
}

function dialsOf({ evidence }: TcpRun): TcpDialEvidence[] {
  return evidence.filter((item) => item.kind === 'tcp-dial');
}

describe('behind every NAT', () => {
  it.each(BEHAVIOURS.map((behaviour) => [truthOf(behaviour), behaviour] as const))(
    'is found: %s',
    (truth, behaviour) => {
      for (const rttMs of [1, 100]) {
        const run = inquireTcp(behaviour, { seed: 1, rttMs });
        expect(describeTcpRun(run)).toBe(truth);
        // A dial waits for 800 ms and two round trips; everything else is done in five round trips.
        const dropped = truth.includes(' dropped ');
        expect(run.tookMs).toBeLessThan(dropped ? 900 + 4 * rttMs : 60 + 8 * rttMs);
        const { filtering, unsolicitedSyn } = run.axis;
        const least = dropped ? 0.999 : 1;
        expect(filtering.confidence).toBeGreaterThanOrEqual(filtering.value === EIM ? 1 : least);
        expect(unsolicitedSyn.confidence).toBeGreaterThanOrEqual(least);
        expect(unsolicitedSyn.confidence < 1).toBe(dropped);
      }
    },
  );

  it('is found at 10 % loss each way: never wrong, and decided in all of 720 runs', () => {
    const wrong: string[] = [];
    const undecided: string[] = [];
    const times: number[] = [];
    for (const behaviour of BEHAVIOURS) {
      const truth = truthOf(behaviour);
      for (let seed = 1; seed <= 20; seed += 1) {
        const run = inquireTcp(behaviour, { seed, rttMs: 20, loss: 0.1 });
        const found = describeTcpRun(run);
        times.push(run.tookMs);
        if (found === truth) continue;
        (found.includes('unknown') ? undecided : wrong).push(`seed ${seed}: ${truth}, found ${found}`);
      }
    }
    expect(wrong).toEqual([]);
    expect(undecided).toEqual([]);
    expect(times.toSorted((a, b) => a - b)[times.length / 2]).toBeLessThan(1000);
  });

  it('is found at 30 % loss each way, or said to be unknown', () => {
    const wrong: string[] = [];
    for (const behaviour of BEHAVIOURS) {
      const truth = truthOf(behaviour).split(' ');
      for (let seed = 1; seed <= 5; seed += 1) {
        const found = describeTcpRun(inquireTcp(behaviour, { seed, rttMs: 20, loss: 0.3 })).split(' ');
        const differs = found.some((value, index) => value !== 'unknown' && value !== truth[index]);
        if (differs) wrong.push(`seed ${seed}: ${truth.join(' ')}, found ${found.join(' ')}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('the inquiry', () => {
  it('calls from one port to each endpoint, and from five others to the primary endpoint alone', () => {
    const { connected, world } = inquireTcp(STRICT, { seed: 1, rttMs: 20 });
    const [pp, pa, ap, aa] = ['192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478', '192.0.2.2:3479'];
    expect(connected).toEqual([
      `filtering ${pp}`,
      `filtering-2 ${pp}`,
      `filtering-3 ${pp}`,
      `filtering-4 ${pp}`,
      `filtering-5 ${pp}`,
      `mapping ${pp}`,
      `mapping ${aa}`,
      `mapping ${ap}`,
      `mapping ${pa}`,
    ]);
    // Each was dialled from each address, once.
    expect(world.dialCounts).toMatchObject({ timeout: 10, connected: 0, declined: 0 });
  });

  it('saves a round trip where the other address is known', () => {
    const known = { address: '192.0.2.2', port: 3479 };
    const without = inquireTcp(OPEN, { seed: 1, rttMs: 200 });
    const withIt = inquireTcp(OPEN, { seed: 1, rttMs: 200 }, { other: known });
    expect(without.tookMs - withIt.tookMs).toBeGreaterThanOrEqual(200);
    expect(describeTcpRun(withIt)).toBe(truthOf(OPEN));
  });

  it('asks for a second mapping port where the first one’s mapping depends on the destination', () => {
    const dependent = { ...STRICT, mapping: 'address-and-port-dependent' } as const;
    const { connected, axis } = inquireTcp(dependent, { seed: 1, rttMs: 20 });
    expect(connected.filter((name) => name.startsWith('mapping-2 '))).toHaveLength(4);
    expect(axis.mapping).toMatchObject({ value: 'address-and-port-dependent', confidence: 1 });
  });

  it('dials again where loss shows, until silence is credible', () => {
    const lossy = inquireTcp(STRICT, { seed: 4, rttMs: 20, loss: 0.2 });
    const clean = inquireTcp(STRICT, { seed: 4, rttMs: 20 });
    expect(dialsOf(clean)).toHaveLength(10);
    expect(dialsOf(lossy).length).toBeGreaterThan(10);
    expect(lossy.axis.filtering.confidence).toBeGreaterThanOrEqual(0.999);
  });

  it('is right at a satellite’s round trip', () => {
    for (const behaviour of [OPEN, BY_ADDRESS, STRICT]) {
      expect(describeTcpRun(inquireTcp(behaviour, { seed: 1, rttMs: 600 }))).toBe(truthOf(behaviour));
    }
  });

  it('ends within its budget, whatever is lost', () => {
    const run = inquireTcp(STRICT, { seed: 1, rttMs: 20, loss: 0.9 }, { timeoutMs: 3000 });
    expect(run.tookMs).toBeLessThanOrEqual(3000);
    expect(run.axis.filtering).toMatchObject({ value: 'unknown', confidence: 0 });
  });

  it('says so where a box answers SYNs in the client’s stead', () => {
    const run = inquireTcp({ ...STRICT, unsolicited: 'answers' }, { seed: 1, rttMs: 20 });
    expect(describeTcpRun(run)).toBe('endpoint-independent unknown unknown unknown');
    expect(run.axis.filtering.reasons[0]!.code).toBe('tcp-answered-elsewhere');
    expect(run.tookMs).toBeLessThan(1000);
  });
});

describe('with another server', () => {
  const UNKNOWN = 'unknown unknown unknown unknown';

  it.each([
    ['OPEN', OPEN, 'unknown'],
    ['BY_ADDRESS', BY_ADDRESS, 'unknown'],
    ['STRICT', STRICT, 'address-and-port-dependent'],
  ] as const)('of one address, %s has filtering %s', (_name, behaviour, filtering) => {
    const { axis } = inquireTcp(behaviour, { seed: 1, rttMs: 20, server: 'one-address' });
    expect(axis.mapping.value).toBe('unknown');
    expect(axis.filtering.value).toBe(filtering);
    expect(axis.filtering.reasons[0]!.code).toBe(
      filtering === 'unknown' ? 'tcp-one-address' : 'tcp-filter-port',
    );
  });

  it('that knows no dial-backs the mapping is known, at once', () => {
    const run = inquireTcp(STRICT, { seed: 1, rttMs: 20, server: 'plain' });
    expect(describeTcpRun(run)).toBe('endpoint-independent unknown unknown unknown');
    expect(run.axis.filtering.reasons[0]!.code).toBe('tcp-no-dial-backs');
    expect(run.tookMs).toBeLessThan(200);
  });

  it('that takes no TCP nothing is known, at once', () => {
    const run = inquireTcp(OPEN, { seed: 1, rttMs: 20, server: 'refuses' });
    expect(describeTcpRun(run)).toBe(UNKNOWN);
    expect(run.axis.mapping.reasons[0]!.code).toBe('tcp-refused');
    expect(run.tookMs).toBeLessThan(100);
  });

  it('that is silent over TCP nothing is known, after three SYNs', () => {
    const run = inquireTcp(OPEN, { seed: 1, rttMs: 20, server: 'silent' });
    expect(describeTcpRun(run)).toBe(UNKNOWN);
    expect(run.axis.mapping.reasons[0]!.code).toBe('tcp-silent');
    expect(run.tookMs).toBe(3500);
  });

  it('whose other address is silent, that address’s dials prove nothing', () => {
    const run = inquireTcp(BY_ADDRESS, { seed: 1, rttMs: 20, silentAlternate: true }, { timeoutMs: 4000 });
    expect(run.axis.dials['same-address'].kind).toBe('let-in');
    expect(run.axis.dials['other-address'].kind).toBe('open');
    expect(run.axis.filtering.value).toBe('unknown');
  });

  it('that has no dials left for this connection, it is said that they were too few', () => {
    const dialLimits = { ...DEFAULT_DIAL_LIMITS, perConnection: 1 };
    const run = inquireTcp(STRICT, { seed: 1, rttMs: 20, dialLimits });
    expect(run.axis.dials['same-address'].kind).toBe('blocked');
    expect(run.axis.dials['other-address']).toEqual({ kind: 'open', silent: 0 });
    expect(run.axis.filtering.value).toBe('address-and-port-dependent');
    expect(run.world.dialCounts).toMatchObject({ timeout: 5, declined: 30 });
    // Six times declined, 300 ms apart.
    expect(run.tookMs).toBeLessThan(2000);
  });

  it('that is busy with others’ dials, it is asked again', () => {
    const dialLimits = { ...DEFAULT_DIAL_LIMITS, total: 5 };
    for (const behaviour of [OPEN, BY_ADDRESS, STRICT]) {
      const run = inquireTcp(behaviour, { seed: 1, rttMs: 20, dialLimits });
      expect(describeTcpRun(run)).toBe(truthOf(behaviour));
      expect(run.world.dialCounts.declined).toBeGreaterThan(0);
      expect(run.tookMs).toBeLessThan(3000);
    }
  });
});
