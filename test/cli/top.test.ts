/** `natprobed top` as a process, beside a natprobed that is asked things. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TopView } from '../../server/top/view.ts';
import { collectOutput, type Finished } from '../lab/namespaces.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { request } from '../unit/answer/exchange.ts';
import { findFreePorts, UdpClient } from '../unit/server/loopback.ts';
import {
  ALTERNATE,
  ENVIRONMENT,
  finish,
  type LocalServer,
  NATPROBED,
  PRIMARY,
  startNatprobed,
  startProgram,
} from './programs.ts';

const ESCAPE = '\u001b[';
const [ENTER, LEAVE] = [`${ESCAPE}?1049h${ESCAPE}?25l`, `${ESCAPE}?25h${ESCAPE}?1049l`];
const TOKEN = 'a-token-of-this-test';

let server: LocalServer;
let http: string;
/** One that stands behind a name, so that its own machine needs a token too. */
let closed: LocalServer;
let closedHttp: string;
let directory: string;
let client: UdpClient;
let asking: NodeJS.Timeout;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'natprobe-top-'));
  writeFileSync(join(directory, 'tokens'), `# ours\n${TOKEN}\n`);
  writeFileSync(join(directory, 'others'), 'some-token-of-another\n');
  const [first, second] = await findFreePorts(PRIMARY);
  http = `${PRIMARY}:${first}`;
  closedHttp = `${PRIMARY}:${second}`;
  const behind = ['--public-url', 'https://nat.example.org', '--token-file', join(directory, 'tokens')];
  [server, closed] = await Promise.all([
    startNatprobed([PRIMARY, ALTERNATE], ['--http', http, '--no-rate-limit']),
    startNatprobed([PRIMARY], ['--http', closedHttp, ...behind]),
  ]);
  client = await UdpClient.open();
  const ask = (): void => {
    client.send(request(), { address: PRIMARY, port: server.port });
    client.send(Buffer.from('hello'), { address: ALTERNATE, port: server.alternatePort });
  };
  asking = setInterval(ask, 10);
});
afterAll(async () => {
  clearInterval(asking);
  client.close();
  await Promise.all([server.stop(), closed.stop()]);
  rmSync(directory, { recursive: true });
});

function top(args: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
  return finish(startProgram(NATPROBED, ['top', '--interval', '0.5', ...args], env));
}

describe('natprobed top --once', () => {
  it('prints rates of one interval as text', async () => {
    const { stdout, stderr, code } = await top(['--once', '--http', http]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(new RegExp(`^natprobed \\S+ at http://${http} +up [\\d:]+, rates over \\d`));
    const [, rate] = /^binding +([\d.]+) +0 +0 +0 /m.exec(stdout) ?? [];
    expect(Number(rate)).toBeGreaterThan(1);
    expect(stdout).toMatch(/not-stun +[\d.]+ +[\d,]+$/m);
    expect(stdout).not.toContain(ESCAPE);
    expect(lines.filter((line) => line.length > 79)).toEqual([]);
  });

  it('prints a document for programs, on a line', async () => {
    const { stdout, stderr, code } = await top(['--once', '--json', '--http', `http://${http}`]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const view = JSON.parse(stdout) as TopView;
    expect(view).toMatchObject({ schema: 'natprobed/top@1', http: { requests: { total: 0 } } });
    const { messages, answers, drops } = view.udp;
    expect(messages.perSecond).toBeGreaterThan(1);
    expect(answers['binding']!.PP.perSecond).toBeGreaterThan(1);
    expect(drops['not-stun']!.perSecond).toBeGreaterThan(1);
    expect(view.mainThread.utilisation).toBeGreaterThanOrEqual(0);
  });
});

describe('natprobed top without a terminal', () => {
  it('prints one look after the other, until whoever reads has gone', async () => {
    const child = startProgram(NATPROBED, ['top', '--interval', '0.2', '--http', http]);
    const { stdout } = child;
    let text = '';
    stdout!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await expect.poll(() => text.match(/^natprobed /gm)?.length, { timeout: 20_000 }).toBeGreaterThan(2);
    stdout!.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});

describe('natprobed top where there is nothing to see', () => {
  it('says that nobody is there', async () => {
    const [port] = await findFreePorts(PRIMARY);
    const { stdout, stderr, code } = await top(['--http', `${PRIMARY}:${port}`]);
    expect({ stdout, code }).toEqual({ stdout: '', code: 3 });
    expect(stderr).toMatch(
      /http:\/\/127.0.0.1:\d+\/: the metrics cannot be had \(ECONNREFUSED\); check that/,
    );
  });

  it('says that it takes a token, or another one', async () => {
    const none = await top(['--http', closedHttp]);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain('natprobed top takes one from --token-file or NATPROBED_TOKENS');
    const other = await top(['--http', closedHttp, '--token-file', join(directory, 'others')]);
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('the server knows another one');
    expect(other.stderr).not.toContain('some-token');
  });

  it('shows it to who has the token', async () => {
    const file = await top(['--once', '--http', closedHttp, '--token-file', join(directory, 'tokens')]);
    expect({ stderr: file.stderr, code: file.code }).toEqual({ stderr: '', code: 0 });
    const variable = await top(['--once', '--http', closedHttp], { NATPROBED_TOKENS: TOKEN });
    expect({ stderr: variable.stderr, code: variable.code }).toEqual({ stderr: '', code: 0 });
  });

  it.each([
    [200, 'up 1\n', /no natprobed \(it has no metrics of natprobed\)/],
    [200, '<html></html>', /no natprobed \(it has no metrics of natprobed\)/],
    [404, '', /no natprobed \(status 404\)/],
    [307, '', /no natprobed \(status 307\)/],
  ])('says of a server that answers %i %j that it is no natprobed', async (status, body, message) => {
    const other = createServer((_request, response) => {
      response.writeHead(status, { location: `http://${http}/metrics` }).end(body);
    }).listen(0, PRIMARY);
    await once(other, 'listening');
    const { stdout, stderr, code } = await top([
      '--http',
      `${PRIMARY}:${(other.address() as AddressInfo).port}`,
    ]);
    other.close();
    expect({ stdout, code }).toEqual({ stdout: '', code: 3 });
    expect(stderr).toMatch(message);
  });

  it.each([
    [['--interval', '0'], /--interval: not a number that fits here/],
    [['--interval', '1e3'], /--interval: not a number that fits here/],
    [['--http', 'ftp://nat.example.org'], /--http: not an http or https URL/],
    [['--http', 'a:b:c'], /--http: not an address or HOST\[:PORT\]/],
    [['--token-file', '/nonexistent'], /--token-file: .*ENOENT/],
  ])('ends in 2 with %j', async (args, message) => {
    const { stdout, stderr, code } = await top(args);
    expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
    expect(stderr).toMatch(message);
  });
});

describeIf(missingPrograms('script', 'stty'))('natprobed top on a terminal', () => {
  /** script(1) hands over the exit code of what it runs. */
  function startOnTerminal(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const program = [process.execPath, NATPROBED, 'top', '--interval', '0.2', '--http', http, ...args];
    const command = `stty cols 80 rows 24; exec ${program.map((word) => `'${word}'`).join(' ')}`;
    return spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...ENVIRONMENT, SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  const framesOf = (text: string): string[] => text.split(`${ESCAPE}?2026h`).slice(1);

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
  ])('redraws, and gives the terminal back on %s', async (_name, key) => {
    const child = startOnTerminal([]);
    const seen = collectOutput(child);
    await expect.poll(() => framesOf(seen.stdout).length, { timeout: 20_000 }).toBeGreaterThan(2);
    const ended = once(child, 'close');
    child.stdin!.write(key);
    expect(await ended).toEqual([0, null]);
    expect(seen.stdout.startsWith(ENTER)).toBe(true);
    expect(seen.stdout.endsWith(LEAVE)).toBe(true);
    const frame = stripVTControlCharacters(framesOf(seen.stdout)[1]!).split(/\r+\n/);
    expect(frame[0]).toMatch(/^natprobed .* rates over \d/);
    expect(frame.length).toBeLessThanOrEqual(24);
    expect(frame.filter((line) => line.length > 79)).toEqual([]);
    // Nothing is ever cleared as a whole: that would flicker.
    expect(seen.stdout).not.toContain(`${ESCAPE}2J`);
  });

  it('gives the terminal back on SIGTERM, too', async () => {
    const child = startOnTerminal(['--no-color']);
    const seen = collectOutput(child);
    await expect.poll(() => framesOf(seen.stdout).length, { timeout: 20_000 }).toBeGreaterThan(0);
    const [inside] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
    process.kill(Number(inside), 'SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(seen.stdout.endsWith(LEAVE)).toBe(true);
    expect(seen.stdout).not.toMatch(/\u001b\[\d*m/);
  });

  it('has colours, but not with NO_COLOR', async () => {
    for (const [env, isColoured] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      const child = startOnTerminal([], env);
      const seen = collectOutput(child);
      await expect.poll(() => framesOf(seen.stdout).length, { timeout: 20_000 }).toBeGreaterThan(0);
      child.stdin!.write('q');
      await once(child, 'close');
      expect(seen.stdout.includes(`${ESCAPE}1m`)).toBe(isColoured);
    }
  });

  it('says in one line that nobody is there, and leaves the screen as it was', async () => {
    const child = startOnTerminal(['--http', `${PRIMARY}:1`]);
    const { stdout, code } = await finish(child);
    expect(code).toBe(3);
    expect(stdout).toContain('the metrics cannot be had');
    expect(stdout).not.toContain(ENTER);
  });

  it('waits for a server that has gone, says so, and shows it when it is back', async () => {
    const [port] = await findFreePorts(PRIMARY);
    const first = await startNatprobed([PRIMARY], ['--http', `${PRIMARY}:${port}`]);
    const child = startOnTerminal(['--http', `${PRIMARY}:${port}`]);
    const seen = collectOutput(child);
    const lastFrame = (): string => stripVTControlCharacters(framesOf(seen.stdout).at(-1) ?? '');
    await expect.poll(lastFrame, { timeout: 20_000 }).toContain('rates over');
    await first.stop();
    await expect.poll(lastFrame, { timeout: 20_000 }).toContain('the metrics cannot be had');
    const second = await startNatprobed([PRIMARY], ['--http', `${PRIMARY}:${port}`]);
    await expect.poll(lastFrame, { timeout: 20_000 }).toMatch(/rates over[^]*q ends it/);
    child.stdin!.write('q');
    expect(await once(child, 'close')).toEqual([0, null]);
    await second.stop();
  });
});
