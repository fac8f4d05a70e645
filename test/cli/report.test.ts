/** natprobe --report as people and scripts meet it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../probe/cli/commands/watch.ts';
import { isSent, type Report } from '../../shared/report/report.ts';
import { createCertificate, createCertificateDirectory } from '../support/certificates.ts';
import { startReportService } from '../support/report-service.ts';
import { describeIf } from '../support/requirements.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { findFreePorts, findPortPair } from '../unit/server/loopback.ts';
import { ALTERNATE, type LocalServer, natprobe, PRIMARY, startNatprobed } from './programs.ts';

let api: string;
let server: LocalServer;
let withoutApi: LocalServer;
beforeAll(async () => {
  const [port] = await findFreePorts(PRIMARY);
  api = `http://${PRIMARY}:${port}`;
  [server, withoutApi] = await Promise.all([
    startNatprobed([PRIMARY, ALTERNATE], ['--http', `${PRIMARY}:${port}`]),
    startNatprobed(),
  ]);
});
afterAll(async () => {
  await Promise.all([server.stop(), withoutApi.stop()]);
});

/** How many reports the server has kept. */
async function countReports(): Promise<number> {
  const stats = (await (await fetch(`${api}/stats`)).json()) as { reports: number };
  return stats.reports;
}

describe('natprobe --report', () => {
  it('prints the report’s address as a row, at which it is', async () => {
    const { stdout, stderr, code } = await natprobe(['-s', server.name, '--report']);
    const row = /^Report {6}(http:\/\/\S+)$/m.exec(stdout);
    expect(row?.[1]).toContain(`${api}/classify/`);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const read = await fetch(row![1]!, { headers: { accept: 'application/json' } });
    expect(await read.json()).toMatchObject({ verdict: { type: 'open' }, endpointsWitnessed: true });
  });

  it('says with --json where it is and what the server says of it, and nothing of witnesses', async () => {
    const { stdout, code } = await natprobe(['-s', server.name, '--report', '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report.report).toEqual({
      url: expect.stringContaining(`${api}/classify/`) as string,
      id: expect.any(String) as string,
      endpointsWitnessed: true,
      claimsFollow: true,
    });
    expect(stdout).not.toMatch(/"(witnesses|nonce|mac|keyId)"/);
    expect(code).toBe(0);
  });

  it('prints the verdict and then what is to be changed, where the server names no API', async () => {
    const { stdout, stderr, code } = await natprobe(['-s', withoutApi.name, '--report']);
    expect(stdout).toMatch(/^NAT type: open /);
    expect(stdout).not.toMatch(/^Report /m);
    expect(stderr).toBe(
      `natprobe: error: the report was not sent: ${PRIMARY}: the server names no HTTP API that is reached at ` +
        'its address; start natprobed with --http on an address of its --ip, or with --public-url; ' +
        'or say where the API is (--api URL)\n',
    );
    expect(code).toBe(3);
  });

  it('prints one document with --json where the API cannot be reached, and ends in 3', async () => {
    const [closed] = await findFreePorts(PRIMARY);
    const dead = `http://${PRIMARY}:${closed}`;
    const { stdout, stderr, code } = await natprobe(['-s', server.name, '--report', '--api', dead, '--json']);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({
      verdict: { type: 'open' },
      report: { failed: { code: 'ERR_API_UNREACHABLE' } },
    });
    expect(stderr).toContain(`the report was not sent: ${dead}/classify: the HTTP API cannot be reached`);
    expect(code).toBe(3);
  });

  it('ends in 1 where the server takes no report', async () => {
    const full = await startReportService({
      checkWitnesses: () => {
        throw new Error('the disk is full');
      },
    });
    const { stdout, stderr, code } = await natprobe(['-s', server.name, '--report', '--api', full.url]);
    await full.stop();
    expect(stdout).toMatch(/^NAT type: open /);
    expect(stderr).toMatch(/^natprobe: error: the report was not sent: .*the server failed/);
    expect(code).toBe(1);
  });

  it('names the flag where --api is no URL, or goes with nothing', async () => {
    const wrong = await natprobe(['-s', server.name, '--report', '--api', 'here']);
    expect(wrong.stderr).toMatch(/^natprobe: error: --api: not an http or https URL \(got "here"\)/);
    const alone = await natprobe(['-s', server.name, '--api', api]);
    expect(alone.stderr).toMatch(/^natprobe: error: --api: these options do not go together/);
    expect([wrong.code, alone.code]).toEqual([2, 2]);
  });
});

describe('natprobe watch --report', () => {
  it('hands over the first verdict, and no other while nothing changes', async () => {
    const before = await countReports();
    const args = ['watch', '-s', server.name, '--every', '0.1', '--count', '3', '--report'];
    const people = await natprobe(args);
    expect(people.stdout).toMatch(/^\d\d:\d\d:\d\d {2}NAT type: open .*\n {10}report: http:\S+\n$/);
    expect(await countReports()).toBe(before + 1);
    const { stdout } = await natprobe([...args, '--json']);
    const event = JSON.parse(stdout) as WatchEvent;
    if (event.event !== 'first' || event.report.report === undefined) throw new Error(stdout);
    expect(isSent(event.report.report)).toBe(true);
    expect(await countReports()).toBe(before + 2);
  });
});

describeIf(missingPrograms('openssl'))('natprobe --report to natprobed with a certificate', () => {
  it('goes by HTTPS, as the server says, if the certificate is trusted', async () => {
    const directory = createCertificateDirectory();
    const { certFile, keyFile } = createCertificate(directory.path, 'natprobed');
    const [port] = await findFreePorts(PRIMARY);
    const tlsPort = await findPortPair(PRIMARY, ALTERNATE);
    const secured = await startNatprobed(
      [PRIMARY, ALTERNATE],
      [
        ...['--http', `${PRIMARY}:${port}`, '--tls-port', `${tlsPort}`],
        ...['--tls-cert', certFile, '--tls-key', keyFile],
      ],
    );
    const args = ['-s', secured.name, '--report', '--json'];
    const trusted = await natprobe(args, { NODE_EXTRA_CA_CERTS: certFile });
    expect((JSON.parse(trusted.stdout) as Report).report).toMatchObject({
      url: expect.stringContaining(`https://${PRIMARY}:${port}/classify/`) as string,
      endpointsWitnessed: true,
    });
    expect(trusted.code).toBe(0);
    const doubtful = await natprobe(args);
    expect((JSON.parse(doubtful.stdout) as Report).report).toMatchObject({
      failed: { code: 'ERR_API_UNREACHABLE' },
    });
    expect(doubtful.stderr).toMatch(/self[- ]signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT/);
    expect(doubtful.code).toBe(3);
    await secured.stop();
    directory.remove();
  });
});
