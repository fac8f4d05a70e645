/** The TCP inquiry behind kernel NATs, with the real server dialling back. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inLanes } from '../support/lanes.ts';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { startNatprobed } from './natprobe.ts';
import type { TcpOutcome } from './tcp-agent.ts';
import { LAB_TCP_NATS, type LabTcpNat } from './tcp-nats.ts';

const AGENT = fileURLToPath(new URL('tcp-agent.ts', import.meta.url));
/** With --full it has two seconds; the least that this machine's own load leaves of them counts. */
const LIMIT_MS = 2000;
const LOSSY_RUNS = 3;

describeIf(labMissing())('TCP behind the kernel’s NATs', () => {
  let internet: Internet;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
  });

  afterAll(async () => {
    await internet.close();
  });

  for (const lab of LAB_TCP_NATS) {
    it(`is found behind ${lab.nat.name}, in time`, async () => {
      await behind(internet, lab, async (site) => {
        const runs = [await inquire(site), await inquire(site)];
        for (const { axis } of runs) expect(valuesOf(axis)).toEqual(truthOf(lab));
        expect(Math.min(...runs.map(({ tookMs }) => tookMs))).toBeLessThan(LIMIT_MS);
      });
    });
  }

  it('is found at 10 % loss each way', { timeout: 300_000 }, async () => {
    await inLanes(3, LAB_TCP_NATS, (lab) =>
      behind(internet, lab, async (site) => {
        await site.setLoss(10);
        for (let run = 0; run < LOSSY_RUNS; run++) {
          const { axis, evidence } = await inquire(site);
          expect(valuesOf(axis), `${lab.nat.name}: ${JSON.stringify(evidence)}`).toEqual(truthOf(lab));
        }
      }),
    );
  });

  it('is found over IPv6, behind a firewall and without', async () => {
    const found: Record<string, unknown> = {};
    for (const lab of LAB_TCP_NATS.slice(0, 2)) {
      await behind(internet, lab, async (site) => {
        found[lab.nat.name] = valuesOf((await inquire(site, SERVER_ADDRESSES.ipv6.primary)).axis);
      });
    }
    expect(found).toEqual(
      Object.fromEntries(LAB_TCP_NATS.slice(0, 2).map((lab) => [lab.nat.name, truthOf(lab)])),
    );
  });
});

function truthOf({ tcp: { mapping, filtering, syn } }: LabTcpNat): readonly string[] {
  const harmless = syn === 'dropped' || syn === 'accepted';
  const isStable = mapping === 'none' || mapping === 'endpoint-independent';
  return [mapping, filtering, syn, !isStable ? 'needs-prediction' : harmless ? 'likely' : 'by-chance'];
}

function valuesOf({ mapping, filtering, unsolicitedSyn, simultaneousOpen }: TcpOutcome['axis']): string[] {
  return [mapping, filtering, unsolicitedSyn, simultaneousOpen].map(({ value }) => value);
}

async function inquire(site: Site, server = SERVER_ADDRESSES.ipv4.primary): Promise<TcpOutcome> {
  const { stdout, stderr, code } = await site.client.run(process.execPath, [AGENT, server]);
  if (code !== 0) throw new Error(`the TCP inquiry failed (${code}):\n${stdout}${stderr}`);
  return JSON.parse(stdout) as TcpOutcome;
}

async function behind(
  internet: Internet,
  lab: LabTcpNat,
  body: (site: Site) => Promise<void>,
): Promise<void> {
  const site = await internet.attach(lab.nat);
  try {
    await body(site);
  } finally {
    await site.close();
  }
}
