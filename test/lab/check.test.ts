/** `natprobed check` on a host whose firewall drops what comes to one of the ports. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CheckDocument } from '../../server/check/check.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';

const SERVER = fileURLToPath(new URL('../../server/main.ts', import.meta.url));
const FLAGS = ['--ip', '192.0.2.1', '--alt-ip', '192.0.2.2', '--no-http', '--json'];

describeIf(labMissing())('natprobed check behind a firewall', () => {
  let host: Namespace;
  beforeAll(async () => {
    host = await namespaceMaker().open('host');
    await host.script(
      `ip link set lo up\nip link add out type veth peer name far\nip link set far up\nip link set out up\n` +
        `ip address add 192.0.2.1/24 dev out\nip address add 192.0.2.2/24 dev out\n`,
    );
  });
  afterAll(() => host.close());

  it('names the port that is shut, and is content once it is open', async () => {
    await host.script(
      `nft add table inet shut\nnft 'add chain inet shut input { type filter hook input priority 0; }'\n` +
        `nft add rule inet shut input ip daddr 192.0.2.2 udp dport 3479 drop\n`,
    );
    const shut = await look();
    expect(shut.code).toBe(1);
    expect(shut.selfTest).toMatchObject({ state: 'error', seen: 'UDP 192.0.2.2:3479: no answer' });
    await host.script('nft delete table inet shut\n');
    const open = await look();
    expect(open.code).toBe(0);
    expect(open.selfTest).toMatchObject({ state: 'ok' });
  });

  async function look() {
    const { stdout, stderr, code } = await host.run(process.execPath, [SERVER, 'check', ...FLAGS]);
    if (stdout === '') throw new Error(stderr);
    const { findings } = JSON.parse(stdout) as CheckDocument;
    return { code, selfTest: findings.find(({ check }) => check === 'self-test') };
  }
});
