/** `natprobe --full` and `natprobe lifetime` as a person runs them, behind a kernel NAT. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LifetimeReport } from '../../probe/lifetime.ts';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import { readReport, runNatprobe, startNatprobed } from './natprobe.ts';
import { labNat } from './nats.ts';

const SERVER = SERVER_ADDRESSES.ipv4.primary;

describeIf(labMissing())('more than the verdict, behind the kernel’s NATs', () => {
  let internet: Internet;
  let site: Site;

  beforeAll(async () => {
    internet = await openInternet();
    await startNatprobed(internet.server);
    site = await internet.attach(labNat('port-restricted-cone'));
  });

  afterAll(async () => {
    await internet.close();
  });

  it('--full gives the verdict, and each axis with its evidence', async () => {
    const report = readReport(await runNatprobe(site.client, ['--full', '-4', '--server', SERVER]));
    expect(report.verdict.type).toBe('port-restricted-cone');
    expect(report.axes).toMatchObject({
      mangling: { value: 'none' },
      tcp: {
        mapping: { value: 'endpoint-independent' },
        filtering: { value: 'address-and-port-dependent' },
        unsolicitedSyn: { value: 'dropped' },
      },
    });
    expect(report.axisEvidence!.tcp!.length).toBeGreaterThan(0);
    expect(report.timing.surveyMs).toBeGreaterThan(0);
  });

  it('lifetime outlives its longest try behind the kernel’s usual 30 s', async () => {
    const args = ['lifetime', '--max', '3', '--resolution', '1', '--server', SERVER];
    const { stdout, code } = await runNatprobe(site.client, args);
    const { schema, lifetime } = JSON.parse(stdout) as LifetimeReport;
    expect({ schema, value: lifetime.value, code }).toEqual({
      schema: 'natprobe/lifetime@1',
      value: 'longer-than-tried',
      code: 0,
    });
    expect(lifetime.atLeastMs).toBeGreaterThan(2900);
  });
});
