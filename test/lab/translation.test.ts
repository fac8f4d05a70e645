/** IPv6 translated, and IPv4 through a NAT64, with the real programs, as a person's machine would have it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatNat64Prefix } from '../../shared/nat64.ts';
import { isClassified, type FamilyReport, type Report } from '../../shared/report/report.ts';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { LAB_NAT64S, nat64LabMissing, WITHOUT_IPV4, type LabNat64 } from './nat64-nats.ts';
import {
  NATPROBE_COMMAND,
  NATPROBE_ENVIRONMENT,
  readReport,
  runNatprobe,
  serverOf,
  startNatprobed,
} from './natprobe.ts';
import { LAB_TRANSLATION_NATS } from './translation-nats.ts';
import { describeVerdict } from './table.ts';

const LOSSES = [0, 10];
/** Under loss; without it one is like the other. */
const RUNS = 3;
const DNS64_AGENT = fileURLToPath(new URL('dns64-agent.ts', import.meta.url));
/** A name that has an IPv4 address alone. */
const SERVER_NAME = 'server.lab.test';
const SERVER = SERVER_ADDRESSES.ipv4.primary;

describeIf(labMissing())('what translates IPv6', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });
  afterAll(() => internet.close());

  for (const { nat, translation } of LAB_TRANSLATION_NATS) {
    for (const percent of LOSSES) {
      it(`is ${translation} for ${nat.name}, at ${percent} % loss`, async () => {
        const site = await internet.attach(nat);
        try {
          await site.setLoss(percent);
          for (let run = 0; run < (percent === 0 ? 1 : RUNS); run++) {
            await site.forget();
            const flags = ['--server', SERVER_ADDRESSES.ipv6.primary];
            const report = readReport(await runNatprobe(site.client, ['--full', ...flags]));
            expect(describeVerdict(report.verdict)).toBe(describeVerdict(nat.truth.ipv6));
            expect(report.axes?.translation?.value).toBe(translation);
            expect(report.axes?.translation).not.toHaveProperty('nat64Prefixes');
          }
        } finally {
          await site.close();
        }
      });
    }
  }
});

describeIf(nat64LabMissing())('a machine without IPv4 behind a NAT64', () => {
  let internet: Internet;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'natprobe-lab-'));
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver ::1\n');
    internet = await openInternet();
    await startNatprobed(internet.server);
  });
  afterAll(async () => {
    await internet.close();
    rmSync(folder, { recursive: true });
  });

  for (const lab of LAB_NAT64S) {
    describe(lab.nat.name, () => {
      for (const percent of LOSSES) {
        it(`is classified over IPv6 sockets, the server named by its IPv4 address, at ${percent} % loss`, async () => {
          await behind(lab, async (site) => {
            await site.setLoss(percent);
            for (let run = 0; run < RUNS; run++) {
              await site.forget();
              const report = await probe(site, ['--server', SERVER]);
              expectThrough(lab, site, report);
              expect(report.families.ipv6).toMatchObject({ skipped: { code: 'no-address' } });
            }
          });
        });
      }

      it('is found for a name that DNS64 gives an IPv6 address, and named by --full', async () => {
        await behind(lab, async (site) => {
          const report = await probe(site, ['--server', SERVER_NAME, '--full']);
          expectThrough(lab, site, report);
          const { axes } = report;
          expect(axes?.translation).toMatchObject({ value: 'nat64', confidence: 1 });
          expect(axes?.translation?.nat64Prefixes).toEqual([formatNat64Prefix(lab.prefix)]);
          expect(axes?.tcp?.mapping.value).toBe(
            lab.nat.name === 'nat64-symmetric' ? 'endpoint-independent' : lab.truth.mapping,
          );
          expect(report.families.ipv6).toEqual({
            skipped: {
              code: 'no-address',
              text: `the server has no IPv6 address; its IPv4 one can be reached under ${formatNat64Prefix(lab.prefix)}`,
            },
          });
        });
      });
    });
  }

  it('has both families of a server that has both, each by its own way', async () => {
    const [lab] = LAB_NAT64S;
    await behind(lab!, async (site) => {
      const servers = [SERVER, SERVER_ADDRESSES.ipv6.primary].flatMap((server) => ['--server', server]);
      const report = await probe(site, servers);
      expectThrough(lab!, site, report);
      const { ipv6 } = report.families;
      expect(isClassified(ipv6) && describeVerdict(ipv6.verdict)).toBe('open (none/EI)');
    });
  });

  it('is told that there is no way to IPv4 where no DNS64 answers', async () => {
    const site = await internet.attach(LAB_NAT64S[0]!.nat);
    try {
      await site.client.script(WITHOUT_IPV4);
      const { code, stderr } = await runNatprobe(site.client, ['--server', SERVER]);
      expect(stderr).toContain(`this machine has no way to ${SERVER}:3478`);
      expect(code).toBe(3);
    } finally {
      await site.close();
    }
  });

  async function behind({ nat, prefix }: LabNat64, body: (site: Site) => Promise<void>): Promise<void> {
    const site = await internet.attach(nat);
    try {
      await site.client.script(WITHOUT_IPV4);
      const args = [DNS64_AGENT, '::1', formatNat64Prefix(prefix), `${SERVER_NAME}=${SERVER}`];
      const dns64 = site.client.spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      await serverOf(dns64, 'dns64', (log) => log.includes('ready'));
      await body(site);
    } finally {
      await site.close();
    }
  }

  async function probe(site: Site, flags: readonly string[]): Promise<Report> {
    const mount = ['--mount', 'sh', '-ec', 'mount --bind "$0" /etc/resolv.conf; exec "$@"'];
    const args = [...mount, join(folder, 'resolv.conf'), ...NATPROBE_COMMAND, ...flags, '--json'];
    return readReport(await site.client.run('unshare', args, { env: NATPROBE_ENVIRONMENT }));
  }
});

function expectThrough({ truth, prefix }: LabNat64, site: Site, report: Report): void {
  const ipv4 = report.families.ipv4 as FamilyReport;
  expect(ipv4).not.toHaveProperty('skipped');
  expect(describeVerdict(ipv4.verdict)).toBe(describeVerdict(truth));
  expect(ipv4.endpoints.local).toContain(`[${site.clientAddress.ipv6}]:`);
  expect(ipv4.endpoints.mapped).toContain(`${site.outerAddress.ipv4}:`);
  expect(ipv4.endpoints.nat64).toBe(formatNat64Prefix(prefix));
  expect(ipv4.server).toMatchObject({
    endpoints: [`${SERVER}:3478`],
    alternate: `${SERVER_ADDRESSES.ipv4.alternate}:3479`,
  });
}
