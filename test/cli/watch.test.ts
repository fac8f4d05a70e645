import { afterEach, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../probe/cli/commands/watch.ts';
import { finish, type LocalServer, natprobe, NATPROBE, startNatprobed, startProgram } from './programs.ts';

describe('natprobe watch', () => {
  let server: LocalServer | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  it('tells the first verdict, and nothing while nothing changes', async () => {
    server = await startNatprobed();
    const args = ['watch', '--server', server.name, '--every', '0.1', '--count', '3'];
    const { stdout, code } = await natprobe(args);
    expect(stdout).toMatch(/^\d\d:\d\d:\d\d {2}NAT type: open \(no translation, EIF\)\n$/);
    expect(code).toBe(0);
  });

  it('tells with --json, a line each, when the server goes; and ends in the last run’s code', async () => {
    server = await startNatprobed();
    const { name } = server;
    const child = startProgram(NATPROBE, ['watch', '-s', name, '--every', '0.5', '--count', '4', '--json']);
    const finished = finish(child);
    child.stdout!.once('data', () => void server!.stop());
    const { stdout, code } = await finished;
    server = undefined;
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as WatchEvent);
    expect(events.map(({ schema, event }) => [schema, event])).toEqual([
      ['natprobe/watch@1', 'first'],
      ['natprobe/watch@1', 'inconclusive'],
    ]);
    expect(code).toBe(1);
  });

  it('fails at once where the first run does', async () => {
    const { stderr, code } = await natprobe(['watch', '--server', 'no such host']);
    expect(stderr).toContain('natprobe: error: --server: not an address or HOST[:PORT]');
    expect(code).toBe(2);
  });

  it.each([
    ['--every', '0'],
    ['--count', '1.5'],
  ])('refuses %s %s', async (flag, value) => {
    const { stderr, code } = await natprobe(['watch', '--server', '127.0.0.1', flag, value]);
    expect(stderr).toContain(`natprobe: error: ${flag}: not a number that fits here`);
    expect(code).toBe(2);
  });
});
