/** NATs of the lab for the axes beyond mapping and filtering, each with what it truly does. */
import type { FragmentsAxis } from '../../shared/nat/fragments.ts';
import type { HairpinAxis } from '../../shared/nat/hairpin.ts';
import type { InboundRefresh } from '../../shared/nat/lifetime.ts';
import type { ManglingAxis } from '../../shared/nat/mangling.ts';
import type { UnsolicitedAxis } from '../../shared/nat/unsolicited.ts';
import { labNat, type LabNat } from './nats.ts';

export interface LabLifetimeNat {
  readonly nat: LabNat;
  /** Of a flow of one exchange, and of one that is a stream by then. */
  readonly briefMs: number;
  readonly streamMs: number;
  readonly refreshedByInbound: InboundRefresh;
}

export interface LabHairpinNat {
  readonly nat: LabNat;
  readonly hairpin: HairpinAxis['value'];
  /** The address that the other socket sees. */
  readonly seenAs?: 'public' | 'gateway' | 'own';
}

export interface LabFragmentsNat {
  readonly nat: LabNat;
  readonly fragments: FragmentsAxis['value'];
}

export interface LabUnsolicitedNat {
  readonly nat: LabNat;
  readonly unsolicited: UnsolicitedAxis['value'];
  /** Why it can't be told. */
  readonly because?: string;
}

export interface LabManglingNat {
  readonly nat: LabNat;
  readonly mangling: ManglingAxis['value'];
}

/** The client's address, and the gateway's beside it, behind one layer of NAT. */
const CLIENT = '192.168.1.2';
const GATEWAY = '192.168.1.1';

export const HAIRPIN_ADDRESSES = { own: CLIENT, gateway: GATEWAY } as const;

/** Shell: sets `wan` to the gateway's first outer address. */
export const OUTER_ADDRESS = `
wan=$(ip -4 -o address show dev wan | sed -n '1s/.*inet \\([0-9.]*\\).*/\\1/p')
`;

/** A NAT whose flows conntrack forgets after so many seconds, also in IPv6, whose firewall it is. */
export function conntrackLifetimeNat(base: string, briefS: number, streamS: number): LabLifetimeNat {
  return {
    nat: changedNat(
      `${base}-${briefS}-${streamS}`,
      base,
      `${base}; conntrack’s timeouts ${briefS} and ${streamS} s`,
      `
echo ${briefS} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
echo ${streamS} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream
`,
    ),
    briefMs: briefS * 1000,
    streamMs: streamS * 1000,
    refreshedByInbound: 'inbound-too',
  };
}

export const LAB_LIFETIME_NATS: readonly LabLifetimeNat[] = [
  conntrackLifetimeNat('port-restricted-cone', 3, 6),
  conntrackLifetimeNat('linux-router', 6, 6),
  conntrackLifetimeNat('symmetric-random', 4, 9),
];

export const LAB_HAIRPIN_NATS: readonly LabHairpinNat[] = [
  hairpinNat('hairpin-public', 'seen as the public endpoint', 'snat to $wan', 'public'),
  hairpinNat('hairpin-gateway', 'seen as the gateway’s inner address', 'masquerade', 'gateway'),
  // Seen as itself the client drops it, unless its system is told to accept packets from itself.
  hairpinNat('hairpin-untranslated', 'the source is left as it is', undefined, 'own'),
  { nat: labNat('port-restricted-cone'), hairpin: 'none' },
  { nat: labNat('linux-router'), hairpin: 'none' },
  { nat: labNat('full-cone'), hairpin: 'none' },
  { nat: labNat('open'), hairpin: 'unknown' },
];

export const LAB_FRAGMENTS_NATS: readonly LabFragmentsNat[] = [
  { nat: labNat('port-restricted-cone'), fragments: 'pass' },
  { nat: labNat('restricted-cone'), fragments: 'pass' },
  fragmentsNat('fragments-blocked-outbound', 'lan', 'blocked-outbound'),
  fragmentsNat('fragments-blocked-inbound', 'wan', 'blocked-inbound'),
];

export const LAB_UNSOLICITED_NATS: readonly LabUnsolicitedNat[] = [
  { nat: labNat('port-restricted-cone'), unsolicited: 'dropped' },
  { nat: labNat('linux-router'), unsolicited: 'tracked' },
  // The error goes to the server's sockets, which don't hear of it.
  { nat: labNat('rejecting'), unsolicited: 'dropped' },
  { nat: labNat('restricted-cone'), unsolicited: 'dropped' },
  { nat: labNat('double-nat'), unsolicited: 'dropped' },
  { nat: labNat('firewall'), unsolicited: 'dropped' },
  { nat: labNat('full-cone'), unsolicited: 'unknown', because: 'unsolicited-admitted' },
  { nat: labNat('symmetric-random'), unsolicited: 'unknown', because: 'unsolicited-dependent' },
];

export const LAB_MANGLING_NATS: readonly LabManglingNat[] = [
  { nat: labNat('port-restricted-cone'), mangling: 'none' },
  {
    nat: changedNat(
      'payload-rewriting',
      'port-restricted-cone',
      'port-restricted-cone; MAPPED-ADDRESS is set to the client’s own',
      manglingRules(),
    ),
    mangling: 'rewritten',
  },
];

/**
 * Where the first attribute is a MAPPED-ADDRESS of eight bytes, behind the headers of UDP and STUN, its
 * address is replaced. Raw bytes have no checksum that nft would mend, and IPv4 can do without.
 */
function manglingRules(): string {
  return `
nft -f - <<END
table ip payload {
  chain inbound {
    type filter hook forward priority filter + 10;
    iifname "wan" meta l4proto udp @th,224,32 0x00010008 udp checksum set 0 @th,288,32 set 0xc0a80102
  }
}
END
`;
}

/** By dnat alone: netfilter has no filter between inside hosts, and the outer port is the inner one. */
function hairpinNat(
  name: string,
  what: string,
  source: string | undefined,
  seenAs: LabHairpinNat['seenAs'] & string,
): LabHairpinNat {
  const translation = source === undefined ? '' : `oifname "lan" ct status dnat ${source}`;
  return {
    nat: changedNat(
      name,
      'port-restricted-cone',
      `port-restricted-cone; dnat from inside; ${what}`,
      `${OUTER_ADDRESS}
nft -f - <<END
table ip hairpin {
  chain back { type nat hook prerouting priority dstnat; iifname "lan" ip daddr $wan meta l4proto udp dnat to ${CLIENT}; }
  chain source { type nat hook postrouting priority srcnat; ${translation}; }
}
END
`,
    ),
    hairpin: seenAs === 'own' ? 'untranslated' : 'translated',
    seenAs,
  };
}

/** Fragments from that side are dropped before conntrack puts them together (priority -400). */
function fragmentsNat(name: string, from: 'lan' | 'wan', fragments: FragmentsAxis['value']): LabFragmentsNat {
  return {
    nat: changedNat(
      name,
      'port-restricted-cone',
      `port-restricted-cone; fragments from ${from} dropped`,
      `
nft -f - <<END
table inet fragments {
  chain early {
    type filter hook prerouting priority -450;
    iifname "${from}" ip frag-off & 0x3fff != 0 drop
    iifname "${from}" exthdr frag exists drop
  }
}
END
`,
    ),
    fragments,
  };
}

/** A NAT of the lab whose gateways run further shell commands. */
export function changedNat(name: string, base: string, madeOf: string, setup: string): LabNat {
  const nat = labNat(base);
  return { ...nat, name, madeOf, layers: nat.layers.map((layer) => ({ ...layer, setup })) };
}
