/** Programs through a hole, as `natprobe join` and `natprobe punch` run them on loopback. */
import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collectOutput } from '../lab/namespaces.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import {
  ALTERNATE,
  finish,
  type LocalServer,
  NATPROBE,
  PRIMARY,
  startNatprobed,
  startProgram,
} from './programs.ts';

let server: LocalServer;
beforeAll(async () => {
  const [port] = await findFreePorts(PRIMARY);
  server = await startNatprobed([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${port}`]);
});
afterAll(() => server.stop());

function start(...args: readonly string[]): ChildProcess {
  return startProgram(NATPROBE, [...args, '-s', server.name, '-4'], {}, 'pipe');
}

/** Resolves once it has said that on stderr; rejects if it ends first. */
function said(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let all = '';
    child.stderr!.on('data', (bytes: Buffer) => {
      all += bytes.toString();
      if (all.includes(text)) resolve();
    });
    child.once('exit', (code) => reject(new Error(`ended in ${code} before "${text}": ${all}`)));
  });
}

/** Both ends of a program, once alice is registered. */
async function meet(...program: readonly string[]): Promise<{ alice: ChildProcess; bob: ChildProcess }> {
  const alice = start('join', 'alice', ...program);
  await said(alice, 'registered as alice');
  return { alice, bob: start('punch', 'alice', '--as', 'bob', ...program) };
}

describe('--pipe', () => {
  it('carries what is on standard input to the other’s standard output, both ways', async () => {
    const { alice, bob } = await meet('--pipe');
    alice.stdin!.end('from alice\n');
    bob.stdin!.end(Buffer.alloc(1 << 20, 'bob'));
    const [atAlice, atBob] = await Promise.all([finish(alice), finish(bob)]);
    expect(atBob).toMatchObject({ stdout: 'from alice\n', code: 0 });
    expect(atBob.stderr).toMatch(/^Punch: open by [^\n]+\n$/);
    expect(atAlice.stdout === 'bob'.repeat((1 << 20) / 3 + 1).slice(0, 1 << 20)).toBe(true);
    expect(atAlice.stderr).toMatch(/ {2}bob \(peer \d+\): open by /);
    expect(atAlice.code).toBe(0);
  });
});

describe('over TCP', () => {
  it('carries a pipe, the one who has joined knowing nothing of it before', async () => {
    const alice = start('join', 'alice', '--pipe');
    await said(alice, 'registered as alice');
    const bob = start('punch', 'alice', '--as', 'bob', '--tcp', '--pipe');
    alice.stdin!.end('from alice\n');
    bob.stdin!.end('from bob\n');
    const [atAlice, atBob] = await Promise.all([finish(alice), finish(bob)]);
    expect([atAlice.stdout, atBob.stdout]).toEqual(['from bob\n', 'from alice\n']);
    expect([atAlice.code, atBob.code]).toEqual([0, 0]);
  });

  it('gives a command the connection as its standard input and output', async () => {
    const alice = start('join', 'alice', '--once', '--exec', 'cat; echo "$NATPROBE_PEER"');
    await said(alice, 'registered as alice');
    const bob = start('punch', 'alice', '--as', 'bob', '--tcp', '--exec', 'exec 1>&-; cat 1>&2; exit 7');
    const [atAlice, atBob] = await Promise.all([finish(alice), finish(bob)]);
    expect(atBob.stderr).toContain('bob\n');
    expect([atAlice.code, atBob.code]).toEqual([0, 7]);
  });

  it('ends a member that waits for one hole', async () => {
    const alice = start('join', 'alice', '--once', '--json');
    await expect.poll(() => alice.exitCode).toBeNull();
    const output = collectOutput(alice);
    await expect.poll(() => output.stdout, { timeout: 20_000 }).toContain('registered');
    const bob = await finish(start('punch', 'alice', '--as', 'bob', '--tcp', '--json'));
    expect(JSON.parse(bob.stdout)).toMatchObject({ outcome: 'open', transport: 'tcp' });
    const [code] = alice.exitCode === null ? ((await once(alice, 'exit')) as [number]) : [alice.exitCode];
    expect(code).toBe(0);
    expect(output.stdout).toMatch(/"event":"open".*\n.*"event":"closed"/);
  });
});

describe('--chat', () => {
  it('shows each the other’s lines by name, until one has had enough', async () => {
    const { alice, bob } = await meet('--chat');
    const [atAlice, atBob] = [collectOutput(alice), collectOutput(bob)];
    const ends = [alice, bob].map((child) => once(child, 'exit'));
    await said(bob, '* alice is here');
    alice.stdin!.write('hello bob\n');
    bob.stdin!.write('hello \u001b[2Jalice\n');
    await expect.poll(() => atAlice.stdout, { timeout: 10_000 }).toBe('bob: hello  [2Jalice\n');
    await expect.poll(() => atBob.stdout, { timeout: 10_000 }).toBe('alice: hello bob\n');
    bob.stdin!.write('/quit\n');
    expect((await Promise.all(ends)).map(([code]: unknown[]) => code)).toEqual([0, 0]);
    expect(atAlice.stderr).toContain('* bob has left');
  });
});

describe('--exec', () => {
  it('runs a command with the endpoints in its environment, and ends in its exit code', async () => {
    const command = 'echo "$NATPROBE_PEER at $NATPROBE_REMOTE from $NATPROBE_LOCAL"; exit 7';
    const alice = start('join', 'alice', '--once', '--exec', command);
    await said(alice, 'registered as alice');
    const bob = start('punch', 'alice', '--as', 'bob', '--exec', command);
    const [atAlice, atBob] = await Promise.all([finish(alice), finish(bob)]);
    const [, remote, local] =
      /^alice at (127\.0\.0\.1:\d+) from (127\.0\.0\.1:\d+)\n$/.exec(atBob.stdout) ?? [];
    expect(atAlice.stdout).toBe(`bob at ${local} from ${remote}\n`);
    expect([atAlice.code, atBob.code]).toEqual([7, 7]);
  });
});

describe('--bridge', () => {
  it('passes datagrams between local programs, and says so until it is interrupted', async () => {
    const programs = [createSocket('udp4'), createSocket('udp4')] as const;
    await Promise.all(programs.map((socket) => once(socket.bind(0, PRIMARY), 'listening')));
    const [bridgePort] = await findFreePorts(PRIMARY);
    const [atAlice, atBob] = programs.map((socket) => `${PRIMARY}:${socket.address().port}`);
    const alice = start('join', 'alice', '--bridge', atAlice!);
    await said(alice, 'registered as alice');
    const bob = start('punch', 'alice', '--bridge', atBob!, '--bridge-port', String(bridgePort));
    const ends = [alice, bob].map((child) => finish(child));
    await Promise.all([said(alice, 'Bridge: '), said(bob, 'Bridge: ')]);
    programs[1].send('ping', bridgePort, PRIMARY);
    const [ping, from] = (await once(programs[0], 'message')) as [Buffer, { port: number }];
    expect(String(ping)).toBe('ping');
    programs[0].send('pong', from.port, PRIMARY);
    expect(String(((await once(programs[1], 'message')) as [Buffer])[0])).toBe('pong');
    bob.kill('SIGINT');
    await said(alice, 'datagrams sent');
    alice.kill('SIGINT');
    const [aliceEnd, bobEnd] = await Promise.all(ends);
    expect([aliceEnd!.code, bobEnd!.code]).toEqual([130, 130]);
    expect(bobEnd!.stderr).toContain('Bridge: 1 datagrams sent, 1 received, 0 dropped');
    for (const socket of programs) socket.close();
  });
});

describe('both sides', () => {
  it('have to name the same program', async () => {
    const alice = start('join', 'alice', '--pipe');
    await said(alice, 'registered as alice');
    alice.stdin!.end();
    const bob = start('punch', 'alice', '--chat');
    const [atAlice, atBob] = await Promise.all([finish(alice), finish(bob)]);
    expect(atBob.stderr).toContain('natprobe: error: ');
    expect([atAlice.code, atBob.code]).toEqual([1, 1]);
  });
});
