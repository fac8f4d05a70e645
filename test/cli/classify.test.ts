/** natprobe against a real natprobed on loopback: the verdict in every form. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../../shared/nat/judge.ts';
import type { Report } from '../../shared/report/report.ts';
import { ReportSchema } from '../../shared/report/schema.ts';
import { describeIf } from '../support/requirements.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import {
  ALTERNATE,
  type DeafServer,
  ENVIRONMENT,
  finish,
  type LocalServer,
  NATPROBE,
  natprobe,
  PRIMARY,
  startDeafServer,
  startNatprobed,
  startProgram,
} from './programs.ts';

let server: LocalServer;
let deaf: DeafServer;
beforeAll(async () => {
  [server, deaf] = await Promise.all([startNatprobed(), startDeafServer()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), deaf.stop()]);
});

async function readReport(args: readonly string[], env: Record<string, string> = {}): Promise<Report> {
  const { stdout, stderr } = await natprobe([...args, '--json'], env);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Report;
}

describe('for people', () => {
  it('names the NAT in the first line, on stdout, and ends in 0', async () => {
    const { stdout, stderr, code } = await natprobe(['--server', server.name]);
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('NAT type: open (no translation, EIF)');
    const labels = lines.map((line) => line.slice(0, 12).trimEnd()).filter((label) => label !== '');
    expect(labels.slice(1)).toEqual([
      'Mapping',
      'Filtering',
      'Local',
      'Public',
      'Peers',
      'Punching',
      'Confidence',
      'Server',
      'Took',
      'IPv6',
    ]);
    expect(stdout).toContain(
      `Server      ${server.name}, whose other address is ${ALTERNATE}:${server.alternatePort}`,
    );
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  });

  it('adds with --verbose the four classic steps, and every send, reply and receipt', async () => {
    const { stdout, code } = await natprobe(['-s', server.name, '--verbose']);
    expect(code).toBe(0);
    expect(stdout).toContain('\nThe four classic steps over IPv4 (RFC 3489 section 10.1)\n');
    const steps = stdout.split('\n').filter((line) => /^[1-4] {2}/.test(line));
    expect(steps).toEqual([
      `1  Does ${server.name} answer?`,
      "2  Does its other address's answer get in? (yes: open or full cone)",
      '3  Does its other address see the same public endpoint? (no: symmetric)',
      "4  Does its other port's answer get in? (yes: restricted, no: port-restricted)",
    ]);
    expect(stdout).toMatch(
      /^ {5}Yes: 1 of 1 plain requests, round trip [\d.]+ ms; it saw 127\.0\.0\.1:\d+\.$/m,
    );
    expect(stdout).toContain(`     Yes: a response came in from ${ALTERNATE}:${server.alternatePort}.`);
    expect(stdout).toMatch(/^ +\d+\.\d {2}sent {6}[0-9a-f]{8}$/m);
    expect(stdout).toMatch(
      /^ +\d+\.\d {2}response {2}[0-9a-f]{8} from 127\.0\.0\.2:\d+, saw 127\.0\.0\.1:\d+$/m,
    );
    expect(stdout).toMatch(/^ +\d+\.\d {2}receipt {3}[0-9a-f]{8}: responded from 127\.0\.0\.2:\d+$/m);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });
});

describe('--json', () => {
  it('prints one document that is as the schema says, judged as its evidence is', async () => {
    const report = await readReport(['-s', server.name]);
    const check = Compile(ReportSchema);
    expect([...check.Errors(report)]).toEqual([]);
    const judged = judge(report.evidence);
    expect(report.verdict).toEqual(judged.verdict);
    expect(report).toMatchObject({
      schema: 'natprobe/report@1',
      verdict: {
        type: 'open',
        mapping: 'none',
        filtering: 'endpoint-independent',
        confidence: 1,
      },
      family: 'ipv4',
      families: {
        ipv4: { verdict: report.verdict, evidence: report.evidence },
        ipv6: { skipped: { code: 'no-address', text: 'the server has no IPv6 address' } },
      },
      server: {
        asked: [server.name],
        endpoints: [server.name],
        alternate: `${ALTERNATE}:${server.alternatePort}`,
      },
      judgeVersion: 1,
    });
    expect(report.endpoints.mapped).toBe(report.endpoints.local);
  });

  it('measures the mapping from --local-port and the filtering from another', async () => {
    const [port] = await findFreePorts('0.0.0.0');
    const report = await readReport(['-s', server.name, '--local-port', String(port)]);
    expect(report.endpoints.local).toBe(`${PRIMARY}:${port}`);
    const filtering = report.evidence.filter(
      (item) => item.kind === 'socket' && item.purpose === 'filtering',
    );
    expect(filtering.length).toBeGreaterThan(0);
    for (const socket of filtering) expect(socket).not.toMatchObject({ local: { port } });
  });

  it('says which families were not asked for', async () => {
    const { families } = await readReport(['-s', server.name, '-4']);
    expect(families.ipv6).toEqual({ skipped: { code: 'not-asked', text: 'IPv6 was not asked for' } });
  });

  it('keeps to 10 requests a second with --gentle', async () => {
    const { evidence, verdict } = await readReport(['-s', server.name, '--gentle']);
    const sends = evidence
      .flatMap((item) => (item.kind === 'binding' ? item.sends.map(({ atMs }) => atMs) : []))
      .sort((a, b) => a - b);
    const gaps = sends.slice(1).map((atMs, index) => atMs - sends[index]!);
    expect(verdict.type).toBe('open');
    expect(Math.min(...gaps)).toBeGreaterThan(90);
  });

  it('gives a verdict with two servers of one address each', async () => {
    const [one, two] = await Promise.all([startNatprobed([PRIMARY]), startNatprobed([ALTERNATE])]);
    try {
      const report = await readReport(['-s', one.name, '-s', two.name]);
      expect(report.server.endpoints).toEqual([one.name, two.name]);
      expect(report.verdict.mapping).toBe('none');
    } finally {
      await Promise.all([one.stop(), two.stop()]);
    }
  });
});

describe('where the server comes from', () => {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-cli-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is the environment without a flag, and the file without either', async () => {
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ server: [server.name], family: 'ipv4' }));
    // Neither of these can be reached by name, so that whichever is asked shows.
    const env = { NATPROBE_SERVER: 'environment.invalid' };
    const flag = await natprobe(['-s', 'flag.invalid', '--config', config], env);
    expect(flag.stderr).toMatch(/^natprobe: error: flag\.invalid: the server name does not resolve/);
    const environment = await natprobe(['--config', config], env);
    expect(environment.stderr).toMatch(/^natprobe: error: environment\.invalid: the server name/);
    const file = await readReport(['--config', config]);
    expect(file.server.asked).toEqual([server.name]);
    expect(file.families.ipv6).toMatchObject({ skipped: { code: 'not-asked' } });
  });

  it('is the list of public servers without any, and stderr says that none is verified', async () => {
    // None of them may be asked from a test, so the process gets a resolver that knows no names.
    const { stdout, stderr, code } = await natprobe([], { NODE_OPTIONS: NO_NAMES });
    expect(stderr).toBe(
      [
        'natprobe: no --server given, so these public servers are asked; none is verified:',
        '  stunserver2025.stunprotocol.org:3478',
        '  stun.nextcloud.com:443',
        '  stun.cloudflare.com:3478',
        '  stun.l.google.com:19302',
        'natprobe: error: stunserver2025.stunprotocol.org: the server name does not resolve (ENOTFOUND); ' +
          'check its spelling and this machine’s DNS, or give an address',
        '',
      ].join('\n'),
    );
    expect({ stdout, code }).toEqual({ stdout: '', code: 3 });
  });
});

/** NODE_OPTIONS for a process in which no name resolves. */
const NO_NAMES = `--import=data:text/javascript,${encodeURIComponent(`
  import dns from 'node:dns/promises';
  import { syncBuiltinESMExports } from 'node:module';
  dns.lookup = () => Promise.reject(Object.assign(new Error('no names here'), { code: 'ENOTFOUND' }));
  syncBuiltinESMExports();
`)}`;

describeIf(hasIpv6Loopback() ? undefined : 'no ::1 on this machine')('both families', () => {
  it('are classified at the same time, IPv4 on top', async () => {
    const both = await startNatprobed([PRIMARY, ALTERNATE], ['--ip', '::1']);
    try {
      const servers = ['-s', both.name, '-s', `[::1]:${both.port}`];
      const report = await readReport(servers);
      expect(report.family).toBe('ipv4');
      expect(report.families).toMatchObject({
        ipv4: { verdict: { type: 'open' }, server: { endpoints: [both.name] } },
        ipv6: { verdict: { mapping: 'none' }, server: { endpoints: [`[::1]:${both.port}`] } },
      });
      const six = await readReport([...servers, '-6']);
      expect(six.family).toBe('ipv6');
      expect(six.endpoints.local).toMatch(/^\[::1\]:\d+$/);
      expect(six.families.ipv4).toMatchObject({ skipped: { code: 'not-asked' } });
    } finally {
      await both.stop();
    }
  });
});

function hasIpv6Loopback(): boolean {
  return Object.values(networkInterfaces())
    .flat()
    .some((address) => address?.address === '::1');
}

describe('exit codes', () => {
  it('is 0 for UDP blocked, since that is a verdict', async () => {
    const { stdout, code } = await natprobe(['-s', deaf.name]);
    expect(stdout.split('\n')[0]).toBe('NAT type: UDP blocked (no UDP to the server)');
    expect(code).toBe(0);
  });

  it('is 1 for inconclusive', async () => {
    const [closed] = await findFreePorts(PRIMARY);
    const { stdout, code } = await natprobe(['-s', `${PRIMARY}:${closed}`]);
    expect(stdout.split('\n')[0]).toBe('NAT type: inconclusive (mapping unknown, filtering unknown)');
    expect(code).toBe(1);
  });

  it('is 3 where no server has an address of the family', async () => {
    const { stdout, stderr, code } = await natprobe(['-s', server.name, '-6']);
    expect(stdout).toBe('');
    expect(stderr).toBe(
      `natprobe: error: ${server.name}: the server cannot be reached (the server has no IPv6 address); ` +
        'check the address and that natprobed runs there, or try another --server\n',
    );
    expect(code).toBe(3);
  });

  it('is 130 after Ctrl-C, quietly', async () => {
    // It asks over TCP after a quarter of a second of silence, and has its verdict after a whole one.
    const asked = deaf.nextConnection();
    const child = startProgram(NATPROBE, ['-s', deaf.name]);
    const finished = finish(child);
    await asked;
    child.kill('SIGINT');
    expect(await finished).toMatchObject({ stdout: '', stderr: '', code: 130 });
  });

  it('waits for a reader that is slower than the run', async () => {
    // A pipe takes 64 KiB at once; a survey's document is longer.
    const command = `"$0" "$@" | (sleep 1; cat)`;
    const args = ['-c', command, process.execPath, NATPROBE, '--full', '--json', '-s', server.name];
    const { stdout } = await finish(
      spawn('sh', args, { env: ENVIRONMENT, stdio: ['ignore', 'pipe', 'pipe'] }),
    );
    expect(stdout.length).toBeGreaterThan(2 ** 16);
    const { verdict, axes } = JSON.parse(stdout) as Report;
    expect(verdict.type).toBe('open');
    // Also where the verdict was there before any receipt.
    expect(Object.keys(axes!)).toEqual(expect.arrayContaining(['unsolicited', 'fragments', 'tcp']));
  });

  it('is what it would have been when the reader of its output has gone', async () => {
    const child = startProgram(NATPROBE, ['-s', server.name, '--json']);
    child.stdout?.destroy();
    expect(await finish(child)).toMatchObject({ stderr: '', code: 0 });
  });
});
