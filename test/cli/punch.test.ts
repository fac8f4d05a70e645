/** `join`, `punch`, `peers` and `preflight PEER` as people and scripts use them, through a real natprobed on loopback. */
import type { ChildProcess } from 'node:child_process';
import { Ajv } from 'ajv';
import type { Static, TSchema } from 'typebox';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RoomEvent } from '../../probe/cli/render/room-events.ts';
import { PreflightSchema } from '../../shared/punch/schema.ts';
import { findFreePorts } from '../unit/server/loopback.ts';
import { PeersSchema, PunchReportSchema, RoomEventSchema } from './document-schemas.ts';
import {
  ALTERNATE,
  type LocalServer,
  NATPROBE,
  natprobe,
  PRIMARY,
  startNatprobed,
  startProgram,
} from './programs.ts';

const ajv = new Ajv({ strict: true, strictTypes: false });

/** What stands there, as that schema has it. */
function parse<Schema extends TSchema>(text: string, schema: Schema): Static<Schema> {
  const document = JSON.parse(text) as Static<Schema>;
  const check = ajv.compile(schema);
  check(document);
  expect(check.errors ?? []).toEqual([]);
  return document;
}

let server: LocalServer;
const running = new Set<ChildProcess>();

beforeAll(async () => {
  const [port] = await findFreePorts(PRIMARY);
  server = await startNatprobed([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${port}`]);
});
afterAll(() => server.stop());
afterEach(async () => {
  await Promise.all([...running].map(leave));
});

interface Joined {
  readonly child: ChildProcess;
  /** What it has told so far. */
  readonly events: RoomEvent[];
  /** Resolves with the first event of that kind. */
  seen(event: RoomEvent['event']): Promise<RoomEvent>;
}

/** `natprobe join --json`, and what it tells. */
async function join(name: string, ...args: readonly string[]): Promise<Joined> {
  const child = startProgram(NATPROBE, ['join', name, '-s', server.name, '--json', ...args]);
  running.add(child);
  child.once('exit', () => running.delete(child));
  const events: RoomEvent[] = [];
  const waiting = new Set<() => void>();
  let rest = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    const lines = (rest + bytes.toString()).split('\n');
    rest = lines.pop()!;
    for (const line of lines) events.push(parse(line, RoomEventSchema));
    for (const wake of waiting) wake();
  });
  let errors = '';
  child.stderr!.on('data', (bytes: Buffer) => void (errors += bytes.toString()));
  const seen = (kind: RoomEvent['event']): Promise<RoomEvent> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = events.find(({ event }) => event === kind);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      child.once('exit', (code) => reject(new Error(`join ended in ${code} before ${kind}: ${errors}`)));
      look();
    });
  await seen('registered');
  return { child, events, seen };
}

/** Ctrl-C; resolves with the exit code. */
function leave(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    else child.once('exit', resolve);
    child.kill('SIGINT');
  });
}

describe('natprobe punch', () => {
  it('opens a hole to a peer that has joined, says how on both sides, and ends in 0', async () => {
    const alice = await join('alice');
    const { stdout, stderr, code } = await natprobe(['punch', 'alice', '-s', server.name, '--json']);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const report = parse(stdout, PunchReportSchema);
    expect(report).toMatchObject({
      outcome: 'open',
      peer: { name: 'alice', type: 'open' },
      transport: 'udp',
      attempts: 1,
    });
    const opened = await alice.seen('open');
    expect(opened).toMatchObject({
      report: { outcome: 'open', endpoints: { local: report.endpoints.remote } },
    });
    expect(await leave(alice.child)).toBe(130);
  });

  it('says in the first line for people how, in how many packets and how long, and what was predicted', async () => {
    await join('alice');
    const args = ['punch', 'alice', '-s', server.name, '--as', 'bob', '-4'];
    const { stdout, code } = await natprobe(args);
    expect(stdout).toMatch(
      /^Punch: open by [a-z ]+, \d+ packets?, [\d.]+ m?s \(predicted: [\d.]+ %.*\)\n\nPeer {8}alice/,
    );
    expect(stdout).toMatch(/\nRemote {6}127\.0\.0\.1:\d+\n/);
    expect(code).toBe(0);
    // The name is free again.
    expect((await natprobe(args)).code).toBe(0);
  });

  it('takes a number for a peer, and the port to punch from', async () => {
    const alice = await join('alice', '--once');
    const exited = new Promise((resolve) => alice.child.once('exit', resolve));
    const [registered] = alice.events;
    const number = registered?.event === 'registered' ? registered.number : 0;
    const [port] = await findFreePorts(PRIMARY);
    const args = ['punch', String(number), '-s', server.name, '--local-port', String(port), '-4', '--json'];
    const { stdout, code } = await natprobe(args);
    expect(parse(stdout, PunchReportSchema)).toMatchObject({
      outcome: 'open',
      endpoints: { local: `127.0.0.1:${port}` },
    });
    expect(code).toBe(0);
    // It has had its one hole.
    expect(await exited).toBe(0);
  });

  it('ends in 1 with the reason where nobody has that name, or nobody is to be let in', async () => {
    const missing = await natprobe(['punch', 'nobody', '-s', server.name, '--json']);
    expect(JSON.parse(missing.stdout)).toMatchObject({ schema: 'natprobe/error@1', code: 'ERR_NO_PEER' });
    expect(missing.code).toBe(1);
    await join('hermit', '--refuse');
    const refused = await natprobe(['punch', 'hermit', '-s', server.name]);
    expect(refused.stderr).toContain('the peer does not want to be introduced');
    expect(refused.code).toBe(1);
  });

  it('fails in 1, within its budget and with the reason, where the other was given another secret', async () => {
    const alice = await join('alice', '--psk', 'one secret');
    const { stdout, code } = await natprobe(['punch', 'alice', '-s', server.name, '--json'], {
      NATPROBE_PSK: 'another secret',
    });
    const report = parse(stdout, PunchReportSchema);
    expect(report).toMatchObject({ outcome: 'failed', code: 'nothing-heard', endpoints: {} });
    expect(code).toBe(1);
    expect(await alice.seen('failed')).toMatchObject({ report: { outcome: 'failed' } });
  }, 60_000);

  it.each([
    [['--chat', '--pipe'], '--chat and --pipe: these options do not go together'],
    [['--bridge', '127.0.0.1'], '--bridge: not an address or HOST[:PORT]'],
    [['--psk-file', '/nonexistent'], '--psk-file: the secret cannot be used (ENOENT)'],
    [['--room-key', 'a', '--room-key-file', 'b'], '--room-key and --room-key-file: these'],
    [['--local-port', '1', '--map-port', '2'], '--local-port and --map-port: these'],
  ])('refuses %j', async (args, text) => {
    const { stderr, code } = await natprobe(['punch', 'alice', '-s', server.name, ...args]);
    expect(stderr).toContain(text);
    expect(code).toBe(2);
  });

  it('ends in 3 where the server has no broker, or is not there', async () => {
    const bare = await startNatprobed();
    const { stderr, code } = await natprobe(['punch', 'alice', '-s', bare.name]);
    expect(stderr).toContain('names no HTTP API');
    expect(code).toBe(3);
    await bare.stop();
    expect((await natprobe(['punch', 'alice', '-s', 'nothing.invalid'])).code).toBe(3);
  });
});

describe('natprobe join', () => {
  it('refuses a name that somebody has, and one that is none', async () => {
    await join('alice');
    const taken = await natprobe(['join', 'Alice', '-s', server.name, '--json']);
    expect(JSON.parse(taken.stdout)).toMatchObject({ code: 'ERR_NAME_TAKEN' });
    expect(taken.code).toBe(1);
    const number = await natprobe(['join', '42', '-s', server.name]);
    expect(number.stderr).toContain('not a name for a peer or a room');
    expect(number.code).toBe(2);
  });

  it('gives the name up when it is interrupted, and when it is terminated', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const { child } = await join('alice');
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      expect(await ended).toBe(130);
    }
    await join('alice');
  });

  it('wants a terminal for --ask, and says what to do without', async () => {
    const { stderr, code } = await natprobe(['join', 'alice', '-s', server.name, '--ask']);
    expect(stderr).toContain('--ask: there is no terminal to ask at; run it in one, or without --ask');
    expect(code).toBe(2);
  });
});

describe('natprobe peers', () => {
  it('lists those who are registered, and not itself, in the room that was asked for', async () => {
    const flags = ['--room', 'den', '--room-key', 'sesame'];
    await Promise.all([join('alice', ...flags), join('bob', ...flags), join('carol')]);
    const { stdout, code } = await natprobe(['peers', '-s', server.name, '--room', 'den', '--json'], {
      NATPROBE_ROOM_KEY: 'sesame',
    });
    const { room, peers } = parse(stdout, PeersSchema);
    expect(room).toBe('den');
    expect(peers.map(({ name, type }) => `${name} ${type}`).sort()).toEqual(['alice open', 'bob open']);
    expect(code).toBe(0);
    const shut = await natprobe(['peers', '-s', server.name, '--room', 'den']);
    expect(shut.stderr).toContain('not the key of that room');
    expect(shut.code).toBe(2);
  });

  it('lists them for people, none too', async () => {
    expect(await natprobe(['peers', '-s', server.name, '--room', 'void'])).toMatchObject({
      stdout: 'Peers: 0 in room void\n',
      code: 0,
    });
    await join('alice');
    const { stdout } = await natprobe(['peers', '-s', server.name]);
    expect(stdout).toMatch(/^Peers: 1 in room lobby\n\n\d+ {2}alice {2}open\n$/);
  });
});

describe('natprobe preflight PEER', () => {
  it('decides about a registered peer, by name, by number and by room, without asking it', async () => {
    const alice = await join('symmetric', '--refuse');
    const [registered] = alice.events;
    const number = registered?.event === 'registered' ? registered.number : 0;
    await join('alice', '--refuse');
    for (const peer of [['alice'], [String(number)], ['symmetric', '--room', 'lobby']]) {
      const { stdout, stderr, code } = await natprobe(['preflight', ...peer, '-s', server.name, '--json']);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(parse(stdout, PreflightSchema)).toMatchObject({ decision: 'go', strategy: 'direct' });
    }
    const { stdout } = await natprobe(['preflight', 'alice', '-s', server.name]);
    expect(stdout).toMatch(/^Pre-flight: go \(direct sending\)\n/);
    expect(stdout).toMatch(/\nB \(peer\) {4}alice \(peer \d+\), open\n/);
  });

  it('decides about a connection over TCP, by what is measured of that on both sides', async () => {
    await join('alice', '--refuse');
    for (const peer of ['alice', 'EIM/APDF']) {
      const args = ['preflight', peer, '--tcp', '-s', server.name, '--json'];
      const { stdout, stderr, code } = await natprobe(args);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      const { decision, reasons } = parse(stdout, PreflightSchema);
      expect(decision).toBe('go');
      const assumed = reasons.filter(({ code: reason }) => reason.startsWith('assumed'));
      expect(assumed.map(({ text }) => text)).toEqual(
        peer === 'alice'
          ? []
          : [expect.stringContaining('the NAT of B treats TCP was not measured') as string],
      );
    }
  });

  it('says what it has looked for in vain', async () => {
    const { stderr, code } = await natprobe(['preflight', 'openish', '-s', server.name]);
    expect(stderr).toBe(
      'natprobe: error: PEER: no such peer in the room ("openish" is no type of NAT and no file either); see who is there with `natprobe peers`\n',
    );
    expect(code).toBe(1);
    const mistyped = await natprobe(['preflight', 'EIM/APFD', '-s', server.name]);
    expect(mistyped.stderr).toContain('PEER: not a type of NAT (got "EIM/APFD", which is no file either)');
    expect(mistyped.code).toBe(2);
  });
});

describe('the help', () => {
  it.each(['join', 'peers', 'punch', 'preflight'])('of %s fits 80 columns', async (command) => {
    const { stdout, code } = await natprobe([command, '--help']);
    expect(stdout).toMatchSnapshot();
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(code).toBe(0);
  });
});
