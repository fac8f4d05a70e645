/** The program itself, as a process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { VERSION } from '../../../shared/version.ts';
import { createCertificate, createCertificateDirectory } from '../../support/certificates.ts';
import { askHttps } from '../../support/https.ts';
import { itIf } from '../../support/requirements.ts';
import { missingPrograms } from '../../support/system-programs.ts';
import { request } from '../answer/exchange.ts';
import { UdpClient, findFreePorts, findPortPair } from './loopback.ts';

const MAIN = fileURLToPath(new URL('../../../server/main.ts', import.meta.url));

interface Running {
  readonly child: ChildProcess;
  stdout: string;
  stderr: string;
  readonly exit: Promise<number | null>;
}

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function run(...args: string[]): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const running: Running = { child, stdout: '', stderr: '', exit };
  child.stdout.on('data', (chunk: Buffer) => (running.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (running.stderr += chunk.toString()));
  return running;
}

async function startReady(...args: string[]): Promise<Running> {
  const running = run(...args);
  const gone = running.exit.then(() => Promise.reject(new Error(`it ended: ${running.stderr}`)));
  gone.catch(() => undefined);
  while (!running.stdout.includes('\n')) await Promise.race([once(running.child.stdout!, 'data'), gone]);
  return running;
}

describe('natprobed', () => {
  it('serves two addresses, says where, answers, and stops on SIGTERM with 0 within a second', async () => {
    const [port, alternatePort] = await findFreePorts('127.0.0.1', '127.0.0.2');
    const flags = [
      '--ip',
      '127.0.0.1',
      '--alt-ip',
      '127.0.0.2',
      '--port',
      `${port}`,
      '--alt-port',
      `${alternatePort}`,
    ];
    const running = await startReady(...flags, '--no-http');
    const four = ['127.0.0.1', '127.0.0.2'].flatMap((a) => [`${a}:${port}`, `${a}:${alternatePort}`]);
    expect(running.stdout).toBe(`natprobed ready ${four.join(' ')}\n`);
    expect(running.stderr.split('\n')).toEqual([
      `natprobed: IPv4, two-address mode: UDP and TCP on ${four.join(', ')}`,
      expect.stringMatching(/^natprobed: UDP is answered by (\d+ batched lanes?$|node:dgram, not )/),
      '',
    ]);
    const client = await UdpClient.open();
    client.send(request(), { address: '127.0.0.2', port });
    const [answer] = await client.hear(1);
    expect(readAttribute(answer!.message, XOR_MAPPED_ADDRESS)).toEqual(client.endpoint);
    client.close();
    const signalledAt = performance.now();
    running.child.kill('SIGTERM');
    expect(await running.exit).toBe(0);
    expect(performance.now() - signalledAt).toBeLessThan(1000);
  });

  it('says what one address costs and how to get two; SIGINT stops it too', async () => {
    const [port, alternatePort] = await findFreePorts('::1');
    const running = await startReady(
      '--ip',
      '::1',
      '--port',
      `${port}`,
      '--alt-port',
      `${alternatePort}`,
      '--no-http',
    );
    expect(running.stdout).toBe(`natprobed ready [::1]:${port} [::1]:${alternatePort}\n`);
    expect(running.stderr).toContain('IPv6, one-address mode');
    expect(running.stderr).toContain('start with --ip ::1 --alt-ip ADDRESS');
    running.child.kill('SIGINT');
    expect(await running.exit).toBe(0);
  });

  it('serves /healthz, and logs NDJSON if asked', async () => {
    const [port, alternatePort] = await findFreePorts('127.0.0.1');
    const [httpPort] = await findFreePorts('127.0.0.1');
    const ports = ['--port', `${port}`, '--alt-port', `${alternatePort}`, '--http', `127.0.0.1:${httpPort}`];
    const running = await startReady('--ip', '127.0.0.1', ...ports, '--json');
    expect(JSON.parse(running.stdout)).toEqual({
      event: 'ready',
      endpoints: [`127.0.0.1:${port}`, `127.0.0.1:${alternatePort}`],
    });
    const logged = running.stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string });
    expect(logged.map(({ level }) => level)).toEqual(['info', 'warning', 'info', 'info']);
    const response = await fetch(`http://127.0.0.1:${httpPort}/healthz`);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: 'ok',
      families: [{ family: 'ipv4', mode: 'one-address' }],
      udp: { restarts: 0 },
    });
    running.child.kill('SIGTERM');
    expect(await running.exit).toBe(0);
  });

  it('takes a report, keeps it, and says that it is ready and what it has done', async () => {
    const [port, alternatePort] = await findFreePorts('127.0.0.1');
    const [httpPort] = await findFreePorts('127.0.0.1');
    const api = `http://127.0.0.1:${httpPort}`;
    const ports = ['--port', `${port}`, '--alt-port', `${alternatePort}`, '--http', `127.0.0.1:${httpPort}`];
    await startReady('--ip', '127.0.0.1', ...ports);
    expect((await fetch(`${api}/readyz`)).status).toBe(200);
    const body = readFileSync(new URL('../../vectors/reports/symmetric.json', import.meta.url), 'utf8');
    const headers = { 'content-type': 'application/json' };
    const posted = await fetch(`${api}/classify`, { method: 'POST', headers, body });
    expect(posted.status).toBe(201);
    const { url, verdict } = (await posted.json()) as { url: string; verdict: { type: string } };
    expect(verdict.type).toBe('symmetric');
    const { report } = (await (await fetch(url)).json()) as { report: { endpoints: { mapped: string } } };
    // As the sample has it but for the host part, which is hidden by default.
    expect(report.endpoints.mapped).toMatch(/^198\.51\.100\./);
    expect(report.endpoints.mapped).not.toContain('198.51.100.10:');
    const metrics = await (await fetch(`${api}/metrics`)).text();
    expect(metrics).toMatch(
      /natprobed_answers_total\{family="ipv4",transport="udp",kind="binding",role="PP"\} [1-9]/,
    );
    expect(metrics).toContain('natprobed_reports_total{source="probe",verdict="symmetric"} 1');
  });

  it('ends in 2 for a wrong option, and names it in one line', async () => {
    const wrong: [string[], RegExp][] = [
      [['--ip', '203.0.113.77'], /^natprobed: error: --ip: this machine does not have that address .*\n$/],
      [['--port', 'x'], /^natprobed: error: --port: not a port .*\n$/],
      [['--tls-key', 'x'], /^natprobed: error: --tls-key: these options do not go together .*\n$/],
      [['--log-level', 'loud'], /^natprobed: error: --log-level: not understood .*\n$/],
      [
        ['--frobnicate'],
        /^natprobed: error: command line: not understood \(unknown option '--frobnicate'\); see --help\n$/,
      ],
      [['serve'], /^natprobed: error: command line: not understood \(there is no command "serve".*\n$/],
    ];
    for (const [args, message] of wrong) {
      const running = run(...args);
      expect(await running.exit).toBe(2);
      expect(running.stderr).toMatch(message);
      expect(running.stdout).toBe('');
    }
  });

  itIf(missingPrograms('openssl'))('takes a renewed certificate on SIGHUP, and goes on', async () => {
    const directory = createCertificateDirectory();
    const first = createCertificate(directory.path, 'first');
    const second = createCertificate(directory.path, 'second');
    const [port, alternatePort] = await findFreePorts('127.0.0.1');
    const [httpPort] = await findFreePorts('127.0.0.1');
    const tlsPort = await findPortPair('127.0.0.1');
    const running = await startReady(
      ...['--ip', '127.0.0.1', '--port', `${port}`, '--alt-port', `${alternatePort}`],
      ...['--http', `127.0.0.1:${httpPort}`, '--tls-port', `${tlsPort}`],
      ...['--tls-cert', first.certFile, '--tls-key', first.keyFile],
    );
    expect(running.stderr).toContain(`STUN over TLS on 127.0.0.1:${tlsPort}, 127.0.0.1:${tlsPort + 1}\n`);
    expect(running.stderr).toContain(`HTTP on https://127.0.0.1:${httpPort}\n`);
    const api = { address: '127.0.0.1', port: httpPort };
    expect((await askHttps(api, first.cert, '/readyz')).subject).toBe('first');
    renameSync(second.certFile, first.certFile);
    renameSync(second.keyFile, first.keyFile);
    running.child.kill('SIGHUP');
    while (!running.stderr.includes('the certificate has changed')) await once(running.child.stderr!, 'data');
    expect((await askHttps(api, second.cert, '/readyz')).subject).toBe('second');
    running.child.kill('SIGTERM');
    expect(await running.exit).toBe(0);
    directory.remove();
  });

  it('goes on after a SIGHUP without TLS, as after `systemctl reload`', async () => {
    const [port, alternatePort] = await findFreePorts('127.0.0.1');
    const running = await startReady(
      ...['--ip', '127.0.0.1', '--port', `${port}`, '--alt-port', `${alternatePort}`, '--no-http'],
    );
    running.child.kill('SIGHUP');
    while (!running.stderr.includes('SIGHUP: there is no certificate'))
      await once(running.child.stderr!, 'data');
    running.child.kill('SIGTERM');
    expect(await running.exit).toBe(0);
    expect(running.stderr).toContain('SIGTERM: stopping');
  });

  it('tells its version, and its options with examples', async () => {
    for (const flag of ['-v', '--version']) {
      const version = run(flag);
      expect(await version.exit).toBe(0);
      expect(version.stdout).toBe(`${VERSION}\n`);
    }
    const help = run('--help');
    expect(await help.exit).toBe(0);
    for (const option of [
      '--ip',
      '--alt-ip',
      '--port',
      '--alt-port',
      '--advertise',
      '--http',
      '--public-url',
    ]) {
      expect(help.stdout).toContain(`  ${option} `);
    }
    expect(help.stdout).toContain('Examples:\n  natprobed --ip');
    expect(help.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
  });
});
