/** The kernel NATs of the lab as data: what each is made of, and what it truly is. */
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';

/** A NAT of the lab. */
export interface LabNat {
  readonly name: string;
  /** What it is made of, for `npm run lab -- --list`. */
  readonly madeOf: string;
  /** From the client outwards; more than one is NAT behind NAT. */
  readonly layers: readonly Gateway[];
  /** What it is in all, verified by nats.test.ts without natprobe. */
  readonly truth: { readonly ipv4: Truth; readonly ipv6: Truth };
}

/** What a gateway does in each family. */
export interface Gateway {
  readonly ipv4: Behaviour;
  readonly ipv6: Behaviour;
  /** Shell commands that add to it: system settings, further tables. */
  readonly setup?: string;
}

export type Behaviour =
  /** Forwards everything. */
  | { readonly kind: 'router' }
  /** Forwards what goes out, and from outside what `filtering` lets in (RFC 4787 §5). */
  | { readonly kind: 'firewall'; readonly filtering: DependentFiltering }
  /** Translates. */
  | {
      readonly kind: 'nat';
      readonly mapping: MappingRule;
      readonly filtering: KnownFiltering;
      readonly unsolicited: Unsolicited;
      /** Left out: TCP is masqueraded plainly, and what it gets unasked goes the way of the rest. */
      readonly tcp?: TcpTreatment;
    }
  /**
   * Translates the prefix alone (RFC 6296; IPv6 only), and lets in what anyone sends, or what answers.
   */
  | { readonly kind: 'prefix'; readonly filtering: Exclude<KnownFiltering, 'address-dependent'> }
  /** Lets TCP out alone; `refusal` is what a UDP packet draws. */
  | { readonly kind: 'udp-blocked'; readonly translates: boolean; readonly refusal: 'silence' | 'icmp' };

export type KnownFiltering = Exclude<Filtering, 'unknown'>;
export type DependentFiltering = Exclude<KnownFiltering, 'endpoint-independent'>;

/** How an outgoing flow gets its outer port. */
export type MappingRule =
  /** Endpoint-independent; the inner port where it is free. */
  | 'preserving'
  /** Endpoint-independent; another port, from a range that excludes all inner ones. */
  | 'remapping'
  /** One range for each address of the server, a third for all others. */
  | 'by-address'
  /** A random port for each destination endpoint. */
  | 'random'
  /** The next port for each destination endpoint. */
  | 'sequential';

/** How TCP is treated where that is not how UDP is. */
export interface TcpTreatment {
  readonly mapping: Exclude<MappingRule, 'sequential'>;
  readonly filtering: KnownFiltering;
  /** `icmp` is an administrative prohibition: a port unreachable looks like a reset to who connects. */
  readonly unsolicited: 'dropped' | 'reset' | 'icmp';
}

/** What a packet that nobody asked for does to a translating gateway. */
export type Unsolicited =
  | 'dropped'
  /** It gets a conntrack entry (and an ICMP error): a Linux router without an input chain. */
  | 'tracked'
  /** It draws an ICMP error and leaves no trace. */
  | 'rejected';

export interface Truth {
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** Absent where nothing is translated or nothing comes in. */
  readonly unsolicited?: Unsolicited;
}

const EIM = 'endpoint-independent';
const EIF = 'endpoint-independent';
const ADF = 'address-dependent';
const APDF = 'address-and-port-dependent';

const ROUTER: Behaviour = { kind: 'router' };
const FIREWALL: Behaviour = { kind: 'firewall', filtering: APDF };

const CONES: Record<KnownFiltering, NatType> = {
  'endpoint-independent': 'full-cone',
  'address-dependent': 'restricted-cone',
  'address-and-port-dependent': 'port-restricted-cone',
};

const OPEN: Truth = { type: 'open', mapping: 'none', filtering: EIF };
const FIREWALLED: Truth = { type: 'symmetric-firewall', mapping: 'none', filtering: APDF };
const BLOCKED: Truth = { type: 'udp-blocked', mapping: 'unknown', filtering: 'unknown' };

export const LAB_NATS: readonly LabNat[] = [
  {
    name: 'open',
    madeOf: 'plain forwarding',
    layers: [{ ipv4: ROUTER, ipv6: ROUTER }],
    truth: { ipv4: OPEN, ipv6: OPEN },
  },
  {
    name: 'firewall',
    madeOf: 'no translation; conntrack lets in what answers',
    layers: [{ ipv4: FIREWALL, ipv6: FIREWALL }],
    truth: { ipv4: FIREWALLED, ipv6: FIREWALLED },
  },
  {
    name: 'firewall-adf',
    madeOf: 'no translation; a set of contacted addresses for each inner endpoint lets in',
    layers: [{ ipv4: { kind: 'firewall', filtering: ADF }, ipv6: { kind: 'firewall', filtering: ADF } }],
    truth: {
      ipv4: { type: 'symmetric-firewall', mapping: 'none', filtering: ADF },
      ipv6: { type: 'symmetric-firewall', mapping: 'none', filtering: ADF },
    },
  },
  nat('full-cone', 'masquerade; dnat by learned outer port', 'preserving', EIF),
  nat('restricted-cone', 'masquerade; dnat by outer port and contacted address', 'preserving', ADF),
  nat('port-restricted-cone', 'masquerade; input drops (as OpenWrt does)', 'preserving', APDF),
  nat(
    'linux-router',
    'masquerade; no input chain: unsolicited packets are tracked',
    'preserving',
    APDF,
    'tracked',
  ),
  nat('rejecting', 'masquerade; input rejects with port-unreachable', 'preserving', APDF, 'rejected'),
  nat('remapping', 'masquerade to a port range that excludes the inner ports', 'remapping', APDF),
  nat('adm-eif', 'masquerade to one port range per address; dnat by learned outer port', 'by-address', EIF),
  nat('adm-adf', 'masquerade to one port range per address; dnat by contacted address', 'by-address', ADF),
  nat('adm-apdf', 'masquerade to one port range per address', 'by-address', APDF),
  nat('symmetric-eif', 'masquerade fully-random; dnat by learned outer port', 'random', EIF),
  nat('symmetric-adf', 'masquerade fully-random; dnat by outer port and contacted address', 'random', ADF),
  nat('symmetric-random', 'masquerade fully-random', 'random', APDF),
  nat('symmetric-sequential', 'masquerade to the next port (numgen inc)', 'sequential', APDF),
  {
    name: 'nat66',
    madeOf: 'port-restricted-cone in IPv6 as well (masquerade)',
    layers: [
      {
        ipv4: { kind: 'nat', mapping: 'preserving', filtering: APDF, unsolicited: 'dropped' },
        ipv6: { kind: 'nat', mapping: 'preserving', filtering: APDF, unsolicited: 'dropped' },
      },
    ],
    truth: { ipv4: truthOf('preserving', APDF, 'dropped'), ipv6: truthOf('preserving', APDF, 'dropped') },
  },
  prefixNat('nptv6', 'IPv6: snat and dnat of the prefix', EIF),
  prefixNat('nptv6-firewall', 'IPv6: snat and dnat of the prefix; conntrack lets in what answers', APDF),
  {
    name: 'udp-blocked',
    madeOf: 'UDP dropped, TCP masqueraded',
    layers: [
      {
        ipv4: { kind: 'udp-blocked', translates: true, refusal: 'silence' },
        ipv6: { kind: 'udp-blocked', translates: false, refusal: 'silence' },
      },
    ],
    truth: { ipv4: BLOCKED, ipv6: BLOCKED },
  },
  {
    name: 'udp-rejected',
    madeOf: 'UDP rejected with admin-prohibited, TCP masqueraded',
    layers: [
      {
        ipv4: { kind: 'udp-blocked', translates: true, refusal: 'icmp' },
        ipv6: { kind: 'udp-blocked', translates: false, refusal: 'icmp' },
      },
    ],
    truth: { ipv4: BLOCKED, ipv6: BLOCKED },
  },
  {
    name: 'double-nat',
    madeOf: 'port-restricted-cone behind a full cone with other ports (a carrier’s)',
    layers: [
      {
        ipv4: { kind: 'nat', mapping: 'preserving', filtering: APDF, unsolicited: 'dropped' },
        ipv6: FIREWALL,
      },
      { ipv4: { kind: 'nat', mapping: 'remapping', filtering: EIF, unsolicited: 'dropped' }, ipv6: ROUTER },
    ],
    truth: { ipv4: truthOf('remapping', APDF, 'dropped'), ipv6: FIREWALLED },
  },
  {
    name: 'double-nat-symmetric',
    madeOf: 'full cone behind a random symmetric NAT that filters by address',
    layers: [
      {
        ipv4: { kind: 'nat', mapping: 'preserving', filtering: EIF, unsolicited: 'dropped' },
        ipv6: FIREWALL,
      },
      { ipv4: { kind: 'nat', mapping: 'random', filtering: ADF, unsolicited: 'dropped' }, ipv6: ROUTER },
    ],
    truth: { ipv4: truthOf('random', ADF, 'dropped'), ipv6: FIREWALLED },
  },
];

/** The NAT of that name; throws with the list of names if there is none. */
export function labNat(name: string): LabNat {
  const found = LAB_NATS.find((nat) => nat.name === name);
  if (found) return found;
  throw new Error(`no NAT ${name} in the lab; there are ${LAB_NATS.map((nat) => nat.name).join(', ')}`);
}

/** One layer of IPv4 NAT; IPv6 goes through a stateful firewall, as in most homes. */
function nat(
  name: string,
  madeOf: string,
  mapping: MappingRule,
  filtering: KnownFiltering,
  unsolicited: Unsolicited = 'dropped',
): LabNat {
  return {
    name,
    madeOf,
    layers: [{ ipv4: { kind: 'nat', mapping, filtering, unsolicited }, ipv6: FIREWALL }],
    truth: { ipv4: truthOf(mapping, filtering, unsolicited), ipv6: FIREWALLED },
  };
}

/** IPv4 goes through a port-restricted cone. */
function prefixNat(
  name: string,
  madeOf: string,
  filtering: Extract<Behaviour, { kind: 'prefix' }>['filtering'],
): LabNat {
  const ipv4 = { kind: 'nat', mapping: 'preserving', filtering: APDF, unsolicited: 'dropped' } as const;
  return {
    name,
    madeOf,
    layers: [{ ipv4, ipv6: { kind: 'prefix', filtering } }],
    truth: {
      ipv4: truthOf('preserving', APDF, 'dropped'),
      ipv6: { type: CONES[filtering], mapping: EIM, filtering, unsolicited: 'dropped' },
    },
  };
}

function truthOf(rule: MappingRule, filtering: KnownFiltering, unsolicited: Unsolicited): Truth {
  switch (rule) {
    case 'preserving':
    case 'remapping':
      return { type: CONES[filtering], mapping: 'endpoint-independent', filtering, unsolicited };
    case 'by-address':
      return { type: 'symmetric', mapping: 'address-dependent', filtering, unsolicited };
    case 'random':
    case 'sequential':
      return { type: 'symmetric', mapping: 'address-and-port-dependent', filtering, unsolicited };
  }
}
