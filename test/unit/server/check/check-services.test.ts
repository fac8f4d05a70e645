/** What `natprobed check` says of the services that a deployment works with: the real ones, right and mis-set. */
import { spawn } from 'node:child_process';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LONE_NAMES_STREAM, NamesBucket } from '../../../../server/nats/bucket.ts';
import { openNats } from '../../../../server/nats/open.ts';
import { openPostgres } from '../../../../server/reports/postgres.ts';
import { SILENT_LOG } from '../../../../server/log.ts';
import { NATPROBED, startProgram } from '../../../cli/programs.ts';
import { type RunningServer, serverOf } from '../../../lab/natprobe.ts';
import { natsMissing, startNats, type TestNats, type TestNatsOptions } from '../../../support/nats-server.ts';
import { type PostgresCluster, postgresMissing, startPostgres } from '../../../support/postgres.ts';
import { describeIf } from '../../../support/requirements.ts';
import { missingPrograms, programPath } from '../../../support/system-programs.ts';
import { findFreePorts } from '../loopback.ts';
import { freeFlags, look } from './deployments.ts';

const folder = mkdtempSync(join(tmpdir(), 'natprobe-check-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

describeIf(postgresMissing())('a database', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgres();
  }, 120_000);
  afterAll(() => cluster.remove());

  it('is seen as it is: empty, in use, with a clock that differs, out of reach', async () => {
    const flags = await freeFlags();
    const database = await cluster.createDatabase();
    const empty = await look({ ...flags, database });
    expect(empty.state).toBe('ok');
    expect(empty.of('database')).toEqual([
      expect.stringMatching(/^ok: postgres:\/\/127\.0\.0\.1:\d+\/natprobe_1 answers: PostgreSQL \d+/),
      'ok: its tables are made or brought up to date at the start',
    ]);
    const opened = await openPostgres({ url: database }, { log: SILENT_LOG });
    await opened.database.destroy();
    const used = await look({ ...flags, database }, { now: () => Date.now() + 60_000 });
    expect(used.of('database')[1]).toBe('ok: its tables are those of this natprobed');
    expect(used.of('clock')).toContainEqual(
      expect.stringMatching(/^warning: it and the database's are (59|60|61) s apart$/),
    );
    await cluster.kill();
    const gone = await look({ ...flags, database });
    expect(gone.state).toBe('error');
    expect(gone.of('database')[0]).toMatch(/^error: --database: .*ECONNREFUSED/);
    expect(JSON.stringify(gone.findings)).not.toContain('s3cret');
  }, 120_000);
});

describeIf(natsMissing())('NATS', () => {
  let nats: TestNats;
  const running: RunningServer[] = [];
  beforeAll(async () => {
    nats = await startNats({ lines: ['authorization { user: ann, password: secret }'] });
  }, 60_000);
  afterAll(async () => {
    await Promise.all(running.map((server) => server.stop()));
    await nats.remove();
  });

  it('is seen as it is, and the other host of a pair over it', async () => {
    const { ip, ...flags } = await freeFlags();
    const urls = nats.servers.map(({ url }) => url);
    const alone = {
      ...{ port: flags.port, altPort: flags.altPort, http: false as const, ip: ip! },
      nats: urls,
      pair: 'lab',
      witnessKeyFile: fileWith('keys', `${'0a'.repeat(32)}\n`),
      natsCredentials: fileWith('credentials', 'ann:secret\n'),
    };
    const stranger = await look({ ...alone, natsCredentials: fileWith('other', 'ann:other\n') });
    expect(stranger.of('NATS')).toEqual([expect.stringMatching(/^error: .* cannot be had: .*uthorization/)]);
    const first = await look(alone);
    expect(first.of('NATS')).toEqual([expect.stringMatching(/^ok: nats:.* answers in .* ms: NATS \d/)]);
    expect(first.of('pair lab')[0]).toMatch(/^error: the other host is not heard over NATS/);
    // The other host of the pair.
    const other = ['--ip', '127.0.0.2', '--port', flags.port, '--alt-port', flags.altPort, '--no-http'];
    const joint = ['--nats', urls[0]!, '--pair', 'lab', '--nats-credentials', alone.natsCredentials];
    const child = startProgram(NATPROBED, [...other, ...joint, '--witness-key-file', alone.witnessKeyFile]);
    running.push(
      await serverOf(
        child,
        'natprobed',
        (log) => log.includes('NATS: connected') && log.includes('natprobed ready'),
      ),
    );
    const complete = await look(alone);
    expect(complete.state).toBe('ok');
    expect(complete.of('pair lab')).toEqual([`ok: the other host is heard: 127.0.0.2:${flags.port}`]);
    const otherKeys = await look({ ...alone, witnessKeyFile: fileWith('others', `${'0b'.repeat(32)}\n`) });
    expect(otherKeys.of('pair lab')[0]).toMatch(/^error: a host of that name is heard, and signs with a key/);
    const otherPorts = await look({ ...alone, altPort: (await freeFlags()).altPort });
    expect(otherPorts.of('pair lab')[0]).toMatch(/^error: the other host, .*, has other ports$/);
  }, 120_000);
});

describeIf(natsMissing())('the NATS of brokers that are one', () => {
  const running: TestNats[] = [];
  afterAll(async () => {
    await Promise.all(running.map((nats) => nats.remove()));
  });

  async function lookOver(options: TestNatsOptions) {
    const nats = await startNats(options);
    running.push(nats);
    const flags = { ...(await freeFlags()), nats: [nats.servers[0]!.url] };
    return { nats, look: () => look(flags) };
  }

  it('needs JetStream, with which one server is said to be few', async () => {
    const without = await (await lookOver({ jetStream: false })).look();
    expect(without.state).toBe('error');
    expect(without.of('JetStream')).toEqual([expect.stringMatching(/^error: this NATS has none/)]);
    expect(without.remedies.join()).toContain('jetstream {');
    const { nats, look } = await lookOver({});
    expect((await look()).of('JetStream')).toEqual([
      expect.stringMatching(/^warning: the names of peers will be on one server of NATS, of 1 that/),
    ]);
    const link = openNats({ servers: [nats.servers[0]!.url] }, SILENT_LOG);
    const bucket = new NamesBucket(link.connected, SILENT_LOG);
    await bucket.with((names) => names.put('some', 'name'));
    bucket.close();
    expect((await look()).of('JetStream')).toEqual([
      expect.stringMatching(/^warning: the names of peers are on one server of NATS/),
    ]);
    const { jetstreamManager } = await import('@nats-io/jetstream');
    const streams = await (await jetstreamManager(await link.connected)).streams.names().next();
    // What was tried is gone.
    expect(streams).toEqual([LONE_NAMES_STREAM]);
    await link.close();
  }, 60_000);

  it('is well with three servers, and says that a majority is down', async () => {
    const { nats, look } = await lookOver({ servers: 3 });
    const says = async (): Promise<string> => (await look()).of('JetStream').join();
    await expect.poll(says, { timeout: 60_000, interval: 500 }).toMatch(/^ok: it will have .* on 3 servers/);
    await Promise.all(nats.servers.slice(1).map((server) => server.kill()));
    await expect.poll(says, { timeout: 60_000, interval: 500 }).toMatch(/^error: it does not do what/);
  }, 120_000);
});

describeIf(missingPrograms('turnserver'))('coturn', () => {
  const SECRET = 'a secret of this test alone';
  let coturn: RunningServer;
  let port: number;
  beforeAll(async () => {
    [port] = await findFreePorts('127.0.0.1');
    const listen = ['--listening-ip=127.0.0.1', `--listening-port=${port}`, '--relay-ip=127.0.0.1'];
    const own = [
      `--pidfile=${join(folder, 'pid')}`,
      `--userdb=${join(folder, 'users')}`,
      '--log-file=stdout',
    ];
    const auth = ['--use-auth-secret', `--static-auth-secret=${SECRET}`, '--realm=lab'];
    const quiet = ['-n', '--no-cli', '--no-tls', '--no-dtls'];
    const child = spawn(programPath('turnserver')!, [...quiet, ...listen, ...own, ...auth]);
    coturn = await serverOf(child, 'turnserver', (log) => log.includes('admin thread'));
  }, 60_000);
  afterAll(() => coturn.stop());

  it('takes the credentials of the right secret, over UDP and TCP', async () => {
    const relay = [`turn:127.0.0.1:${port}`, `turn:127.0.0.1:${port}?transport=tcp`];
    const relaySecretFile = fileWith('relay', `${SECRET}\n`);
    const right = await look({ ...(await freeFlags()), relay, relaySecretFile });
    expect(right.of('relay')).toEqual(
      relay.map((uri) => `ok: ${uri} takes natprobed's credentials, and relays from 127.0.0.1`),
    );
    const other = fileWith('relay', 'another secret\n');
    const mistaken = await look({ ...(await freeFlags()), relay: [relay[0]!], relaySecretFile: other });
    expect(mistaken.of('relay')).toEqual([`error: ${relay[0]} does not take natprobed's credentials`]);
    const without = await look({ ...(await freeFlags()), relay: [relay[0]!] });
    expect(without.of('relay')[0]).toMatch(/^warning: .* answers, and asks for credentials/);
  });
});
