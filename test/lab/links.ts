/** Wires between namespaces, over IPv4. */
import type { Namespace } from './namespaces.ts';

/** A veth pair with a /24 on it, and the inner end's default route through it. */
export async function joinBehind(
  inner: Namespace,
  innerDevice: string,
  innerAddress: string,
  outer: Namespace,
  outerDevice: string,
): Promise<void> {
  const gateway = gatewayOf(innerAddress);
  await inner.script(`ip link add ${innerDevice} type veth peer name ${outerDevice} netns ${outer.holder}`);
  await outer.script(`ip address add ${gateway}/24 dev ${outerDevice}\nip link set ${outerDevice} up`);
  await inner.script(
    `ip address add ${innerAddress}/24 dev ${innerDevice}\n` +
      `ip link set ${innerDevice} up\nip route add default via ${gateway}`,
  );
}

/**
 * A bridge with an address of `outer`, and behind each of its ports a machine that has it as default route. The
 * machines' own traffic passes it as it would a switch.
 */
export async function joinOnLan(
  outer: Namespace,
  device: string,
  machines: readonly { readonly namespace: Namespace; readonly address: string }[],
): Promise<void> {
  const gateway = gatewayOf(machines[0]!.address);
  await outer.script(`
ip link add ${device} type bridge
ip address add ${gateway}/24 dev ${device}
ip link set ${device} up
[ ! -e ${BRIDGE_NETFILTER} ] || echo 0 >${BRIDGE_NETFILTER}
`);
  for (const [index, { namespace, address }] of machines.entries()) {
    const port = `${device}-${index}`;
    await namespace.script(`ip link add eth0 type veth peer name ${port} netns ${outer.holder}`);
    await outer.script(`ip link set ${port} master ${device}\nip link set ${port} up`);
    await namespace.script(
      `ip address add ${address}/24 dev eth0\nip link set eth0 up\nip route add default via ${gateway}`,
    );
  }
}

/** It would have the rules for routed packets applied to switched ones. */
const BRIDGE_NETFILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';

function gatewayOf(address: string): string {
  return address.replace(/\.\d+$/, '.1');
}
