/** On a terminal (made by script(1)): colours by their rules, and progress. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { collectOutput, type Finished } from '../lab/namespaces.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import {
  ALTERNATE,
  ENVIRONMENT,
  finish,
  type LocalServer,
  NATPROBE,
  natprobe,
  PRIMARY,
  startDeafServer,
  startNatprobed,
} from './programs.ts';

const ESCAPE = '\u001b[';

describeIf(missingPrograms('script'))('a terminal', () => {
  let server: LocalServer;
  let deaf: LocalServer;
  beforeAll(async () => {
    [server, deaf] = await Promise.all([startNatprobed(), startDeafServer()]);
  });
  afterAll(async () => {
    await Promise.all([server.stop(), deaf.stop()]);
  });

  function startOnTerminal(args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const command = [process.execPath, NATPROBE, ...args].map((word) => `'${word}'`).join(' ');
    return spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...ENVIRONMENT, SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** What a terminal gets to see: stdout and stderr together. */
  async function onTerminal(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
    const { stdout, stderr, code } = await finish(startOnTerminal(args, env));
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    return stdout;
  }

  it('gets colours', async () => {
    const text = await onTerminal(['-s', server.name]);
    expect(text.split('\r\n')[0]).toBe(
      `${ESCAPE}1mNAT type:${ESCAPE}22m ${ESCAPE}32mopen (no translation, EIF)${ESCAPE}39m`,
    );
  });

  it('gets none with NO_COLOR, with --no-color, with TERM=dumb', async () => {
    expect(await onTerminal(['-s', server.name], { NO_COLOR: '1' })).not.toContain(ESCAPE);
    expect(await onTerminal(['-s', server.name, '--no-color'])).not.toContain(ESCAPE);
    expect(await onTerminal(['-s', server.name], { TERM: 'dumb' })).not.toContain(ESCAPE);
  });

  it('alone gets them, unless FORCE_COLOR says otherwise, which --no-color overrules', async () => {
    const plain = await natprobe(['-s', server.name]);
    expect(plain.stdout).not.toContain(ESCAPE);
    const forced = await natprobe(['-s', server.name], { FORCE_COLOR: '1' });
    expect(forced.stdout).toContain(ESCAPE);
    const refused = await natprobe(['-s', server.name, '--no-color'], { FORCE_COLOR: '1' });
    expect(refused.stdout).not.toContain(ESCAPE);
  });

  it('is asked by join --ask, and says yes to one peer and no to the next', async () => {
    const [port] = await findFreePorts(PRIMARY);
    const broker = await startNatprobed([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${port}`]);
    try {
      const alice = startOnTerminal(['join', 'alice', '--ask', '-s', broker.name, '-4']);
      const seen = collectOutput(alice);
      const sees = (text: RegExp): Promise<void> =>
        expect.poll(() => seen.stdout, { timeout: 20_000 }).toMatch(text);
      await sees(/registered as alice/);
      const punch = (name: string): Promise<Finished> =>
        natprobe(['punch', 'alice', '--as', name, '-s', broker.name, '-4']);
      const admitted = punch('bob');
      await sees(/Let bob \(peer \d+\) in\? \[y\/n\] /);
      alice.stdin!.write('y\n');
      expect((await admitted).code).toBe(0);
      const refused = punch('mallory');
      await sees(/Let mallory \(peer \d+\) in\? \[y\/n\] /);
      alice.stdin!.write('n\n');
      expect((await refused).code).toBe(1);
      await sees(/mallory \(peer \d+\): refused/);
      const ended = once(alice, 'exit');
      alice.stdin!.write('\u0003');
      expect(await ended).toEqual([130, null]);
    } finally {
      await broker.stop();
    }
  });

  it('gets progress after a second, which is gone at the end', async () => {
    // Without --gentle the verdict comes after little more than a second.
    const text = await onTerminal(['-s', deaf.name, '--no-color', '--gentle']);
    const progress = text.slice(0, text.indexOf('NAT type:'));
    expect(progress).toMatch(/^\r1\.\d s {2}(IPv4: no answer yet|waiting for the server)/);
    expect(progress.endsWith(`\r${ESCAPE}K`)).toBe(true);
  });
});
