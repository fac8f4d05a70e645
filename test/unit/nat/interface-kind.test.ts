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
    ['tun0', 'tunnel'],
    ['tap1', 'tunnel'],
    ['utun3', 'tunnel'],
    ['sit0', 'tunnel'],
    ['docker0', 'container'],
    ['br-0123456789ab', 'container'],
    ['veth3f2a1b', 'container'],
    ['cni0', 'container'],
    ['virbr0', 'virtual-machine'],
    ['vmnet8', 'virtual-machine'],
    ['br-lan', 'bridge'],
    ['br0', 'bridge'],
    ['lo', 'loopback'],
    ['lo0', 'loopback'],
    ['eth0', 'ethernet'],
    ['enp3s0', 'ethernet'],
    ['en0', 'ethernet'],
    ['wlp2s0', 'wifi'],
    ['Wi-Fi', 'wifi'],
    ['wwan0', 'cellular'],
    ['rmnet_data0', 'cellular'],
    ['ppp0', 'ppp'],
    ['net', 'other'],
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
    ['loopback', { name: 'lo', arpType: 772 }, 'loopback'],
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
