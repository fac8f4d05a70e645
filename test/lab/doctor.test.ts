/** `natprobe doctor` on a natprobed whose second address a firewall shuts in part. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DoctorDocument } from '../../probe/cli/commands/doctor.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';
import { runNatprobe, type RunningServer, startNatprobedOn } from './natprobe.ts';

describeIf(labMissing())('natprobe doctor', () => {
  let host: Namespace;
  let server: RunningServer;
  beforeAll(async () => {
    host = await namespaceMaker().open('host');
    await host.script(
      `ip link set lo up\nip link add out type veth peer name far\nip link set far up\nip link set out up\n` +
        `ip address add 192.0.2.1/24 dev out\nip address add 192.0.2.2/24 dev out\n` +
        `ip address add 2001:db8::1/64 dev out nodad\nip address add 2001:db8::2/64 dev out nodad\n`,
    );
    const ipv6 = ['--ip', '2001:db8::1', '--alt-ip', '2001:db8::2'];
    server = await startNatprobedOn(host, ['--ip', '192.0.2.1', '--alt-ip', '192.0.2.2', ...ipv6]);
  });
  afterAll(async () => {
    await server.stop();
    await host.close();
  });

  it('names what is shut over UDP and over TCP, and is content once it is open', async () => {
    await host.script(
      `nft add table inet shut\nnft 'add chain inet shut input { type filter hook input priority 0; }'\n` +
        `nft add rule inet shut input ip daddr 192.0.2.2 udp dport 3479 drop\n` +
        `nft add rule inet shut input ip daddr 192.0.2.1 tcp dport 3479 drop\n`,
    );
    const shut = await look('192.0.2.1');
    expect(shut.code).toBe(1);
    expect(shut.trouble).toEqual([
      'error IPv4 UDP: it names 192.0.2.2:3479 (AA), where nothing answers',
      'error IPv4 TCP: it does not answer at 192.0.2.1:3479 (silent)',
      'warning HTTP API: it names no HTTP API: no reports, no rooms, no page',
    ]);
    await host.script('nft delete table inet shut\n');
    expect(await look('192.0.2.1')).toEqual({ code: 0, trouble: [shut.trouble[2]] });
    // The other family, which was open all the while.
    expect(await look('2001:db8::1')).toEqual({ code: 0, trouble: [shut.trouble[2]] });
  });

  async function look(at: string) {
    const { stdout, stderr, code } = await runNatprobe(host, ['doctor', '-s', at]);
    if (stdout === '') throw new Error(stderr);
    const { findings } = JSON.parse(stdout) as DoctorDocument;
    const bad = findings.filter(({ state }) => state !== 'ok');
    return { code, trouble: bad.map(({ state, check, seen }) => `${state} ${check}: ${seen}`) };
  }
});
