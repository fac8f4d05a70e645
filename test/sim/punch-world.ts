/** Networks with two hosts that may punch to each other. */
import type { Side } from '../../shared/punch/plain.ts';
import { Host } from './host.ts';
import type { LossOptions } from './loss.ts';
import { Network } from './network.ts';
import type { Realm } from './realm.ts';
import { createBox, type Layer } from './scenario.ts';
import { SimulatedServer } from './server.ts';

export interface PunchSetup {
  readonly seed: number;
  /** From one side to the other and back. */
  readonly rttMs: number;
  /** Each way, once. */
  readonly loss?: LossOptions;
  /** What is in front of each, from the inside out. */
  readonly a: readonly Layer[];
  readonly b: readonly Layer[];
  /** What is in front of both beyond that. */
  readonly common?: readonly Layer[];
  /** The same over IPv6, where both have that as well; without it they have IPv4 alone. */
  readonly ipv6?: Readonly<Record<Side, readonly Layer[]>>;
}

export interface PunchWorld {
  readonly network: Network;
  readonly rttMs: number;
  readonly hosts: Readonly<Record<Side, Host>>;
  /** What each side has of IPv6, if they have it: hosts of their own. */
  readonly hosts6?: Readonly<Record<Side, Host>>;
  /** Where each host is. */
  readonly realms: Readonly<Record<Side, Realm>>;
  /** What either can be measured with. */
  readonly server: SimulatedServer;
  /** Where both meet. */
  readonly rendezvous: Host;
}

export function buildPunchWorld({ seed, rttMs, loss, a, b, common = [], ipv6 }: PunchSetup): PunchWorld {
  const network = new Network(seed);
  const builder = new Builder(network, rttMs, loss);
  const internet = { realm: network.internet, isTranslated: false, hasLink: false };
  const shared = builder.addLayers(internet, common, '203.0.113.10');
  const places = {
    a: builder.addLayers(shared, a, '203.0.113.1'),
    b: builder.addLayers(shared, b, '203.0.113.2'),
  };
  // In one realm they have neighbouring addresses; in two each has the address that most homes use.
  const inOne = places.a.realm === places.b.realm;
  const hosts = {
    a: builder.addHost(places.a, '10.0.0.2', '198.51.100.1'),
    b: builder.addHost(places.b, inOne ? '10.0.0.3' : '10.0.0.2', '198.51.100.2'),
  };
  const host6 = (layers: readonly Layer[], net: number): Host => {
    const place = builder.addLayers(internet, layers, `2001:db8:${net}::1`);
    return builder.addHost(place, 'fd00::2', `2001:db8:${net}::2`);
  };
  const hosts6 = ipv6 && { a: host6(ipv6.a, 1), b: host6(ipv6.b, 2) };
  const server = new SimulatedServer(network, { addresses: ['192.0.2.1', '192.0.2.2'] });
  const rendezvous = new Host(network.internet, ['192.0.2.50']);
  const realms = { a: places.a.realm, b: places.b.realm };
  return { network, rttMs, hosts, ...(hosts6 && { hosts6 }), realms, server, rendezvous };
}

interface Place {
  readonly realm: Realm;
  readonly isTranslated: boolean;
  /** Whether the way to the internet is on it already. */
  readonly hasLink: boolean;
}

class Builder {
  readonly #network: Network;
  readonly #link;
  #inner = 1;

  /** A quarter of the round trip on each side each way; what is lost is lost on the way out. */
  constructor(network: Network, rttMs: number, loss: LossOptions | undefined) {
    this.#network = network;
    this.#link = {
      up: { delayMs: rttMs / 4, ...(loss !== undefined && { loss }) },
      down: { delayMs: rttMs / 4 },
    };
  }

  addLayers(outside: Place, layers: readonly Layer[], address: string): Place {
    let place = outside;
    for (const layer of [...layers].reverse()) {
      const own = place.isTranslated ? `100.64.0.${++this.#inner}` : address;
      const box = createBox(this.#network, layer, [own]);
      const link = place.hasLink ? undefined : this.#link;
      place = {
        realm: place.realm.addRealmBehind(box, `behind ${own}`, link),
        isTranslated: place.isTranslated || !box.isTransparent,
        hasLink: true,
      };
    }
    return place;
  }

  addHost({ realm, isTranslated, hasLink }: Place, privateAddress: string, publicAddress: string): Host {
    return new Host(realm, [isTranslated ? privateAddress : publicAddress], hasLink ? undefined : this.#link);
  }
}
