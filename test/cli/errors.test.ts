/** What natprobe can't use: each says what and where, how to correct it, and ends in 2 or 3. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { natprobe } from './programs.ts';

const folder = mkdtempSync(join(tmpdir(), 'natprobe-errors-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ENDPOINT_REMEDY = 'write HOST, HOST:PORT, 192.0.2.1:3478 or [2001:db8::1]:3478';
const PORT_REMEDY = 'give a whole number from 1 to 65535';

const NAME_REMEDY = 'give one of 1 to 64 characters; that of a peer has to have something else than digits';
const COMMANDS = 'watch, lifetime, predict, join, peers, punch, preflight, doctor';

const mistakes: { readonly args: string[]; readonly says: string; readonly env?: Record<string, string> }[] =
  [
    {
      args: ['--server', 'a b'],
      says: `--server: not an address or HOST[:PORT] (got "a b"); ${ENDPOINT_REMEDY}`,
    },
    {
      args: ['--server', '300.1.1.1'],
      says: `--server: not an address or HOST[:PORT] (got "300.1.1.1"); ${ENDPOINT_REMEDY}`,
    },
    { args: ['-s', 'a:99999'], says: `--server: not a port (got "99999"); ${PORT_REMEDY}` },
    { args: ['-s', 'a', '--alt', 'b:0'], says: `--alt: not a port (got "0"); ${PORT_REMEDY}` },
    { args: ['--local-port', 'x'], says: `--local-port: not a port (got "x"); ${PORT_REMEDY}` },
    {
      args: ['--timeout', '-1'],
      says: '--timeout: not a number that fits here (got "-1", wanted seconds, above 0 and up to 3600); give one in that range',
    },
    {
      args: ['--timeout', '1e3'],
      says: '--timeout: not a number that fits here (got "1e3", wanted seconds, above 0 and up to 3600); give one in that range',
    },
    {
      args: ['-4', '-6'],
      says: '-4 and -6: these options do not go together (leave both out to test both families); see --help',
    },
    {
      args: ['--alt', 'b'],
      says: '--alt: these options do not go together (it is the other address of a --server, and none is given); see --help',
    },
    {
      args: ['--sever', 'a'],
      says: "command line: not understood (unknown option '--sever' (Did you mean --server?)); see --help",
    },
    {
      args: ['--server'],
      says: "command line: not understood (option '-s, --server <host[:port]>' argument missing); see --help",
    },
    {
      args: ['stun.example.org'],
      says: `command line: not understood (there is no command "stun.example.org", only ${COMMANDS}); see --help`,
    },
    {
      args: ['lifetme', '--max', '60'],
      says: `command line: not understood (there is no command "lifetme", only ${COMMANDS}); see --help`,
    },
    {
      args: ['peers', 'extra'],
      says: "command line: not understood (too many arguments for 'peers'. Expected 0 arguments but got 1.); see --help",
    },
    {
      args: ['-s', 'http://192.0.2.1'],
      says: `--server: not an address or HOST[:PORT] (got "http://192.0.2.1"); ${ENDPOINT_REMEDY}`,
    },
    {
      args: ['--also', 'nowhere'],
      says: '--also: not an IP address (got "nowhere"); write it alone, without a port: 192.0.2.1 or 2001:db8::1',
    },
    { args: ['join', ' '], says: `NAME: not a name for a peer or a room; ${NAME_REMEDY}` },
    { args: ['join', '42'], says: `NAME: not a name for a peer or a room (only digits); ${NAME_REMEDY}` },
    { args: ['punch', ''], says: `PEER: not a name for a peer or a room; ${NAME_REMEDY}` },
    {
      args: ['punch', 'bob', '--as', '7'],
      says: `--as: not a name for a peer or a room (only digits); ${NAME_REMEDY}`,
    },
    {
      args: ['peers', '-s', '192.0.2.1', '--room', ''],
      says: `--room: not a name for a peer or a room; ${NAME_REMEDY}`,
    },
    {
      args: ['punch', 'bob', '--exec', ''],
      says: '--exec: not understood (it takes a command, and this is none); see --help',
    },
    {
      args: ['punch', 'bob', '--bridge', 'localhost'],
      says: `--bridge: not an address or HOST[:PORT] (localhost has no port: localhost:51820, say); ${ENDPOINT_REMEDY}`,
    },
    {
      args: ['preflight'],
      says: 'command line: not understood (it takes a PEER, or --peer-report ID in its place); see --help',
    },
    {
      args: ['preflight', 'bob', '--peer-report', 'x'],
      says: 'PEER: these options do not go together (not with --peer-report, which stands in its place); see --help',
    },
    {
      args: [],
      env: { NATPROBE_SERVER: 'a:b' },
      says: `NATPROBE_SERVER: not a port (got "b"); ${PORT_REMEDY}`,
    },
    {
      args: ['--config', '/nonexistent/x.json'],
      says: '/nonexistent/x.json: the configuration file cannot be used (ENOENT); correct it, or name another with --config',
    },
  ];

describe('a mistake', () => {
  for (const { args, says, env } of mistakes) {
    it(`in ${[...Object.entries(env ?? {}).map((pair) => pair.join('=')), 'natprobe', ...args].join(' ')}`, async () => {
      expect(await natprobe(args, env)).toMatchObject({
        stdout: '',
        stderr: `natprobe: error: ${says}\n`,
        code: 2,
      });
    });
  }

  it('in the configuration file, naming the file and the key', async () => {
    const config = join(folder, 'config.json');
    writeFileSync(config, '{"timeout": "soon"}');
    const { stderr, code } = await natprobe(['--config', config]);
    expect(stderr).toBe(
      `natprobe: error: ${config}: the configuration file cannot be used ` +
        '(key "timeout": got "soon", wanted seconds, above 0 and up to 3600); correct it, or name another with --config\n',
    );
    expect(code).toBe(2);
  });

  it('in the local port, if another program holds it', async () => {
    const holder = createSocket('udp4');
    holder.bind(0);
    await once(holder, 'listening');
    const { port } = holder.address();
    const { stderr, code } = await natprobe(['-s', '127.0.0.1', '--local-port', String(port)]);
    holder.close();
    expect(stderr).toBe(
      `natprobe: error: local port ${port}: the local port cannot be bound (EADDRINUSE); choose another --local-port, or stop what holds it\n`,
    );
    expect(code).toBe(2);
  });
});

describe('a name that does not resolve', () => {
  it('ends in 3, and says so in JSON where that was asked for', async () => {
    const { stdout, stderr, code } = await natprobe(['-s', 'nothing.invalid', '--json']);
    expect(code).toBe(3);
    const message = stderr.replace(/^natprobe: error: /, '').trimEnd();
    expect(JSON.parse(stdout)).toEqual({
      schema: 'natprobe/error@1',
      code: 'ERR_RESOLVE',
      place: 'nothing.invalid',
      message,
      remedy: 'check its spelling and this machine’s DNS, or give an address',
      exitCode: 3,
    });
  });
});

describe('--json', () => {
  it('makes a document of usage errors too', async () => {
    const { stdout, code } = await natprobe(['--json', '--nonsense']);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toMatchObject({ schema: 'natprobe/error@1', code: 'ERR_USAGE', exitCode: 2 });
  });
});
