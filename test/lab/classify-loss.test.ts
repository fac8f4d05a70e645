/** The real programs behind kernel NATs: natprobe is right under loss, again and again, and with fewer servers. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isClassified, type Report } from '../../shared/report/report.ts';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { FAMILIES, openInternet, SERVER_ADDRESSES, type Internet } from './internet.ts';
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
import { LAB_NATS, labNat } from './nats.ts';
import { behind, probe, probeAfresh, serverFlag } from './probing.ts';
import { contradicts, type Said, verdictOf } from './verdicts.ts';

describeIf(labMissing())('natprobe behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });

  afterAll(async () => {
    await internet.close();
  });

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
