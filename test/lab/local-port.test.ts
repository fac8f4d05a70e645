/** A port that is asked for, where the system also gives it to sockets that ask for none. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';

const AGENT = fileURLToPath(new URL('local-port-agent.ts', import.meta.url));

describeIf(labMissing())('a local port that is asked for', () => {
  let namespace: Namespace;
  beforeAll(async () => {
    namespace = await namespaceMaker().open('host');
    await namespace.script('ip link set lo up\necho "40000 40001" >/proc/sys/net/ipv4/ip_local_port_range');
  });
  afterAll(() => namespace.close());

  it('is never taken by a socket of natprobe’s own', async () => {
    const { code, stderr } = await namespace.run(process.execPath, [AGENT, '40000', '50']);
    expect([code, stderr]).toEqual([0, '']);
  });
});
