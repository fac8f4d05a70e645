/** `natprobe doctor` on real servers: natprobed right and mis-set on purpose, coturn, vovida's. */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DoctorDocument } from '../../probe/cli/commands/doctor.ts';
import { type RunningServer, serverOf } from '../lab/natprobe.ts';
import { createCertificate, createCertificateDirectory } from '../support/certificates.ts';
import { describeIf, itIf } from '../support/requirements.ts';
import { missingPrograms, programPath } from '../support/system-programs.ts';
import { findFreePorts, findPortPair } from '../unit/server/loopback.ts';
import { ALTERNATE, type LocalServer, natprobe, PRIMARY, startNatprobed } from './programs.ts';

interface Looked {
  readonly code: number | undefined;
  readonly document: DoctorDocument;
  /** `state check: seen` of what is not fine. */
  readonly trouble: readonly string[];
}

async function look(server: string): Promise<Looked> {
  const { stdout, stderr, code } = await natprobe(['doctor', '--server', server, '--json']);
  expect(stderr).toBe('');
  const document = JSON.parse(stdout) as DoctorDocument;
  const bad = document.findings.filter(({ state }) => state !== 'ok');
  return { code, document, trouble: bad.map(({ state, check, seen }) => `${state} ${check}: ${seen}`) };
}

describe('natprobe doctor', () => {
  const servers: LocalServer[] = [];
  const start = async (...args: Parameters<typeof startNatprobed>): Promise<LocalServer> => {
    const server = await startNatprobed(...args);
    servers.push(server);
    return server;
  };
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  it('finds nothing wrong with a natprobed that is right, and prints that in 80 columns', async () => {
    const [http] = await findFreePorts(PRIMARY);
    const { name } = await start([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${http}`]);
    const { code, document, trouble } = await look(name);
    expect(trouble).toEqual([]);
    expect({ code, state: document.state, schema: document.schema, server: document.server }).toEqual({
      code: 0,
      state: 'ok',
      schema: 'natprobe/doctor@1',
      server: name,
    });
    const seen = document.findings.map(({ seen }) => seen);
    expect(seen).toContain('it answers at all four endpoints');
    expect(seen).toContain('answers come from the right one, for all 12 that there are');
    expect(seen).toContain('20 bytes draw 68, 3.40 times as many, to whoever was named as their source');
    expect(seen).toContain('a WebSocket to it opens');
    const { stdout } = await natprobe(['doctor', '--server', name, '-4']);
    expect(stdout).toMatch(/^ok +IPv4 CHANGE-REQUEST +answers come from the right one/m);
    expect(stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });

  it('tells a wrong --advertise', async () => {
    const { name, port, alternatePort } = await start(
      [PRIMARY, ALTERNATE],
      ['--advertise', `${ALTERNATE}=127.0.0.9`],
    );
    const { code, trouble } = await look(name);
    expect(code).toBe(1);
    expect(trouble[0]).toBe(
      `error IPv4 UDP: it names 127.0.0.9:${port} (AP) and 127.0.0.9:${alternatePort} (AA), where nothing answers`,
    );
    expect(trouble).toContainEqual(
      expect.stringMatching(/^error IPv4 CHANGE-REQUEST: answers come from elsewhere .*: 127\.0\.0\.2:\d+$/),
    );
  });

  itIf(missingPrograms('openssl'))('tells a certificate that clients do not accept', async () => {
    const directory = createCertificateDirectory();
    const { certFile, keyFile } = createCertificate(directory.path, 'own');
    const [http] = await findFreePorts(PRIMARY);
    const tlsPort = await findPortPair(PRIMARY, ALTERNATE);
    const tls = ['--tls-cert', certFile, '--tls-key', keyFile, '--tls-port', `${tlsPort}`];
    const { name } = await start([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${http}`, ...tls]);
    const { code, document, trouble } = await look(name);
    directory.remove();
    expect(code).toBe(1);
    expect(trouble).toEqual([
      `error HTTP API: https://${PRIMARY}:${http}/healthz: the HTTP API cannot be reached (DEPTH_ZERO_SELF_SIGNED_CERT)`,
    ]);
    expect(document.findings.at(-1)!.remedy).toMatch(/^give it a certificate for that name/);
  });

  it('tells what one address costs', async () => {
    const { name } = await start([PRIMARY]);
    const { code, document, trouble } = await look(name);
    expect(code).toBe(0);
    expect(trouble.map((line) => line.split(': ')[0])).toEqual([
      'warning IPv4 OTHER-ADDRESS',
      'warning HTTP API',
    ]);
    expect(document.findings.map(({ seen }) => seen)).toContain(
      'it is refused with 420, as with one address it has to be',
    );
  });

  it('ends in 1 where nothing runs, 3 where there is no such name, 2 for one server too few or too many', async () => {
    const [port] = await findFreePorts(PRIMARY);
    const { code, trouble } = await look(`${PRIMARY}:${port}`);
    // A reset shows that the host is there.
    expect({ code, trouble }).toEqual({
      code: 1,
      trouble: [`error IPv4: ${PRIMARY}:${port} refuses TCP, and is silent over UDP`].concat(
        'warning HTTP API: it names no HTTP API: no reports, no rooms, no page',
      ),
    });
    expect(await natprobe(['doctor', '-s', 'nothing.invalid'])).toMatchObject({ code: 3, stdout: '' });
    const none = await natprobe(['doctor']);
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toMatch(/^natprobe: error: natprobe doctor: no server to ask; give --server HOST/);
    expect(await natprobe(['doctor', '-s', 'a', '-s', 'b'])).toMatchObject({ code: 2, stdout: '' });
  });
});

describeIf(missingPrograms('turnserver', 'stund'))("natprobe doctor on others' servers", () => {
  const running: RunningServer[] = [];
  let ports: readonly [number, number];
  beforeAll(async () => {
    ports = await findFreePorts(PRIMARY, ALTERNATE);
  });
  afterAll(() => Promise.all(running.map((server) => server.stop())));

  async function start(program: string, args: readonly string[]): Promise<string> {
    const child = spawn(programPath(program)!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const name = `${PRIMARY}:${ports[0]}`;
    // Neither says when it is ready; the next look will.
    running.push(
      await serverOf(child, program, async () => {
        const { stdout } = await natprobe(['doctor', '-s', name, '-4', '--json']);
        return (JSON.parse(stdout) as DoctorDocument).findings.some(({ check }) => check === 'IPv4 length');
      }),
    );
    return name;
  }

  it('tells what coturn lacks', async () => {
    const name = await start('turnserver', [
      ...['-n', '--stun-only', '--no-cli', '--no-tls', '--no-dtls'],
      ...['--listening-ip', PRIMARY, '--listening-ip', ALTERNATE],
      ...['--listening-port', `${ports[0]}`, '--alt-listening-port', `${ports[1]}`],
      ...['--log-file', 'stdout', '--pidfile', '/dev/null', '--userdb', '/dev/null'],
    ]);
    const { code, document, trouble } = await look(name);
    expect(code).toBe(1);
    expect(document.findings[0]!.seen).toMatch(/ is Coturn-\d/);
    expect(trouble.map((line) => line.split(': ')[0])).toEqual([
      'error IPv4 OTHER-ADDRESS',
      'error IPv4 CHANGE-REQUEST',
      'warning IPv4 receipts',
      'warning HTTP API',
    ]);
    expect(trouble[0]).toContain(`at ${ALTERNATE}:${ports[0]} it names ${ALTERNATE}:${ports[1]}`);
    expect(trouble[1]).toContain('it is ignored (at AP for PP and at AA for PA)');
  });

  it("tells what vovida's lacks", async () => {
    ports = await findFreePorts(PRIMARY, ALTERNATE);
    const name = await start('stund', [
      ...['-h', PRIMARY, '-a', ALTERNATE, '-p', `${ports[0]}`, '-o', `${ports[1]}`],
    ]);
    const { code, document, trouble } = await look(name);
    expect(code).toBe(1);
    expect(document.findings[0]!.seen).toMatch(/ is Vovida\.org 0\.\d+, with/);
    expect(trouble.map((line) => line.split(': ')[0])).toEqual([
      'warning IPv4 TCP',
      'error IPv4 OTHER-ADDRESS',
      'error IPv4 RESPONSE-ORIGIN',
      'warning IPv4 receipts',
      'warning IPv4 420',
      'warning IPv4 fragments',
      'warning HTTP API',
    ]);
    expect(trouble[2]).toContain(`it says that it answers from ${PRIMARY}:${ports[0]}`);
  });
});
