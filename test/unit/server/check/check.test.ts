/** `natprobed check` on deployments that are right, and on such as are wrong on purpose. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAddresses } from '../../../../server/check/addresses.ts';
import { checkHttp } from '../../../../server/check/http.ts';
import { type FamilyConfig, roleEndpoints, type ServerConfig } from '../../../../server/config.ts';
import { familyOf } from '../../../../shared/endpoint.ts';
import type { LocalAddress } from '../../../../server/local-addresses.ts';
import { openSqlite } from '../../../../server/reports/sqlite.ts';
import { documentOf, doubtful, fine, renderFindings, wrong } from '../../../../shared/findings.ts';
import { PLAIN } from '../../../../shared/style.ts';
import { finish, NATPROBED, startProgram } from '../../../cli/programs.ts';
import { serverOf } from '../../../lab/natprobe.ts';
import { createCertificate } from '../../../support/certificates.ts';
import { itIf } from '../../../support/requirements.ts';
import { missingPrograms } from '../../../support/system-programs.ts';
import { findFreePorts, findPortPair } from '../loopback.ts';
import { freeFlags, look } from './deployments.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'natprobe-check-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(name: string, text: string, mode = 0o600): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

describe('natprobed check', () => {
  it('finds nothing wrong where nothing is, and has tried the ports', async () => {
    const looked = await look(await freeFlags());
    expect(looked.findings.filter(({ state }) => state !== 'ok')).toEqual([]);
    expect(looked.state).toBe('ok');
    expect(looked.of('ports')).toEqual(['ok: all 8 of STUN are free']);
    expect(looked.of('self-test')).toEqual([
      'ok: a server that was tried there for a moment answered itself at all of them',
    ]);
  });

  it('knows a natprobed that runs there, and one that is on other ports', async () => {
    const { ip, altIp, port, altPort, http } = await freeFlags();
    const where = ['--ip', ip![0]!, '--alt-ip', altIp![0]!, '--port', port, '--http', String(http)];
    const child = startProgram(NATPROBED, [...where, '--alt-port', altPort]);
    const server = await serverOf(child, 'natprobed', (log) => log.includes('natprobed ready'));
    try {
      const flags = { ip: ip!, altIp: altIp!, port, altPort, http: http! };
      const looked = await look(flags);
      expect(looked.findings.filter(({ state }) => state !== 'ok')).toEqual([]);
      expect(looked.of('ports')).toEqual(['ok: all 8 of STUN are held by a running natprobed']);
      expect(looked.of('self-test')).toEqual(['ok: natprobed answers at all of them, as it should']);
      expect(looked.of('ready')).toEqual(['ok: the natprobed that runs here can do its work']);
      const other = await look({ ...flags, altPort: (await freeFlags()).port });
      expect(other.state).toBe('error');
      expect(other.of('ports')[0]).toMatch(/^error: a natprobed runs here, and is not on UDP 127\.0\.0\.1:/);
    } finally {
      await server.stop();
    }
  });

  it('names what another program holds', async () => {
    const flags = await freeFlags();
    const udp = createSocket('udp4').bind(Number(flags.port), '127.0.0.2');
    const httpPort = Number(String(flags.http).split(':')[1]);
    const web = createServer((_request, response) => response.end('hello')).listen(httpPort, '127.0.0.1');
    await Promise.all([once(udp, 'listening'), once(web, 'listening')]);
    const looked = await look(flags);
    udp.close();
    web.close();
    expect(looked.state).toBe('error');
    expect(looked.of('ports')).toEqual([
      `error: UDP 127.0.0.2:${flags.port} is held by a program that does not answer as natprobed does`,
    ]);
    expect(looked.of('HTTP')).toEqual([
      `error: 127.0.0.1:${httpPort} is held by a program that does not answer as natprobed does (something else answers)`,
    ]);
  });

  it('names an address that the machine does not have, and looks at the rest', async () => {
    const flags = { ...(await freeFlags()), altIp: ['203.0.113.77'] };
    const looked = await look(flags);
    expect(looked.state).toBe('error');
    expect(looked.of('address')).toContainEqual(
      expect.stringMatching(/^error: this machine does not have 203\.0\.113\.77; it has /),
    );
    expect(looked.of('HTTP')).toHaveLength(1);
  });

  it('says what the machine is short of', async () => {
    const looked = await look(await freeFlags(), {
      measureBuffers: () => Promise.resolve({ receiveBytes: 212_992, sendBytes: 4 << 20 }),
      readDescriptorLimit: () => 1024,
      findLaneObstacle: () => Promise.resolve('koffi does not load'),
    });
    expect(looked.state).toBe('warning');
    expect(looked.of('buffers')).toEqual([
      'warning: a UDP socket gets 208 KiB for what waits to be answered, not 4096: bursts may be lost',
    ]);
    expect(looked.remedies).toContain('sysctl -w net.core.rmem_max=4194304, and the same in /etc/sysctl.d');
    expect(looked.of('descriptors')[0]).toMatch(/^warning: 1024 files and connections a process, of which/);
    expect(looked.of('lanes')).toEqual([
      "warning: UDP is answered on one core by Node's own sockets: koffi does not load",
    ]);
  });

  it('reads the files that it is given, and tells who else may', async () => {
    const looked = await look({
      ...(await freeFlags()),
      witnessKeyFile: fileWith('keys', `${'0a'.repeat(32)}\nnot a key\n`),
      tokenFile: fileWith('tokens', 'a-token-that-is-long-enough\n', 0o644),
      relay: ['turn:127.0.0.1:9'],
      relaySecretFile: join(folder, 'nothing'),
    });
    expect(looked.of('witness keys')).toEqual([
      'error: --witness-key-file: the file of witness keys cannot be used (line 2 is no key)',
    ]);
    expect(looked.of('tokens')).toEqual([
      'ok: 1 can be used',
      `warning: everybody on this machine may read ${join(folder, 'tokens')}, which is a secret`,
    ]);
    expect(looked.of('peers')).toEqual([
      'error: --relay-secret-file: the file of a key or a secret cannot be used (ENOENT)',
    ]);
    expect(looked.of('relay')).toEqual(['error: turn:127.0.0.1:9 does not answer']);
  });

  itIf(missingPrograms('openssl'))('reads the certificate, and until when it is good', async () => {
    const { certFile, keyFile } = createCertificate(folder, 'nat');
    const tlsPort = await findPortPair('127.0.0.1', '127.0.0.2');
    const flags = { ...(await freeFlags()), tlsCert: certFile, tlsKey: keyFile, tlsPort: `${tlsPort}` };
    const today = await look(flags);
    expect(today.state).toBe('warning');
    expect(today.of('ports')).toEqual(['ok: all 12 of STUN are free']);
    expect(today.of('TLS')).toEqual([
      expect.stringMatching(/^warning: the certificate is good until \d{4}-\d\d-\d\d only: 0 days more$/),
      'warning: the certificate is signed by itself, and clients do not accept it',
    ]);
    const later = await look(flags, { now: () => Date.now() + 3 * 86_400_000 });
    expect(later.of('TLS')[0]).toMatch(/^error: the certificate has expired on /);
    const { keyFile: otherKey } = createCertificate(folder, 'other');
    const mismatched = await look({ ...flags, tlsKey: otherKey });
    expect(mismatched.of('TLS')[0]).toMatch(/^error: --tls-cert, --tls-key: /);
  });

  it('looks at the directory of reports', async () => {
    const flags = await freeFlags();
    const data = join(folder, 'data');
    expect((await look({ ...flags, data })).of('reports')).toEqual([`ok: ${data} will be made at the start`]);
    await (await openSqlite(data)).destroy();
    const looked = await look({ ...flags, data });
    expect(looked.of('reports')).toEqual([`ok: ${data} has reports, in the tables of this natprobed`]);
    expect(looked.of('disk')).toHaveLength(1);
    const file = fileWith('file', '');
    expect((await look({ ...flags, data: file })).of('reports')).toEqual([`error: ${file} is no directory`]);
    writeFileSync(join(data, 'reports.sqlite'), 'no database at all, and long enough to be looked at');
    expect((await look({ ...flags, data })).of('reports')[0]).toMatch(/^error: --data: /);
  });

  it('ends in 0, 1 or 2, with a document where that is asked for', async () => {
    const { port, altPort } = await freeFlags();
    const args = ['check', '--ip', '127.0.0.1', '--port', port, '--alt-port', altPort, '--no-http', '--json'];
    const good = await finish(startProgram(NATPROBED, args));
    expect(good).toMatchObject({ code: 0, stderr: '' });
    // One address, and whatever this machine is short of.
    expect(JSON.parse(good.stdout)).toMatchObject({ schema: 'natprobe/check@1', counts: { error: 0 } });
    const bad = await finish(startProgram(NATPROBED, ['check', '--ip', '203.0.113.77', '--no-http']));
    expect(bad).toMatchObject({ code: 1, stderr: '' });
    expect(bad.stdout).toMatch(/^error +address +this machine does not have 203\.0\.113\.77; /m);
    expect(bad.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    const usage = await finish(startProgram(NATPROBED, ['--port', '4000', 'check']));
    expect(usage).toMatchObject({ code: 2, stdout: '' });
    expect(usage.stderr).toBe(
      'natprobed: error: --port: not understood (it goes behind `check`); see --help\n',
    );
  });
});

describe('HTTP', () => {
  it('is said where clients are led to it, and where not', async () => {
    const families: readonly FamilyConfig[] = (['8.8.4.4', '2001:4860::1'] as const).map((address) => {
      const bound = roleEndpoints(address, undefined, 3478, 3479);
      return { family: familyOf(address), bound, advertised: bound };
    });
    const [port] = await findFreePorts('127.0.0.1');
    const at = async (host: string, more: Partial<ServerConfig> = {}) => {
      const config = { families, http: { host, port, required: true }, selfTest: true, ...more };
      const found = await checkHttp(config, false);
      return found.flatMap(({ state, seen }) => (state === 'ok' ? [] : [seen]));
    };
    const service = { scheme: 'http', port: 80 } as const;
    expect(await at('127.0.0.1')).toEqual([
      'it is on 127.0.0.1 alone, so clients are not told of it: no reports, no punches',
    ]);
    expect(await at('0.0.0.0', { service })).toEqual([
      'it is open to the network without TLS',
      'it is at 0.0.0.0, so clients that ask over IPv6 are not told of it',
    ]);
    expect(await at('2001:4860::1', { service })).toContain(
      'it is at 2001:4860::1, so clients that ask over IPv4 are not told of it',
    );
    expect(await at('::', { service })).toEqual(['it is open to the network without TLS']);
    const publicUrl = 'http://127.0.0.1:9/';
    expect(await at('127.0.0.1', { service, publicUrl })).toEqual([
      `it is at ${publicUrl}, so clients that ask over IPv6 are not told of it`,
      'a proxy on this machine is not believed who its clients are, and its limits count as one client’s',
      `${publicUrl} does not lead to natprobed from here: ECONNREFUSED`,
    ]);
  });
});

describe('addresses', () => {
  const local: readonly LocalAddress[] = [
    { interface: 'eth0', family: 'ipv4', address: '10.0.0.4', prefixLength: 24, loopback: false },
    { interface: 'eth0', family: 'ipv4', address: '10.0.0.5', prefixLength: 24, loopback: false },
    { interface: 'eth1', family: 'ipv4', address: '8.8.4.4', prefixLength: 24, loopback: false },
  ];
  const find = (primary: string, alternate: string | undefined, advertised: [string, string?]) =>
    checkAddresses({
      families: [
        {
          family: 'ipv4',
          bound: roleEndpoints(primary, alternate, 3478, 3479),
          advertised: roleEndpoints(advertised[0], advertised[1], 3478, 3479),
        },
      ],
      local,
      isPaired: false,
    }).map(({ check, state }) => `${check}: ${state}`);
  const THERE = 'address: ok';

  it.each([
    ['a 1:1 NAT', '10.0.0.5', ['8.8.8.8', '8.8.8.9'], [THERE, '1:1 NAT: ok', THERE, '1:1 NAT: ok']],
    [
      'private ones that are told',
      '10.0.0.5',
      ['10.0.0.4', '10.0.0.5'],
      [THERE, 'address: warning', THERE, 'address: warning'],
    ],
    [
      'another private one',
      '10.0.0.5',
      ['10.9.9.9', '8.8.8.9'],
      [THERE, '1:1 NAT: warning', THERE, '1:1 NAT: ok'],
    ],
    [
      'one that is of no use',
      '10.0.0.5',
      ['224.0.0.1', '8.8.8.9'],
      [THERE, '1:1 NAT: error', THERE, '1:1 NAT: ok'],
    ],
    [
      'one that the machine has',
      '10.0.0.5',
      ['8.8.4.4', '8.8.8.9'],
      [THERE, '1:1 NAT: error', THERE, '1:1 NAT: ok'],
    ],
    [
      'a public one for a public one',
      '8.8.4.4',
      ['8.8.8.8', '8.8.8.9'],
      [THERE, '1:1 NAT: ok', THERE, '1:1 NAT: warning', 'routing: warning'],
    ],
    ['one address', undefined, ['8.8.8.8'], [THERE, '1:1 NAT: ok', 'address: warning']],
  ] as const)('%s', (_, alternate, advertised, found) => {
    expect(find('10.0.0.4', alternate, [...advertised] as [string, string?])).toEqual(found);
  });
});

describe('findings', () => {
  it('are laid out in 80 columns, with what to change below', () => {
    const findings = [
      fine('ports', 'all are free'),
      doubtful('1:1 NAT', 'a word and '.repeat(12).trim(), 'do this and '.repeat(8).trim()),
      wrong('clock', 'it is wrong', 'set it'),
    ];
    const document = documentOf('natprobe/check@1', findings);
    expect(document).toMatchObject({ state: 'error', counts: { ok: 1, warning: 1, error: 1 } });
    expect(renderFindings(document, PLAIN)).toEqual([
      'ok       ports    all are free',
      'warning  1:1 NAT  a word and a word and a word and a word and a word and a word',
      '                  and a word and a word and a word and a word and a word and a',
      '                  word and',
      '                  -> do this and do this and do this and do this and do this and',
      '                     do this and do this and do this and',
      'error    clock    it is wrong',
      '                  -> set it',
      '',
      '1 error, 1 warning, 1 fine.',
    ]);
  });
});
