/** The real programs behind kernel NATs: natprobe names each, quickly. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { FAMILIES, openInternet, SERVER_ADDRESSES, type Internet } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { startNatprobed } from './natprobe.ts';
import { LAB_NATS, labNat, type LabNat } from './nats.ts';
import { behind, probeAfresh, serverFlag } from './probing.ts';
import { verdictOf } from './verdicts.ts';

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

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
