/** `natprobe predict` and `natprobe preflight` as people and scripts use them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Compile } from 'typebox/compile';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Axes } from '../../shared/nat/axes.ts';
import type { Preflight } from '../../shared/punch/preflight.ts';
import type { Prediction } from '../../shared/punch/predict.ts';
import { PredictionSchema, PreflightSchema } from '../../shared/punch/schema.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import { reportOf } from '../unit/punch/reports.ts';
import {
  ALTERNATE,
  finish,
  type LocalServer,
  NATPROBE,
  natprobe,
  PRIMARY,
  startDeafServer,
  startNatprobed,
  startProgram,
} from './programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'natprobe-predict-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(content: string, name = 'report.json'): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('natprobe predict', () => {
  it('says first what it comes to, draws the packets, and ends in 0', async () => {
    const { stdout, stderr, code } = await natprobe(['predict', 'Symmetric', 'restricted-cone']);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toMatch(/^Punch: likely \(97\.4 %, by simultaneous sending\)\n/);
    expect(stdout).toContain('A2 <--------------------------------------- B1  a reply, heard');
  });

  it('ends in 0 where only a relay is left', async () => {
    const { stdout, code } = await natprobe(['predict', 'symmetric', 'symmetric', '--json']);
    const prediction = JSON.parse(stdout) as Prediction;
    expect([...Compile(PredictionSchema).Errors(prediction)]).toEqual([]);
    expect(prediction).toMatchObject({ outcome: 'relay', strategy: 'relay', plain: false });
    expect(code).toBe(0);
  });

  it('takes a report from a file, and a type for the other side', async () => {
    const file = fileWith(JSON.stringify(reportOf('APDM/EIF', { confidence: 0.9998 })));
    const { stdout, code } = await natprobe(['predict', file, 'fw/ADF']);
    expect(stdout).toContain('A           symmetric (APDM, EIF), IPv4, 99.98 % sure\n');
    expect(code).toBe(0);
  });

  it('takes a report from standard input', async () => {
    const child = startProgram(NATPROBE, ['predict', '-', 'open', '--json'], {}, 'pipe');
    child.stdin!.end(JSON.stringify(reportOf('EIM/ADF')));
    const { stdout, code } = await finish(child);
    expect(JSON.parse(stdout)).toMatchObject({ a: { name: 'EIM/ADF' }, outcome: 'direct' });
    expect(code).toBe(0);
  });

  it.each([
    [
      ['predict', 'conical', 'open'],
      'ERR_BEHAVIOUR',
      'A: not a type of NAT (got "conical", which is no file either)',
    ],
    [['predict', 'open', 'no-such-file.json'], 'ERR_BEHAVIOUR', 'B: not a type of NAT'],
    [['predict', '-', '-'], 'ERR_FLAGS', 'only one of them can come from standard input'],
    [['predict', 'open'], 'ERR_USAGE', "missing required argument 'B'"],
    [['predict', fileWith('{"schema":', 'broken.json'), 'open'], 'ERR_REPORT_FILE', 'it is not JSON'],
    [
      ['predict', fileWith('{"schema":"natprobe/report@1"}', 'empty.json'), 'open'],
      'ERR_REPORT_FILE',
      'no report',
    ],
    [
      [
        'predict',
        fileWith(JSON.stringify(reportOf('APDM/APDF', { axes: { ports: {} } as Axes })), 'axes.json'),
        'open',
      ],
      'ERR_REPORT_FILE',
      'its axes are not as natprobe writes them',
    ],
    [['predict', folder, 'open'], 'ERR_REPORT_FILE', 'EISDIR'],
  ])('%j is refused with %s', async (args, errorCode, text) => {
    const { stdout, stderr, code } = await natprobe([...args, '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'natprobe/error@1', code: errorCode });
    expect(stderr).toContain(text);
    expect(code).toBe(2);
  });
});

describe('natprobe preflight', () => {
  let server: LocalServer | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  it('says go, and ends in 0, where this machine is open', async () => {
    server = await startNatprobed();
    const { stdout, code } = await natprobe(['preflight', 'symmetric', '-s', server.name, '--json']);
    const preflight = JSON.parse(stdout) as Preflight;
    expect([...Compile(PreflightSchema).Errors(preflight)]).toEqual([]);
    expect(preflight).toMatchObject({ decision: 'go', strategy: 'reversal' });
    expect(code).toBe(0);
  });

  it('says no-go, and ends in 4, where no UDP gets through', async () => {
    server = await startDeafServer();
    const { stdout, code } = await natprobe(['preflight', 'open', '-s', server.name, '-4']);
    expect(stdout).toMatch(/^Pre-flight: no-go, it takes a relay\n/);
    expect(stdout).toContain('A has no UDP');
    expect(code).toBe(4);
  });

  it('ends in 1 where this machine could not be classified', async () => {
    server = await startNatprobed([PRIMARY]);
    const { stdout, code } = await natprobe(['preflight', 'EIM/APDF', '-s', server.name, '-4']);
    expect(stdout).toMatch(/^Pre-flight: inconclusive; by what is known, go \(simultaneous sending\)/);
    expect(stdout).toContain('the filtering of A is not known');
    expect(code).toBe(1);
  });

  it('takes a report that the server keeps, by its id and by its address', async () => {
    const [port] = await findFreePorts(PRIMARY);
    server = await startNatprobed([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${port}`]);
    const kept = await natprobe(['-s', server.name, '--report', '--json']);
    const { report } = JSON.parse(kept.stdout) as { report: { id: string; url: string } };
    for (const which of [[report.id], [report.url], [report.id, '--api', `http://${PRIMARY}:${port}`]]) {
      const args = ['preflight', '-s', server.name, '--peer-report', ...which, '--json'];
      const { stdout, stderr, code } = await natprobe(args);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(JSON.parse(stdout)).toMatchObject({ decision: 'go', strategy: 'direct' });
    }
    const missing = await natprobe(['preflight', '-s', server.name, '--peer-report', 'nobodys', '--json']);
    expect(JSON.parse(missing.stdout)).toMatchObject({ code: 'ERR_NO_REPORT' });
    expect(missing.code).toBe(1);
  });

  it.each([
    [[], 'it takes a PEER, or --peer-report ID in its place'],
    [['open', '--peer-report', 'abc'], 'PEER: these options do not go together'],
    [['--peer-report', '../stats'], 'not the id of a report (got "../stats")'],
    [['--peer-report', 'https://nat.example.org/stats'], 'not the id of a report'],
    [['open', '--api', 'http://192.0.2.1'], '--api: these options do not go together'],
    [['open', '--room', 'den', '--peer-report', 'abc'], 'PEER: these options do not go together'],
  ])('refuses %j', async (args, text) => {
    const { stderr, code } = await natprobe(['preflight', ...args, '-s', '127.0.0.9:9']);
    expect(stderr).toContain(text);
    expect(code).toBe(2);
  });

  it('ends in 3 where the server cannot be reached, and in 2 for a type that is none', async () => {
    expect((await natprobe(['preflight', 'open', '-s', 'nothing.invalid'])).code).toBe(3);
    expect((await natprobe(['preflight', 'EIM/ABC', '-s', '127.0.0.9:9'])).code).toBe(2);
  });
});
