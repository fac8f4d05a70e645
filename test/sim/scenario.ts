import type { Family } from '../../shared/endpoint.ts';
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';
import type { Nat64Prefix } from '../../shared/nat64.ts';
import { FragmentFilter, StatefulFirewall, StatelessRouter, UdpBlock } from './firewall.ts';
import { Host } from './host.ts';
import type { DirectionOptions, LinkOptions } from './link.ts';
import { LinuxRouter, type LinuxRouterOptions } from './linux-router.ts';
import { Nat, type Dependence, type NatBehaviour } from './nat.ts';
import { Nat64 } from './nat64.ts';
import { Network } from './network.ts';
import { PrefixTranslator, type PrefixPair } from './nptv6.ts';
import type { Middlebox, Realm } from './realm.ts';
import { SimulatedServer, type SimulatedServerOptions } from './server.ts';
import { TwoUplinks, type Balance } from './uplinks.ts';

/** A box between the client and the internet. */
export type Layer =
  | { readonly kind: 'nat'; readonly behaviour: NatBehaviour; readonly poolSize?: number }
  | ({ readonly kind: 'linux-router' } & LinuxRouterOptions)
  | { readonly kind: 'two-uplinks'; readonly behaviour: NatBehaviour; readonly balance: Balance }
  | { readonly kind: 'firewall'; readonly filtering: Dependence }
  | { readonly kind: 'stateless-router' }
  | {
      readonly kind: 'udp-block';
      readonly blocked: 'outbound' | 'inbound' | 'both';
      readonly rejects?: boolean;
    }
  | {
      readonly kind: 'fragment-filter';
      readonly blocked: 'outbound' | 'inbound' | 'both';
      readonly mtuBytes: number;
    }
  /** Of the client's IPv6 prefix, of this many bits. */
  | { readonly kind: 'nptv6'; readonly length: 48 | 64 }
  /** The outermost box of a scenario in IPv4; the client has IPv6 alone. */
  | { readonly kind: 'nat64'; readonly behaviour: NatBehaviour; readonly prefix: Nat64Prefix };

/** What is in front of a client, and what a probe there should find. */
export interface Scenario {
  readonly name: string;
  readonly family: Family;
  /** From the client outwards. */
  readonly layers: readonly Layer[];
  readonly truth: Truth;
}

export interface Truth {
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
}

export interface Conditions {
  readonly seed: number;
  /** Half of it each way, on the outermost link. */
  readonly rttMs: number;
  /** What else the outermost link does, each way with a chance of its own. */
  readonly rough?: Omit<DirectionOptions, 'delayMs'>;
  /** What the client's link to the innermost box does; without boxes there is only the outermost link. */
  readonly access?: DirectionOptions;
  readonly server?: Omit<SimulatedServerOptions, 'addresses'>;
  /** What a NAT has outside where another one is outside of it, if not a carrier's shared address. */
  readonly innerOutside?: string;
  /** The server has only the first of its addresses. */
  readonly oneAddress?: boolean;
}

export interface World {
  readonly family: Family;
  readonly network: Network;
  readonly client: Host;
  /** The client's own realm. */
  readonly lan: Realm;
  readonly server: SimulatedServer;
  /** Through which the client reaches the server, if that takes a NAT64. */
  readonly nat64: Nat64Prefix | undefined;
}

/** Addresses from the documentation ranges (RFC 5737, RFC 3849); an inner NAT's are shared or private ones. */
const ADDRESS_PLAN = {
  ipv4: {
    servers: ['192.0.2.1', '192.0.2.2'],
    pool: (index: number) => `203.0.113.${index + 1}`,
    inner: (depth: number) => `100.64.${depth}.2`,
    publicClient: '203.0.113.100',
    privateClient: '10.0.0.2',
  },
  ipv6: {
    servers: ['2001:db8::1', '2001:db8::2'],
    pool: (index: number) => `2001:db8:ff::${index + 1}`,
    inner: (depth: number) => `fd64:${depth}::2`,
    publicClient: '2001:db8:ff::100',
    privateClient: 'fd00::2',
  },
} as const;

/** Builds a scenario's network with a client in it and one server on the internet. */
export function buildWorld(scenario: Scenario, conditions: Conditions): World {
  const network = new Network(conditions.seed);
  const plan = ADDRESS_PLAN[scenario.family];
  const direction = { delayMs: conditions.rttMs / 2, ...conditions.rough };
  const wan: LinkOptions = { up: direction, down: direction };
  let lan = network.internet;
  let isTranslated = false;
  const outermostFirst = [...scenario.layers].reverse();
  for (const [depth, layer] of outermostFirst.entries()) {
    const addresses = isTranslated
      ? [conditions.innerOutside ?? plan.inner(depth)]
      : poolOf(layer, plan.pool);
    const box = createBox(network, layer, addresses);
    isTranslated ||= !box.isTransparent;
    lan = lan.addRealmBehind(
      box,
      `${scenario.name}, ${scenario.layers.length - depth} from inside`,
      depth === 0 ? wan : undefined,
    );
  }
  const access = conditions.access && { up: conditions.access, down: conditions.access };
  const ownLink = scenario.layers.length === 0 ? wan : access;
  const nat64 = scenario.layers.find((layer) => layer.kind === 'nat64')?.prefix;
  const { privateClient, publicClient } = nat64 === undefined ? plan : ADDRESS_PLAN.ipv6;
  const client = new Host(lan, [isTranslated ? privateClient : publicClient], ownLink);
  const [primary, alternate] = plan.servers;
  const server = new SimulatedServer(network, {
    ...conditions.server,
    addresses: conditions.oneAddress === true ? [primary] : [primary, alternate],
  });
  return { family: scenario.family, network, client, lan, server, nat64 };
}

function poolOf(layer: Layer, addressAt: (index: number) => string): string[] {
  return Array.from({ length: addressesOf(layer) }, (_, index) => addressAt(index));
}

function addressesOf(layer: Layer): number {
  if (layer.kind === 'two-uplinks') return 2;
  return layer.kind === 'nat' ? (layer.poolSize ?? 1) : 1;
}

/** The box of a layer, with its addresses outside. */
export function createBox(network: Network, layer: Layer, addresses: readonly string[]): Middlebox {
  switch (layer.kind) {
    case 'nat':
      return new Nat(network, addresses, layer.behaviour);
    case 'linux-router':
      return new LinuxRouter(network, addresses[0]!, layer);
    case 'two-uplinks':
      return new TwoUplinks(network, addresses, layer.behaviour, layer.balance);
    case 'firewall':
      return new StatefulFirewall(network, layer.filtering);
    case 'stateless-router':
      return new StatelessRouter();
    case 'udp-block':
      return new UdpBlock(layer.blocked, layer.rejects);
    case 'fragment-filter':
      return new FragmentFilter(layer.blocked, layer.mtuBytes);
    case 'nptv6':
      return new PrefixTranslator([ADDRESS_PLAN.ipv6.privateClient], prefixesOf(layer.length));
    case 'nat64':
      return new Nat64(new Nat(network, addresses, layer.behaviour), layer.prefix);
  }
}

function prefixesOf(length: 48 | 64): PrefixPair {
  return { inner: { address: 'fd00::', length }, outer: { address: '2001:db8:ff::', length } };
}
