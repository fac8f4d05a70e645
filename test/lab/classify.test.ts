/** The real programs behind kernel NATs: natprobe names each, quickly, under loss, and again and again. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isClassified, type Report } from '../../shared/report/report.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { FAMILIES, openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import {
  knowingServer,
  NATPROBE_COMMAND,
  NATPROBE_ENVIRONMENT,
  readReport,
  runNatprobe,
  SERVER_NAME,
  startNatprobed,
  startNatprobedOn,
} from './natprobe.ts';
import { LAB_NATS, labNat, type LabNat } from './nats.ts';
import { contradicts, type Said, verdictOf } from './verdicts.ts';

/** Done when: at RTT ≈ 0 the median verdict takes less than this; blocked UDP 1 s and 3 TCP round trips. */
const VERDICT_LIMIT_MS = 100;
const BLOCKED_LIMIT_MS = 1100;
const RUNS = 5;
const SERIES = 3;
const BLOCKED_RUNS = 3;

describeIf(labMissing())('natprobe behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const nat of LAB_NATS) {
    it(`names ${nat.name}, in both families, in time`, async () => {
      await behind(internet, nat, async (site) => {
        for (const family of FAMILIES) {
          const blocked = nat.truth[family].type === 'udp-blocked';
          const runs = blocked ? BLOCKED_RUNS : family === 'ipv6' && sameAsMost(nat) ? 1 : RUNS;
          const medians: number[] = [];
          // Every verdict has to be right. The time is the machine's as well, which may be busy for a while.
          do {
            const reports = await probeAfresh(site, runs, serverFlag(SERVER_ADDRESSES[family].primary));
            expect(reports.map(verdictOf), family).toEqual(Array(runs).fill(verdictOf(nat.truth[family])));
            medians.push(median(reports.map(({ timing }) => timing.totalMs)));
          } while (runs > 1 && medians.at(-1)! >= limitMs(blocked) && medians.length < SERIES);
          if (runs > 1)
            expect(Math.min(...medians), `${family}: ${medians.join(', ')}`).toBeLessThan(limitMs(blocked));
        }
      });
    });
  }

  it('says both families in one run where the server’s name has both addresses', async () => {
    await behind(internet, labNat('restricted-cone'), async (site) => {
      const [program, ...args] = knowingServer([...NATPROBE_COMMAND, '--server', SERVER_NAME, '--json']);
      const { families } = readReport(await site.client.run(program, args, { env: NATPROBE_ENVIRONMENT }));
      for (const family of FAMILIES) {
        const report = families[family];
        expect(isClassified(report) && verdictOf(report), family).toEqual(verdictOf(site.nat.truth[family]));
      }
    });
  });

  it('is never wrong at 20 % loss each way, and rarely inconclusive', { timeout: 300_000 }, async () => {
    const names = [
      'firewall',
      'full-cone',
      'restricted-cone',
      'port-restricted-cone',
      'linux-router',
      'symmetric-random',
    ];
    const runs = 20;
    const sites = await Promise.all(names.map((name) => internet.attach(labNat(name))));
    const outcomes: { name: string; said: Said; truth: Said }[] = [];
    try {
      await Promise.all(sites.map((site) => site.setLoss(20)));
      // Two at a time: the machine has other work, and each run is a process.
      await inLanes(2, sites, async (site) => {
        for (const report of await probeAfresh(site, runs, serverFlag(SERVER_ADDRESSES.ipv4.primary))) {
          outcomes.push({
            name: site.nat.name,
            said: verdictOf(report),
            truth: verdictOf(site.nat.truth.ipv4),
          });
        }
      });
    } finally {
      await Promise.all(sites.map((site) => site.close()));
    }
    expect(outcomes).toHaveLength(names.length * runs);
    expect(outcomes.filter(({ said, truth }) => contradicts(said, truth))).toEqual([]);
    const undecided = outcomes.filter(({ said, truth }) => said.type !== truth.type);
    expect(undecided.length, JSON.stringify(undecided)).toBeLessThanOrEqual(2);
  });

  it('gives one verdict in a hundred runs on one local port', { timeout: 300_000 }, async () => {
    await inLanes(2, ['port-restricted-cone', 'linux-router'], (name) =>
      behind(internet, labNat(name), async (site) => {
        const flags = [...serverFlag(SERVER_ADDRESSES.ipv4.primary), '--local-port', '40000'];
        const reports: Report[] = [];
        for (let run = 0; run < 100; run++) reports.push(await probe(site, flags));
        const local = `${site.clientAddress.ipv4}:40000`;
        expect(reports.map(({ endpoints }) => endpoints.local)).toEqual(Array(100).fill(local));
        expect(reports.map(verdictOf), name).toEqual(Array(100).fill(verdictOf(site.nat.truth.ipv4)));
      }),
    );
  });

  it('ends in 3 where no server is', async () => {
    await behind(internet, labNat('port-restricted-cone'), async (site) => {
      const { code, stderr } = await runNatprobe(site.client, ['--server', '203.0.113.99']);
      expect(stderr).not.toBe('');
      expect(code).toBe(3);
    });
  });
});

describeIf(labMissing())('natprobe with servers of one address', () => {
  let internet: Internet;
  const servers = [SERVER_ADDRESSES.ipv4.primary, SERVER_ADDRESSES.ipv4.alternate];

  beforeAll(async () => {
    internet = await openInternet();
    for (const address of servers) await startNatprobedOn(internet.server, ['--ip', address]);
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const nat of LAB_NATS) {
    it(`says of ${nat.name} what one of them can tell, and what two can`, async () => {
      await behind(internet, nat, async (site) => {
        const truth = verdictOf(nat.truth.ipv4);
        const one = await probe(site, serverFlag(servers[0]!));
        expect(verdictOf(one)).toEqual(seenFromOneAddress(truth));
        await site.forget();
        const two = await probe(site, servers.flatMap(serverFlag));
        expect(verdictOf(two)).toEqual(seenFromTwoServers(truth));
      });
    });
  }
});

function limitMs(blocked: boolean): number {
  return blocked ? BLOCKED_LIMIT_MS : VERDICT_LIMIT_MS;
}

/** Most NATs of the lab have the same firewall in IPv6, which is measured once, as `firewall`. */
function sameAsMost(nat: LabNat): boolean {
  return (
    nat.name !== 'firewall' && nat.layers.some(({ ipv6 }) => ipv6 === labNat('firewall').layers[0]!.ipv6)
  );
}

/**
 * What two servers with one address each can tell: how mappings compare between them, and, by a receipt
 * for a response from the other port, that a filter looks at ports; not that it looks at addresses.
 */
function seenFromTwoServers({ type, mapping, filtering }: Said): Said {
  if (filtering === 'address-and-port-dependent' || type === 'udp-blocked')
    return { type, mapping, filtering };
  const named = mapping === 'endpoint-independent' ? 'cone' : mapping === 'none' ? 'inconclusive' : type;
  return { type: named, mapping, filtering: 'unknown' };
}

/** With one of them, mappings compare between its ports alone. */
function seenFromOneAddress(truth: Said): Said {
  const seen = seenFromTwoServers(truth);
  if (seen.mapping === 'none' || seen.mapping === 'address-and-port-dependent') return seen;
  return { ...seen, type: seen.type === 'udp-blocked' ? seen.type : 'inconclusive', mapping: 'unknown' };
}

function serverFlag(server: string): string[] {
  return ['--server', server];
}

/** Independent runs: each finds the NAT's tables empty. */
async function probeAfresh(site: Site, runs: number, flags: readonly string[]): Promise<Report[]> {
  const reports: Report[] = [];
  for (let run = 0; run < runs; run++) {
    await site.forget();
    reports.push(await probe(site, flags));
  }
  return reports;
}

async function probe(site: Site, flags: readonly string[]): Promise<Report> {
  const finished = await runNatprobe(site.client, flags);
  const report = readReport(finished);
  expect(finished.code).toBe(report.verdict.type === 'inconclusive' ? 1 : 0);
  return report;
}

async function behind(internet: Internet, nat: LabNat, body: (site: Site) => Promise<void>): Promise<void> {
  const site = await internet.attach(nat);
  try {
    await body(site);
  } finally {
    await site.close();
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
