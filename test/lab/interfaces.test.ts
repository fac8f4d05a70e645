/** What a machine knows of its own network: interfaces and routes of a real kernel, in a namespace. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { InterfaceEvidence } from '../../shared/nat/evidence.ts';
import { describeIf } from '../support/requirements.ts';
import { labMissing, namespaceMaker, type Namespace } from './namespaces.ts';

const AGENT = fileURLToPath(new URL('interfaces-agent.ts', import.meta.url));
const LOCAL = '192.168.7.2';
const LOCAL_IPV6 = '2001:db8:7::2';

/** Both ends of each pair stay here: only what they are called and what they are counts. */
const SETUP = `
ip link set lo up
pair() {
  ip link add "$1" type veth peer name "$1-q"
  ip link set "$1" up
  ip link set "$1-q" up
}
for name in eth0 wg0 box; do pair $name; done
for bridge in docker0 lan; do
  pair $bridge-p
  ip link add $bridge type bridge
  ip link set $bridge-p master $bridge
  ip link set $bridge up
done
ip address add ${LOCAL}/24 dev eth0
ip address add ${LOCAL_IPV6}/64 dev eth0 nodad
ip address add 10.9.0.2/24 dev wg0
ip address add 10.11.0.2/24 dev box
ip address add 172.17.0.1/16 dev docker0
ip address add 172.18.0.1/16 dev lan
ip route add default via 192.168.7.1
ip route add 203.0.113.0/24 via 192.168.7.254
ip route add unreachable 198.51.100.0/25
ip route add 10.20.0.0/16 via 10.9.0.1 dev wg0
ip -6 route add default via fe80::1 dev eth0
ip -6 route add ::ffff:0:0/96 dev eth0
for name in docker0 lan; do
  until ip link show $name | grep -q LOWER_UP; do sleep 0.02; done
done
`;

describeIf(labMissing())('the interfaces of a machine', () => {
  let machine: Namespace;
  beforeAll(async () => {
    machine = await namespaceMaker().open('machine');
    await machine.script(SETUP);
  });
  afterAll(() => machine.close());

  async function inspect(server: string, local: string, hasOwnSys = false): Promise<InterfaceEvidence[]> {
    const ask = [process.execPath, AGENT, server, local];
    // Else /sys is that of the namespace which the machine was made from.
    const inside = ['unshare', '--mount', 'sh', '-c', 'mount -t sysfs sysfs /sys && exec "$@"', 'sh', ...ask];
    const [command, ...args] = hasOwnSys ? inside : ask;
    const { stdout, stderr } = await machine.run(command!, args);
    expect(stderr).toBe('');
    return JSON.parse(stdout) as InterfaceEvidence[];
  }

  function named(found: readonly InterfaceEvidence[]): string[] {
    return found.map(({ name, interfaceKind }) => `${name}: ${interfaceKind}`).sort();
  }

  it('are told by name where the system does not tell their types', async () => {
    const found = await inspect('192.0.2.1', LOCAL);
    expect(named(found)).toEqual(['docker0: container', 'eth0: ethernet', 'wg0: vpn']);
    expect(found.find(({ onPath }) => onPath)).toEqual({
      kind: 'interface',
      name: 'eth0',
      interfaceKind: 'ethernet',
      address: LOCAL,
      onPath: true,
      gateway: '192.168.7.1',
    });
  });

  it('are told by their types where it does: an ordinary bridge is nobody’s business, a container’s end is', async () => {
    expect(named(await inspect('192.0.2.1', LOCAL, true))).toEqual([
      'box: container',
      'docker0: container',
      'eth0: container',
      'wg0: vpn',
    ]);
  });

  it.each([
    ['the default route', '192.0.2.1', LOCAL, '192.168.7.1'],
    ['a longer route', '203.0.113.9', LOCAL, '192.168.7.254'],
    ['the rest of a range that is unreachable', '198.51.100.129', LOCAL, '192.168.7.1'],
    ['no router, for a neighbour', '192.168.7.9', LOCAL, undefined],
    ['another interface’s router', '10.20.0.1', '10.9.0.2', '10.9.0.1'],
    ['no router, through an interface that has none', '192.0.2.1', '10.11.0.2', undefined],
    ['an IPv6 router', '2001:db8::1', LOCAL_IPV6, 'fe80::1'],
    ['no router, for an IPv6 neighbour', '2001:db8:7::9', LOCAL_IPV6, undefined],
  ])('have %s', async (_what, server, local, gateway) => {
    const path = (await inspect(server, local)).find(({ onPath }) => onPath);
    expect(path?.address).toBe(local);
    expect(path?.gateway).toBe(gateway);
  });

  it('have none on the way for an address that is not this machine’s', async () => {
    const found = await inspect('192.0.2.1', '192.168.7.77');
    expect(found.filter(({ onPath }) => onPath)).toEqual([]);
  });
});
