/** NATs of the lab for the axes beyond mapping and filtering, each with what it truly does. */
import type { FragmentsAxis } from '../../shared/nat/fragments.ts';
import type { HairpinAxis } from '../../shared/nat/hairpin.ts';
import type { InboundRefresh } from '../../shared/nat/lifetime.ts';
import { labNat, type Gateway, type LabNat } from './nats.ts';

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

/** The client's address, and the gateway's beside it, behind one layer of NAT. */
const CLIENT = '192.168.1.2';
const GATEWAY = '192.168.1.1';

export const HAIRPIN_ADDRESSES = { own: CLIENT, gateway: GATEWAY } as const;

/** A NAT whose flows conntrack forgets after so many seconds, also in IPv6, whose firewall it is. */
export function conntrackLifetimeNat(base: string, briefS: number, streamS: number): LabLifetimeNat {
  return {
    nat: changed(
      `${base}-${briefS}-${streamS}`,
      base,
      `${base}; conntrack’s timeouts ${briefS} and ${streamS} s`,
      {
        setup: `
echo ${briefS} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout
echo ${streamS} >/proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream
`,
      },
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

/** By dnat alone: netfilter has no filter between inside hosts, and the outer port is the inner one. */
function hairpinNat(
  name: string,
  what: string,
  source: string | undefined,
  seenAs: LabHairpinNat['seenAs'] & string,
): LabHairpinNat {
  const translation = source === undefined ? '' : `oifname "lan" ct status dnat ${source}`;
  return {
    nat: changed(name, 'port-restricted-cone', `port-restricted-cone; dnat from inside; ${what}`, {
      setup: `
wan=$(ip -4 -o address show dev wan | sed 's/.*inet \\([0-9.]*\\).*/\\1/')
nft -f - <<END
table ip hairpin {
  chain back { type nat hook prerouting priority dstnat; iifname "lan" ip daddr $wan meta l4proto udp dnat to ${CLIENT}; }
  chain source { type nat hook postrouting priority srcnat; ${translation}; }
}
END
`,
    }),
    hairpin: seenAs === 'own' ? 'untranslated' : 'translated',
    seenAs,
  };
}

/** Fragments from that side are dropped before conntrack puts them together (priority -400). */
function fragmentsNat(name: string, from: 'lan' | 'wan', fragments: FragmentsAxis['value']): LabFragmentsNat {
  return {
    nat: changed(name, 'port-restricted-cone', `port-restricted-cone; fragments from ${from} dropped`, {
      setup: `
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
    }),
    fragments,
  };
}

function changed(name: string, base: string, madeOf: string, change: Pick<Gateway, 'setup'>): LabNat {
  const nat = labNat(base);
  return { ...nat, name, madeOf, layers: nat.layers.map((layer) => ({ ...layer, ...change })) };
}
