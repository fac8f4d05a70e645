/**
 * The lab's internet: a server's namespace and any number of sites (a client behind gateways),
 * joined by one router. All of it is real: veth devices, the kernel's forwarding, netfilter's NAT.
 *
 *     server ── router ──┬── gateway ── client            a site
 *                        └── gateway ── gateway ── client  a site with two layers
 */
import type { Family } from '../../shared/endpoint.ts';
import { translatePrefix } from '../support/nptv6.ts';
import { namespaceMaker, type Namespace } from './namespaces.ts';
import type { Gateway, LabNat } from './nats.ts';
import { rulesetOf, type NetworkPrefixes } from './ruleset.ts';

/** Both addresses of the server, in both families (documentation prefixes: RFC 5737, RFC 3849). */
export const SERVER_ADDRESSES: Readonly<
  Record<Family, { readonly primary: string; readonly alternate: string }>
> = {
  ipv4: { primary: '203.0.113.10', alternate: '203.0.113.20' },
  ipv6: { primary: '2001:db8::10', alternate: '2001:db8::20' },
};

export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

export interface Internet {
  readonly server: Namespace;
  /** The host that has the alternate address, where that is another one. */
  readonly secondServer: Namespace | undefined;
  /** What joins all; both servers reach it at ROUTER_ADDRESS. */
  readonly router: Namespace;
  /** Connects a client behind this NAT. At most 31 at a time. */
  attach(nat: LabNat): Promise<Site>;
  /** Removes everything. */
  close(): Promise<void>;
}

export interface Site {
  readonly nat: LabNat;
  readonly client: Namespace;
  /** The client's own addresses. */
  readonly clientAddress: Readonly<Record<Family, string>>;
  /** The outermost gateway's outer addresses. */
  readonly outerAddress: Readonly<Record<Family, string>>;
  /** Loses this share of packets (0 to 99 percent), independently, each way. */
  setLoss(percent: number): Promise<void>;
  /**
   * Empties the gateways' tables. Without it a run that happens to get a local port of an earlier one
   * finds that one's mapping and filter (one run in some thousands), as it would anywhere.
   */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes the internet with nobody connected; with two hosts, each has one of the server's addresses. Throws
 * where labMissing() gives a reason.
 */
export async function openInternet(servers: 'one-host' | 'two-hosts' = 'one-host'): Promise<Internet> {
  const maker = namespaceMaker();
  const openHost = async (name: string): Promise<Namespace> => {
    const namespace = await maker.open(name);
    await namespace.script(HOST_SETTINGS);
    return namespace;
  };
  const [router, server, secondServer] = await Promise.all([
    openHost('router'),
    openHost('server'),
    servers === 'two-hosts' ? openHost('second server') : undefined,
  ]);
  const sites = new Map<number, Site>();
  const freeNumbers = Array.from({ length: MOST_SITES }, (_, index) => index + 1);

  const removeAll = async (): Promise<void> => {
    await Promise.all([...sites.values()].map((site) => site.close()));
    await Promise.all([router.close(), server.close(), secondServer?.close()]);
  };

  try {
    await router.script(FORWARDING);
    await joinNetworks(server, 'net', router, 'server', SERVER_NETWORK);
    if (secondServer === undefined) {
      const { prefix } = SERVER_NETWORK;
      const alternates = FAMILIES.map((family) =>
        addAddress('net', SERVER_ADDRESSES[family].alternate, prefix[family]),
      );
      await server.script(alternates.join('\n'));
    } else {
      await joinNetworks(secondServer, 'net', router, 'second', SECOND_SERVER_NETWORK);
    }
  } catch (error) {
    await removeAll();
    throw error;
  }

  return {
    server,
    secondServer,
    router,
    async attach(nat) {
      const number = freeNumbers.shift();
      if (number === undefined) throw new Error(`the lab has addresses for ${MOST_SITES} sites at a time`);
      const site = await attachSite(nat, number, router, openHost);
      sites.set(number, site);
      return {
        ...site,
        async close() {
          sites.delete(number);
          await site.close();
          freeNumbers.push(number);
        },
      };
    },
    close: removeAll,
  };
}

/** The two ends of a network between an outer and an inner namespace. */
interface Network {
  /** Address of the end towards the internet. */
  readonly outer: Readonly<Record<Family, string>>;
  readonly inner: Readonly<Record<Family, string>>;
  /** In CIDR notation, for the routes back. */
  readonly prefix: Readonly<Record<Family, string>>;
}

/** A site has 8 addresses of 198.51.100.0/24, and 8 of 192.0.2.0/24 for a client without NAT; the first 8 stay free. */
const MOST_SITES = 31;

const SERVER_NETWORK: Network = {
  outer: { ipv4: '203.0.113.1', ipv6: '2001:db8::1' },
  inner: { ipv4: SERVER_ADDRESSES.ipv4.primary, ipv6: SERVER_ADDRESSES.ipv6.primary },
  prefix: { ipv4: '203.0.113.0/24', ipv6: '2001:db8::/64' },
};

/** Within the other one's, which the server therefore has no route into: the two hosts don't see each other. */
const SECOND_SERVER_NETWORK: Network = {
  outer: { ipv4: '203.0.113.17', ipv6: '2001:db8::21' },
  inner: { ipv4: SERVER_ADDRESSES.ipv4.alternate, ipv6: SERVER_ADDRESSES.ipv6.alternate },
  // Of a shorter prefix that address would be every router's (RFC 4291 §2.6.1).
  prefix: { ipv4: '203.0.113.16/28', ipv6: '2001:db8::20/127' },
};

/** Of the router, for the servers. */
export const ROUTER_ADDRESS = SERVER_NETWORK.outer.ipv4;

async function attachSite(
  nat: LabNat,
  number: number,
  router: Namespace,
  open: (name: string) => Promise<Namespace>,
): Promise<Site> {
  const names = nat.layers.map((_, layer) => `${nat.name} gateway ${layer}`);
  const [client, ...gateways] = await Promise.all([`${nat.name} client`, ...names].map(open));
  const device = `site${number}`;
  const close = async (): Promise<void> => {
    // Its namespaces would take it along, but only some time after their last process.
    await router.script(`ip link delete ${device} 2>/dev/null || true`);
    await Promise.all([client!, ...gateways].map((namespace) => namespace.close()));
  };

  // From the internet inwards: networks[0] is the site's link to the router, the last is the client's.
  const outermostFirst = nat.layers.map((layer, index) => ({ layer, gateway: gateways[index]! })).reverse();
  const networks = [
    linkNetwork(number),
    ...outermostFirst.map(({ layer }, depth) => innerNetwork(layer, number, depth, outermostFirst.length)),
  ];
  try {
    let outer = router;
    for (const [depth, { layer, gateway }] of outermostFirst.entries()) {
      await gateway.script(FORWARDING);
      await joinNetworks(gateway, 'wan', outer, depth === 0 ? device : 'lan', networks[depth]!);
      await gateway.script(rulesScript(layer, prefixesOf(networks[depth + 1]!, number)));
      outer = gateway;
    }
    await joinNetworks(client!, 'net', outer, 'lan', networks.at(-1)!);
    await routeBack(router, outermostFirst, networks, number);
  } catch (error) {
    await close();
    throw error;
  }

  return {
    nat,
    client: client!,
    clientAddress: networks.at(-1)!.inner,
    outerAddress: networks[0]!.inner,
    setLoss: (percent) => router.script(lossScript(device, percent)),
    async forget() {
      for (const [depth, { layer, gateway }] of outermostFirst.entries()) {
        const rules = rulesScript(layer, prefixesOf(networks[depth + 1]!, number));
        await gateway.script(`${rules}\nconntrack --flush 2>/dev/null`);
      }
    },
    close,
  };
}

/** A veth pair between two namespaces, with addresses, up, and the inner one's default route through it. */
async function joinNetworks(
  inner: Namespace,
  innerDevice: string,
  outer: Namespace,
  outerDevice: string,
  network: Network,
): Promise<void> {
  await inner.script(`ip link add ${innerDevice} type veth peer name ${outerDevice} netns ${outer.holder}`);
  await outer.script(
    [
      ...FAMILIES.map((family) => addAddress(outerDevice, network.outer[family], network.prefix[family])),
      `ip link set ${outerDevice} up`,
    ].join('\n'),
  );
  await inner.script(
    [
      ...FAMILIES.map((family) => addAddress(innerDevice, network.inner[family], network.prefix[family])),
      `ip link set ${innerDevice} up`,
      ...FAMILIES.map((family) => `ip route add default via ${network.outer[family]} dev ${innerDevice}`),
    ].join('\n'),
  );
}

// Only a layer that does not translate shows its inner network outside; one that translates the prefix
// shows another network in its stead.
async function routeBack(
  router: Namespace,
  outermostFirst: readonly { layer: Gateway; gateway: Namespace }[],
  networks: readonly Network[],
  number: number,
): Promise<void> {
  for (const family of FAMILIES) {
    let outsides: { namespace: Namespace; via: string }[] = [];
    let outer = router;
    for (const [depth, { layer, gateway }] of outermostFirst.entries()) {
      outsides.push({ namespace: outer, via: networks[depth]!.inner[family] });
      if (translates(layer, family)) outsides = [];
      const own =
        layer[family].kind === 'prefix' ? prefixesOf(networks[depth + 1]!, number).outer : undefined;
      if (own !== undefined) await outer.script(`ip route add ${own} via ${networks[depth]!.inner[family]}`);
      for (const { namespace, via } of outsides) {
        await namespace.script(`ip route add ${networks[depth + 1]!.prefix[family]} via ${via}`);
      }
      outer = gateway;
    }
  }
}

function translates(layer: Gateway, family: Family): boolean {
  const behaviour = layer[family];
  const { kind } = behaviour;
  return kind === 'nat' || kind === 'prefix' || (behaviour.kind === 'udp-blocked' && behaviour.translates);
}

function linkNetwork(number: number): Network {
  const base = number * 8;
  return {
    outer: { ipv4: `198.51.100.${base + 1}`, ipv6: `2001:db8:1:${number}::1` },
    inner: { ipv4: `198.51.100.${base + 2}`, ipv6: `2001:db8:1:${number}::2` },
    prefix: { ipv4: `198.51.100.${base}/29`, ipv6: `2001:db8:1:${number}::/64` },
  };
}

/** What a layer has inside: the shared address space of carriers, a home's private one, or public addresses. */
function innerNetwork(layer: Gateway, number: number, depth: number, layers: number): Network {
  const base = number * 8;
  const carrier = depth < layers - 1;
  const [outer4, inner4, prefix4] = !translates(layer, 'ipv4')
    ? [`192.0.2.${base + 1}`, `192.0.2.${base + 2}`, `192.0.2.${base}/29`]
    : carrier
      ? ['100.64.0.1', '100.64.0.2', '100.64.0.0/24']
      : ['192.168.1.1', '192.168.1.2', '192.168.1.0/24'];
  const prefix6 = translates(layer, 'ipv6') ? `fd00:${number}:${depth}` : `2001:db8:2${depth}:${number}`;
  return {
    outer: { ipv4: outer4, ipv6: `${prefix6}::1` },
    // Unlike the gateway's outer suffix, by which a translation of prefixes is told from others.
    inner: { ipv4: inner4, ipv6: `${prefix6}::1:2` },
    prefix: { ipv4: prefix4, ipv6: `${prefix6}::/64` },
  };
}

/** What a translation of prefixes makes of a gateway's inner IPv6 network, by RFC 6296 in a site's own /48. */
function prefixesOf({ prefix: { ipv6: inner } }: Network, number: number): NetworkPrefixes {
  const [address, length] = inner.split('/') as [string, string];
  const outside = { address: `2001:db8:3${String(number).padStart(2, '0')}::`, length: 48 };
  return { inner, outer: `${translatePrefix(address, { address, length: 48 }, outside)}/${length}` };
}

function rulesScript(layer: Gateway, prefixes: NetworkPrefixes): string {
  const { primary, alternate } = SERVER_ADDRESSES.ipv4;
  const six = SERVER_ADDRESSES.ipv6;
  return [
    'nft -f - <<END',
    'flush ruleset',
    rulesetOf(layer.ipv4, 'ipv4', [primary, alternate], prefixes),
    rulesetOf(layer.ipv6, 'ipv6', [six.primary, six.alternate], prefixes),
    'END',
    layer.setup ?? '',
  ].join('\n');
}

function addAddress(device: string, address: string, prefix: string): string {
  return `ip address add ${address}/${prefix.split('/')[1]!} dev ${device}`;
}

// Duplicate address detection would hold every IPv6 address back for a second or two.
const HOST_SETTINGS = `
ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad
echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits
`;

const FORWARDING = `
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
`;

// A table for each site; declared, deleted and made anew in one transaction.
function lossScript(device: string, percent: number): string {
  const drop = `numgen random mod 100 < ${percent} drop`;
  return `
nft -f - <<END
table inet ${device}
delete table inet ${device}
table inet ${device} {
  chain loss {
    type filter hook forward priority filter;
    ${percent === 0 ? '' : `iifname "${device}" ${drop}; oifname "${device}" ${drop}`}
  }
}
END
`;
}
