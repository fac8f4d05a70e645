/** That exactly the datagrams meant have a low TTL, as the kernel counts them on their way out. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Family } from '../../shared/endpoint.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing, type Namespace, namespaceMaker } from './namespaces.ts';

const AGENT = fileURLToPath(new URL('ttl-agent.ts', import.meta.url));
const PORT = 9999;
const LOW = 3;
const COUNT = 300;
const LOOPBACK: Readonly<Record<Family, string>> = { ipv4: '127.0.0.1', ipv6: '::1' };

/** Counters by what is in the payload, `high` or `low`, and by the TTL. */
const COUNTERS = `
ip link set lo up
nft -f - <<END
table inet ttl {
  counter high_kept {}
  counter high_low {}
  counter low_kept {}
  counter low_low {}
  chain output {
    type filter hook output priority filter;
    udp dport != ${PORT} accept
    ip ttl ${LOW} @th,64,8 ${'h'.charCodeAt(0)} counter name high_low
    ip6 hoplimit ${LOW} @th,64,8 ${'h'.charCodeAt(0)} counter name high_low
    ip ttl 64 @th,64,8 ${'h'.charCodeAt(0)} counter name high_kept
    ip6 hoplimit 64 @th,64,8 ${'h'.charCodeAt(0)} counter name high_kept
    ip ttl ${LOW} @th,64,8 ${'l'.charCodeAt(0)} counter name low_low
    ip6 hoplimit ${LOW} @th,64,8 ${'l'.charCodeAt(0)} counter name low_low
    ip ttl 64 @th,64,8 ${'l'.charCodeAt(0)} counter name low_kept
    ip6 hoplimit 64 @th,64,8 ${'l'.charCodeAt(0)} counter name low_kept
  }
}
END
`;

describeIf(labMissing())('a TTL for one datagram alone', () => {
  let namespace: Namespace;
  beforeAll(async () => {
    namespace = await namespaceMaker().open('ttl');
    await namespace.script(COUNTERS);
  });
  afterAll(() => namespace.close());

  it.each(['ipv4', 'ipv6'] as const)(
    'is that of each datagram meant, and of none else, over %s',
    async (family) => {
      await namespace.script('nft reset counters >/dev/null');
      const args = [AGENT, LOOPBACK[family], String(PORT), String(LOW), String(COUNT)];
      const { code, stderr } = await namespace.run(process.execPath, args);
      expect([code, stderr]).toEqual([0, '']);
      expect(await counted(namespace)).toEqual({
        high_kept: COUNT,
        high_low: 0,
        low_kept: 0,
        low_low: COUNT,
      });
    },
  );
});

async function counted(namespace: Namespace): Promise<Record<string, number>> {
  const { stdout } = await namespace.run('nft', ['list', 'counters']);
  const counters = stdout.matchAll(/counter (\w+) \{\s*packets (\d+)/g);
  return Object.fromEntries([...counters].map(([, name, packets]) => [name!, Number(packets)]));
}
