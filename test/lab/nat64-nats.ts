/** NAT64s of the lab: tayga (RFC 7915, stateless) between IPv6 and the IPv4 NATs of nats.ts, for a client without IPv4. */
import { formatNat64Prefix, parseNat64Prefix, type Nat64Prefix } from '../../shared/nat64.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { labMissing } from './namespaces.ts';
import { labNat, type LabNat, type Truth } from './nats.ts';

export interface LabNat64 {
  readonly nat: LabNat;
  readonly prefix: Nat64Prefix;
  /** Of IPv4, as reached through it. */
  readonly truth: Truth;
}

/** Networks' own prefixes: under the well-known one tayga leaves documentation addresses out (RFC 6052 §3.1). */
export const LAB_NAT64S: readonly LabNat64[] = [
  nat64('nat64', 'port-restricted-cone', '2001:db8:64::/96'),
  nat64('nat64-full-cone', 'full-cone', '2001:db8:6464::/48'),
  nat64('nat64-symmetric', 'symmetric-random', '2001:db8:64:64::/64'),
];

/** Says why no NAT64 can be made on this machine, or undefined if one can. */
export function nat64LabMissing(): string | undefined {
  return labMissing() ?? missingPrograms('tayga');
}

/** What a client is told to have IPv6 alone. */
export const WITHOUT_IPV4 = 'ip -4 address flush dev net';

function nat64(name: string, base: string, prefixText: string): LabNat64 {
  const { layers, truth } = labNat(base);
  const prefix = parseNat64Prefix(prefixText)!;
  const setup = taygaScript(formatNat64Prefix(prefix));
  return {
    nat: {
      name,
      madeOf: `tayga at ${prefixText}, then ${base}; tested from a client without IPv4`,
      layers: layers.map(({ ipv4 }) => ({ ipv4, ipv6: { kind: 'router' }, setup })),
      truth: { ipv4: truth.ipv4, ipv6: labNat('open').truth.ipv6 },
    },
    prefix,
    truth: truth.ipv4,
  };
}

/** Each inside host gets an address of the pool, which the IPv4 NAT then translates. Once a gateway. */
function taygaScript(prefix: string): string {
  return `
if ! ip link show nat64 >/dev/null 2>&1; then
  settings=$(mktemp)
  cat >$settings <<SETTINGS
tun-device nat64
ipv4-addr 192.168.255.1
ipv6-addr fd64::1
prefix ${prefix}
dynamic-pool 192.168.255.0/24
SETTINGS
  tayga --config $settings --mktun >/dev/null 2>&1
  ip link set nat64 up
  ip route add 192.168.255.0/24 dev nat64
  ip route add ${prefix} dev nat64
  tayga --config $settings >/dev/null 2>&1
  rm $settings
fi
`;
}
