/** `natprobe --full` and `natprobe lifetime` as a person runs them, behind a kernel NAT. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { REPORT_LINES } from '../../probe/cli/help-details.ts';
import type { LifetimeReport } from '../../probe/lifetime.ts';
import { describeIf } from '../support/requirements.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from './internet.ts';
import { labMissing } from './namespaces.ts';
import {
  NATPROBE_COMMAND,
  NATPROBE_ENVIRONMENT,
  readReport,
  runNatprobe,
  startNatprobed,
} from './natprobe.ts';
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

  it('the help explains each line of the page, which is 80 columns wide', async () => {
    const [program, script] = NATPROBE_COMMAND;
    const args = [script, '--full', '--hairpin', '--also', '192.168.1.3', '--server', SERVER];
    await site.client.run('ip', ['address', 'add', '192.168.1.3/24', 'dev', 'net']);
    const { stdout } = await site.client.run(program, args, { env: NATPROBE_ENVIRONMENT });
    const labels = [...stdout.matchAll(/^([A-Z].{0,11}?)(?: {2,}|: )/gm)].map((match) => match[1]!);
    const explained = REPORT_LINES.flatMap(([label]) => label.split(', '));
    expect(labels.length).toBeGreaterThan(18);
    expect(labels.filter((label) => !explained.includes(label))).toEqual([]);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
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
