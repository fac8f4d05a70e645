/** What kind of interface a name, and where Linux tells it the device's type, stand for. */
import type { InterfaceKind } from './evidence.ts';

/** What the system says of an interface. Only the name is known everywhere. */
export interface InterfaceFacts {
  readonly name: string;
  /** ARPHRD_*, /sys/class/net/NAME/type on Linux. */
  readonly arpType?: number;
  /** DEVTYPE in /sys/class/net/NAME/uevent on Linux, which drivers of plain Ethernet leave out. */
  readonly deviceType?: string;
  /** Made by a program (/sys/class/net/NAME/tun_flags exists): TUN or TAP. */
  readonly isTun?: boolean;
  /** One end of a pair whose other end is elsewhere (`iflink` is not its own `ifindex`). */
  readonly hasPeer?: boolean;
}

export function kindOfInterface(facts: InterfaceFacts): InterfaceKind {
  return kindByName(facts.name) ?? kindByType(facts) ?? kindByCommonName(facts.name) ?? 'other';
}

/** Whether what goes through it comes out somewhere else than at this network's own router. */
export function isTunnel(kind: InterfaceKind): boolean {
  return kind === 'vpn' || kind === 'tunnel';
}

/** Names that programs give on purpose. They tell more than the type, which is the same for many of them. */
const NAMES: readonly (readonly [RegExp, InterfaceKind])[] = [
  // WireGuard as VPN providers name it, Tailscale, ZeroTier, NetBird, Cloudflare WARP, OpenConnect, Nebula, IPsec:
  // on Windows with a capital.
  [
    /^(wg|tailscale|zt|zerotier|wt\d|nordlynx|nordtun|proton|mullvad|CloudflareWARP|vpn|openvpn|nebula|ipsec)/i,
    'vpn',
  ],
  [/^(docker|veth|cni|flannel|cali|cilium|lxc|lxdbr|podman|nerdctl|br-[0-9a-f]{12}$)/, 'container'],
  [/^(virbr|vnet|vmnet|vboxnet|vEthernet|fwbr|fwpr|fwln|bridge1\d\d$)/, 'virtual-machine'],
];

/** Names by which only systems without device types have to be judged. */
const COMMON_NAMES: readonly (readonly [RegExp, InterfaceKind])[] = [
  [/^lo\d*$/, 'loopback'],
  [/^(tun|tap|utun|gif|stf|gre|sit|ip6tnl|ipip|teredo)/, 'tunnel'],
  [/^(wwan|rmnet|pdp_ip|ccmni)/, 'cellular'],
  [/^ppp/, 'ppp'],
  [/^(wl|ath|Wi-Fi|awdl)/, 'wifi'],
  [/^(br|bridge|vmbr)/, 'bridge'],
  [/^(eth|en|em|igb|ix|re|bge|Ethernet)/, 'ethernet'],
];

/** <linux/if_arp.h>. */
const ARP_TYPES: Readonly<Record<number, InterfaceKind>> = {
  512: 'ppp',
  // IPIP, IPv6 in IPv6, SIT, GRE, GRE over IPv6.
  768: 'tunnel',
  769: 'tunnel',
  772: 'loopback',
  776: 'tunnel',
  778: 'tunnel',
  823: 'tunnel',
  // No link layer: TUN, WireGuard, and modems that hand over bare IP packets.
  65534: 'tunnel',
};
const ARP_TYPE_ETHERNET = 1;

const DEVICE_TYPES: Readonly<Record<string, InterfaceKind>> = {
  wireguard: 'vpn',
  wlan: 'wifi',
  wwan: 'cellular',
  bridge: 'bridge',
  ppp: 'ppp',
  vxlan: 'tunnel',
  geneve: 'tunnel',
  vlan: 'ethernet',
  bond: 'ethernet',
  team: 'ethernet',
};

function kindByName(name: string): InterfaceKind | undefined {
  return NAMES.find(([pattern]) => pattern.test(name))?.[1];
}

function kindByType({ arpType, deviceType, isTun, hasPeer }: InterfaceFacts): InterfaceKind | undefined {
  if (deviceType !== undefined && deviceType in DEVICE_TYPES) return DEVICE_TYPES[deviceType];
  if (isTun === true) return 'tunnel';
  if (arpType === undefined) return undefined;
  // A pair of Ethernet ends that isn't a VLAN: the veth that a container has for its eth0.
  if (arpType === ARP_TYPE_ETHERNET) return hasPeer === true ? 'container' : 'ethernet';
  return ARP_TYPES[arpType];
}

function kindByCommonName(name: string): InterfaceKind | undefined {
  return COMMON_NAMES.find(([pattern]) => pattern.test(name))?.[1];
}
