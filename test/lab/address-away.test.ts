/** An address of natprobed's that vanishes while it runs, and comes back. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';
import { startNatprobedOn } from './natprobe.ts';
import type { ServerState } from './server-state-agent.ts';

const AGENT = fileURLToPath(new URL('server-state-agent.ts', import.meta.url));
const PRIMARY = '192.0.2.1';
const ALTERNATE = '192.0.2.2';
const HTTP_PORT = '8478';
const PATIENCE = { timeout: 40_000, interval: 500 };

describeIf(labMissing())('natprobed whose second address goes away', () => {
  let host: Namespace;
  beforeAll(async () => {
    host = await namespaceMaker().open('host');
    await host.script(
      `ip link set lo up\nip link add out type veth peer name far\nip link set far up\nip link set out up\n` +
        `ip address add ${PRIMARY}/24 dev out\nip address add ${ALTERNATE}/24 dev out\n`,
    );
  });
  afterAll(() => host.close());

  it.each([['1'], ['0']])('with --lanes %s: says so, and answers there once it is back', async (lanes) => {
    const flags = ['--ip', PRIMARY, '--alt-ip', ALTERNATE, '--lanes', lanes];
    const server = await startNatprobedOn(host, flags, ['--http', `127.0.0.1:${HTTP_PORT}`]);
    expect(await stateAt(ALTERNATE)).toEqual({ udp: true, tcp: true, ready: 200 });
    await host.script(`ip address del ${ALTERNATE}/24 dev out\n`);
    await vi.waitFor(() => {
      expect(server.log()).toContain(`${ALTERNATE} is not this machine's address any more`);
    }, PATIENCE);
    expect(await stateAt(ALTERNATE)).toEqual({ udp: false, tcp: false, ready: 503 });
    expect(await stateAt(PRIMARY)).toEqual({ udp: true, tcp: true, ready: 503 });
    await host.script(`ip address add ${ALTERNATE}/24 dev out\n`);
    await vi.waitFor(async () => {
      expect(await stateAt(ALTERNATE)).toEqual({ udp: true, tcp: true, ready: 200 });
    }, PATIENCE);
    expect(server.log()).toContain(`${ALTERNATE} is this machine's address again`);
    await server.stop();
  });

  async function stateAt(address: string): Promise<ServerState> {
    const { stdout, stderr, code } = await host.run(process.execPath, [AGENT, address, '3479', HTTP_PORT]);
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as ServerState;
  }
});
