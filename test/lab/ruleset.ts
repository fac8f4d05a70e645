/** What a gateway of the lab does, written as an nftables ruleset (Linux 6.18, nftables 1.0.6). */
import type { Family } from '../../shared/endpoint.ts';
import type {
  Behaviour,
  DependentFiltering,
  KnownFiltering,
  MappingRule,
  TcpTreatment,
  Unsolicited,
} from './nats.ts';

/** The gateway's devices: `wan` towards the internet, `lan` towards the client. */
const FROM_OUTSIDE = 'iifname "wan"';
const TO_OUTSIDE = 'oifname "wan"';

/** How long a learned mapping lives after the last packet out: the least that RFC 4787 §4.3 allows. */
const MAPPING_LIFETIME = '2m';

/** Outer ports of the NATs that choose them; Linux takes inner ones from 32768 up. */
const REMAPPED_PORTS = '10000-29999';
const PORTS_BY_SERVER_ADDRESS = ['10000-14999', '20000-24999'];
/** Between those: where a server sees ports they are all around, as those of a NAT with one range would be. */
const PORTS_OF_OTHER_ADDRESSES = '15000-19999';
const FIRST_SEQUENTIAL_PORT = 20_000;
/** After so many destinations the first port is used again. */
export const SEQUENTIAL_PORTS = 1000;

/** In CIDR notation: the gateway's inner network, and what stands for it outside. */
export interface NetworkPrefixes {
  readonly inner: string;
  readonly outer: string;
}

/**
 * The ruleset of one family. `serverAddresses` are the addresses that a mapping by address tells
 * apart, `prefixes` what a translation of prefixes exchanges. Empty for a plain router.
 */
export function rulesetOf(
  behaviour: Behaviour,
  family: Family,
  serverAddresses: readonly string[],
  { inner, outer }: NetworkPrefixes,
): string {
  const ip = family === 'ipv4' ? 'ip' : 'ip6';
  switch (behaviour.kind) {
    case 'router':
      return '';
    case 'firewall':
      return table(ip, firewallRules(ip, behaviour.filtering));
    case 'nat':
      return table(ip, [
        chain('translate', 'nat hook postrouting priority srcnat', [
          ...translationRules(ip, 'udp', behaviour.mapping, serverAddresses),
          ...(behaviour.tcp ? translationRules(ip, 'tcp', behaviour.tcp.mapping, serverAddresses) : []),
          `${TO_OUTSIDE} masquerade`,
        ]),
        ...admission(ip, 'udp', behaviour.filtering),
        ...(behaviour.tcp ? admission(ip, 'tcp', behaviour.tcp.filtering) : []),
        ...inputRules(ip, behaviour.unsolicited, behaviour.tcp?.unsolicited),
        chain('forward', 'filter hook forward priority filter', [
          `${FROM_OUTSIDE} ct state new ct status ! dnat drop`,
        ]),
      ]);
    case 'prefix':
      return table(ip, [
        chain('translate', 'nat hook postrouting priority srcnat', [
          `${TO_OUTSIDE} snat ${ip} prefix to ${ip} saddr map { ${inner} : ${outer} }`,
        ]),
        chain('admit', 'nat hook prerouting priority dstnat', [
          `${FROM_OUTSIDE} dnat ${ip} prefix to ${ip} daddr map { ${outer} : ${inner} }`,
        ]),
        ...(behaviour.filtering === 'endpoint-independent' ? [] : firewallRules(ip, behaviour.filtering)),
      ]);
    case 'udp-blocked':
      return table(ip, [
        chain('forward', 'filter hook forward priority filter', [
          `meta l4proto udp ${behaviour.refusal === 'icmp' ? reject(ip, 'admin-prohibited') : 'drop'}`,
        ]),
        ...(behaviour.translates
          ? [chain('translate', 'nat hook postrouting priority srcnat', [`${TO_OUTSIDE} masquerade`])]
          : []),
      ]);
  }
}

type IpKeyword = 'ip' | 'ip6';

function firewallRules(ip: IpKeyword, filtering: DependentFiltering): string[] {
  const icmp = ip === 'ip6' ? ['meta l4proto icmpv6 accept'] : [];
  const conntrack = ['ct state established,related accept', `${FROM_OUTSIDE} drop`];
  if (filtering === 'address-and-port-dependent') {
    return [chain('forward', 'filter hook forward priority filter', [...icmp, ...conntrack])];
  }
  const address = addressType(ip);
  return [
    dynamicSet('contacted', `${address} . inet_service . ${address}`),
    chain('forward', 'filter hook forward priority filter', [
      `${TO_OUTSIDE} meta l4proto udp update @contacted { ${ip} saddr . udp sport . ${ip} daddr }`,
      `${FROM_OUTSIDE} ${ip} daddr . udp dport . ${ip} saddr @contacted accept`,
      ...icmp,
      ...conntrack,
    ]),
  ];
}

type Protocol = 'udp' | 'tcp';

/** The mapping (RFC 4787 §4.1) of one protocol; without rules of its own it is masqueraded plainly. */
function translationRules(
  ip: IpKeyword,
  protocol: Protocol,
  mapping: MappingRule,
  serverAddresses: readonly string[],
): string[] {
  const outgoing = `${TO_OUTSIDE} meta l4proto ${protocol}`;
  return {
    // Without a flag conntrack gives a source endpoint the same outer port again, wherever it sends.
    preserving: () => [],
    remapping: () => [`${outgoing} masquerade to :${REMAPPED_PORTS}`],
    'by-address': () => [
      ...PORTS_BY_SERVER_ADDRESS.map(
        (ports, index) => `${outgoing} ${ip} daddr ${serverAddresses[index]!} masquerade to :${ports}`,
      ),
      `${outgoing} masquerade to :${PORTS_OF_OTHER_ADDRESSES}`,
    ],
    random: () => [`${outgoing} masquerade fully-random`],
    sequential: () => [
      `${outgoing} masquerade to :numgen inc mod ${SEQUENTIAL_PORTS} map { ${sequentialPorts()} }`,
    ],
  }[mapping]();
}

// The generator counts in host byte order and a port is wanted in the network's: hence a map.
function sequentialPorts(): string {
  return Array.from(
    { length: SEQUENTIAL_PORTS },
    (_, index) => `${index} : ${FIRST_SEQUENTIAL_PORT + index}`,
  ).join(', ');
}

/**
 * The filtering (RFC 4787 §5). Conntrack alone is address- and port-dependent; for the others each
 * outgoing packet teaches, after translation, which inner endpoint its outer port belongs to, and
 * what comes from outside is sent there. Only the flow's original direction is asked: seen from a
 * flow that began outside, "original" is the other end.
 */
function admission(ip: IpKeyword, protocol: Protocol, filtering: KnownFiltering): string[] {
  if (filtering === 'address-and-port-dependent') return [];
  const learn = `${TO_OUTSIDE} meta l4proto ${protocol} ct direction original`;
  const contactedOnly = filtering === 'address-dependent';
  const [address, port, contacted] = ['inner_address', 'inner_port', 'contacted'].map(
    (n) => `${protocol}_${n}`,
  );
  return [
    dynamicMap(address!, 'inet_service', addressType(ip)),
    dynamicMap(port!, 'inet_service', 'inet_service'),
    ...(contactedOnly ? [dynamicSet(contacted!, `inet_service . ${addressType(ip)}`)] : []),
    chain(`${protocol}_learn`, 'filter hook postrouting priority srcnat + 10', [
      // An update renews an element's time but keeps its data, which a reused port would inherit.
      `${learn} ct state new delete @${address} { ct reply proto-dst : ${anyAddress(ip)} }`,
      `${learn} ct state new delete @${port} { ct reply proto-dst : 0 }`,
      `${learn} update @${address} { ct reply proto-dst : ct original ${ip} saddr }`,
      `${learn} update @${port} { ct reply proto-dst : ct original proto-src }`,
      ...(contactedOnly ? [`${learn} update @${contacted} { ct reply proto-dst . ${ip} daddr }`] : []),
    ]),
    chain(`${protocol}_admit`, 'nat hook prerouting priority dstnat', [
      `${FROM_OUTSIDE} meta l4proto ${protocol} ` +
        (contactedOnly ? `${protocol} dport . ${ip} saddr @${contacted} ` : '') +
        `dnat to ${protocol} dport map @${address} : ${protocol} dport map @${port}`,
    ]),
  ];
}

/** What becomes of packets to the gateway itself, to which unsolicited ones are addressed. */
function inputRules(
  ip: IpKeyword,
  unsolicited: Unsolicited,
  tcp: TcpTreatment['unsolicited'] = 'dropped',
): string[] {
  if (unsolicited === 'tracked') return [];
  return [
    chain('input', 'filter hook input priority filter', [
      'ct state established,related accept',
      ...(ip === 'ip6' ? ['meta l4proto icmpv6 accept'] : []),
      ...(unsolicited === 'rejected'
        ? [`${FROM_OUTSIDE} meta l4proto udp ${reject(ip, 'port-unreachable')}`]
        : []),
      ...(tcp === 'reset' ? [`${FROM_OUTSIDE} meta l4proto tcp reject with tcp reset`] : []),
      ...(tcp === 'icmp' ? [`${FROM_OUTSIDE} meta l4proto tcp ${reject(ip, 'admin-prohibited')}`] : []),
      `${FROM_OUTSIDE} drop`,
    ]),
  ];
}

function table(ip: IpKeyword, parts: readonly string[]): string {
  return `table ${ip} lab {\n${parts.join('\n')}\n}\n`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  return [`  chain ${name} {`, `    type ${hook};`, ...rules.map((rule) => `    ${rule}`), '  }'].join('\n');
}

function dynamicSet(name: string, key: string): string {
  return `  set ${name} { type ${key}; flags dynamic,timeout; timeout ${MAPPING_LIFETIME}; size 65535; }`;
}

function dynamicMap(name: string, key: string, data: string): string {
  return `  map ${name} { type ${key} : ${data}; flags dynamic,timeout; timeout ${MAPPING_LIFETIME}; size 65535; }`;
}

function reject(ip: IpKeyword, reason: 'port-unreachable' | 'admin-prohibited'): string {
  return `reject with ${ip === 'ip' ? 'icmp' : 'icmpv6'} ${reason}`;
}

function addressType(ip: IpKeyword): string {
  return ip === 'ip' ? 'ipv4_addr' : 'ipv6_addr';
}

function anyAddress(ip: IpKeyword): string {
  return ip === 'ip' ? '0.0.0.0' : '::';
}
