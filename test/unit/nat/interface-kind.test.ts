import { describe, expect, it } from 'vitest';
import type { InterfaceKind } from '../../../shared/nat/evidence.ts';
import { type InterfaceFacts, isTunnel, kindOfInterface } from '../../../shared/nat/interface-kind.ts';

describe('the kind of an interface, by its name alone', () => {
  const NAMES: readonly (readonly [string, InterfaceKind])[] = [
    ['wg0', 'vpn'],
    ['wg-mullvad', 'vpn'],
    ['tailscale0', 'vpn'],
    ['ztabcdefgh', 'vpn'],
    ['wt0', 'vpn'],
    ['Tailscale', 'vpn'],
    ['ZeroTier One [8056c2e21c000001]', 'vpn'],
    ['ProtonVPN', 'vpn'],
    ['OpenVPN TAP-Windows6', 'vpn'],
    ['tun0', 'tunnel'],
    ['tap1', 'tunnel'],
    ['utun3', 'tunnel'],
    ['sit0', 'tunnel'],
    ['docker0', 'container'],
    ['br-0123456789ab', 'container'],
    ['veth3f2a1b', 'container'],
    ['cni0', 'container'],
    ['virbr0', 'virtual-machine'],
    ['vEthernet (WSL)', 'virtual-machine'],
    ['bridge100', 'virtual-machine'],
    ['bridge0', 'bridge'],
    ['vmnet8', 'virtual-machine'],
    ['br-lan', 'bridge'],
    ['br0', 'bridge'],
    ['lo', 'loopback'],
    ['lo0', 'loopback'],
    ['eth0', 'ethernet'],
    ['enp3s0', 'ethernet'],
    ['en0', 'ethernet'],
    ['Ethernet 2', 'ethernet'],
    ['igb0', 'ethernet'],
    ['wlp2s0', 'wifi'],
    ['Wi-Fi', 'wifi'],
    ['wwan0', 'cellular'],
    ['rmnet_data0', 'cellular'],
    ['pdp_ip0', 'cellular'],
    ['ppp0', 'ppp'],
    ['net', 'other'],
    ['', 'other'],
  ];

  it.each(NAMES)('%s: %s', (name, kind) => {
    expect(kindOfInterface({ name })).toBe(kind);
  });
});

describe('the kind of an interface, as Linux tells its type', () => {
  const FACTS: readonly (readonly [string, InterfaceFacts, InterfaceKind])[] = [
    ['WireGuard under any name', { name: 'home', arpType: 65534, deviceType: 'wireguard' }, 'vpn'],
    ['TUN under any name', { name: 'office', arpType: 65534, isTun: true }, 'tunnel'],
    ['TAP, though it looks like Ethernet', { name: 'office', arpType: 1, isTun: true }, 'tunnel'],
    ['Wi-Fi under any name', { name: 'net', arpType: 1, deviceType: 'wlan' }, 'wifi'],
    ['a container’s own eth0', { name: 'eth0', arpType: 1, hasPeer: true }, 'container'],
    [
      'a VLAN, which has a lower device',
      { name: 'eth0.7', arpType: 1, deviceType: 'vlan', hasPeer: true },
      'ethernet',
    ],
    ['Ethernet', { name: 'net', arpType: 1, hasPeer: false }, 'ethernet'],
    [
      'Docker’s bridge, by name before type',
      { name: 'docker0', arpType: 1, deviceType: 'bridge' },
      'container',
    ],
    ['another bridge', { name: 'lan', arpType: 1, deviceType: 'bridge' }, 'bridge'],
    ['an IPIP tunnel', { name: 'x', arpType: 768 }, 'tunnel'],
    ['IPv6 in IPv6', { name: 'x', arpType: 769 }, 'tunnel'],
    ['IPv6 in IPv4', { name: 'x', arpType: 776 }, 'tunnel'],
    ['GRE', { name: 'x', arpType: 778 }, 'tunnel'],
    ['GRE over IPv6', { name: 'x', arpType: 823 }, 'tunnel'],
    ['a device without link layer, of no kind', { name: 'x', arpType: 65534, isTun: false }, 'tunnel'],
    ['VXLAN', { name: 'x', arpType: 1, deviceType: 'vxlan' }, 'tunnel'],
    ['Geneve', { name: 'x', arpType: 1, deviceType: 'geneve' }, 'tunnel'],
    ['a modem, though it has no link layer', { name: 'x', arpType: 65534, deviceType: 'wwan' }, 'cellular'],
    ['PPP by its driver', { name: 'dsl', deviceType: 'ppp' }, 'ppp'],
    ['PPP by its type', { name: 'dsl', arpType: 512 }, 'ppp'],
    ['a bond', { name: 'x', arpType: 1, deviceType: 'bond' }, 'ethernet'],
    ['a team', { name: 'x', arpType: 1, deviceType: 'team' }, 'ethernet'],
    ['another driver’s type, which says nothing', { name: 'x', arpType: 1, deviceType: 'dsa' }, 'ethernet'],
    ['loopback', { name: 'lo', arpType: 772 }, 'loopback'],
    ['nothing that is known', { name: 'x', arpType: 801 }, 'other'],
    ['a type without an entry, by its name', { name: 'wlan0', arpType: 801 }, 'wifi'],
  ];

  it.each(FACTS)('%s', (_what, facts, kind) => {
    expect(kindOfInterface(facts)).toBe(kind);
  });
});

it('counts VPNs and tunnels as what leads elsewhere', () => {
  expect((['vpn', 'tunnel', 'ethernet', 'ppp', 'container', 'other'] as const).filter(isTunnel)).toEqual([
    'vpn',
    'tunnel',
  ]);
});
