/** `natprobe --full` and `natprobe lifetime` as a person runs them, behind a kernel NAT. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { REPORT_LINES } from '../../probe/cli/help-details.ts';
import type { LifetimeReport } from '../../probe/lifetime.ts';
import { describeIf } from '../support/requirements.ts';
import { crowding } from './crowding.ts';
import { behind } from './inquire.ts';
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

/** Of issue 3: the whole program, from its start to its end. */
const FULL_LIMIT_MS = 2000;
const FULL_RUNS = 3;
const SERIES = 3;

/** The same behind each: one NAT as far as can be told, nobody rewrites anything, fragments pass. */
const COMMON = {
  pooling: { value: 'single' },
  collisions: { value: 'unknown' },
  mangling: { value: 'none' },
  fragments: { value: 'pass' },
  layers: { value: 'unknown', atLeast: 1, portMappers: [] },
};

const FULL = [
  [
    'port-restricted-cone',
    {
      ...COMMON,
      ports: { value: 'preserved', keepsMapping: 'yes' },
      nextPort: { count: 1 },
      unsolicited: { value: 'dropped' },
      tcp: tcpAxis('dropped', 'likely'),
    },
  ],
  [
    'symmetric-random',
    {
      ...COMMON,
      ports: { value: 'random', keepsMapping: 'no' },
      unsolicited: { value: 'unknown', reasons: [{ code: 'unsolicited-dependent' }] },
      tcp: tcpAxis('dropped', 'likely'),
    },
  ],
  [
    'linux-router',
    {
      ...COMMON,
      ports: { value: 'preserved', keepsMapping: 'yes' },
      nextPort: { count: 1 },
      unsolicited: { value: 'tracked' },
      tcp: tcpAxis('reset', 'by-chance'),
    },
  ],
] as const;

/** TCP is masqueraded plainly, and filtered by conntrack. */
function tcpAxis(syn: string, open: string) {
  return {
    mapping: { value: 'endpoint-independent' },
    filtering: { value: 'address-and-port-dependent' },
    unsolicitedSyn: { value: syn },
    simultaneousOpen: { value: open },
  };
}

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

  for (const [name, axes] of FULL) {
    it(`--full has every axis of ${name} right, in less than ${FULL_LIMIT_MS / 1000} s`, async () => {
      const medians: number[] = [];
      await behind(internet, labNat(name), 0, async (place) => {
        // Every run has to be right. The time is the machine's as well.
        do {
          const times: number[] = [];
          for (let run = 0; run < FULL_RUNS; run++) {
            await place.forget();
            const finished = await runNatprobe(place.client, ['--full', '-4', '--server', SERVER]);
            const report = readReport(finished);
            expect(report.verdict.type).toBe(place.nat.truth.ipv4.type);
            expect(report.axes).toMatchObject(axes);
            expect(report.axisEvidence!.tcp!.length).toBeGreaterThan(0);
            expect(report.timing.surveyMs).toBeGreaterThan(0);
            times.push(finished.wallMs);
          }
          medians.push(times.toSorted((a, b) => a - b)[(FULL_RUNS - 1) / 2]!);
        } while (medians.at(-1)! >= FULL_LIMIT_MS && medians.length < SERIES);
      });
      const limitMs = FULL_LIMIT_MS * crowding();
      expect(Math.min(...medians), `${medians.join(', ')} ms`).toBeLessThan(limitMs);
    });
  }

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
