import type { Host } from './host.ts';
import { Link, type Direction, type LinkOptions } from './link.ts';
import type { Network } from './network.ts';
import { icmpErrorFor, passRouters, type Packet } from './packet.ts';

/**
 * What a box between two realms does with a packet: let it through (rewritten or not), drop it,
 * drop it with an ICMP port unreachable, or send it back to the side that it came from (hairpin).
 */
export type Passage = 'pass' | 'drop' | 'reject' | 'turn';

/** A NAT or firewall. Both methods may rewrite the packet. */
export interface Middlebox {
  /** Addresses of its own in the outside realm. None for a firewall: it routes what is behind it. */
  readonly externalAddresses: readonly string[];
  /** Whether the hosts behind it keep their addresses outside. */
  readonly isTransparent: boolean;
  /** From the inside to the outside. */
  handleOutbound(packet: Packet): Passage;
  /** From the outside to the inside. */
  handleInbound(packet: Packet): Passage;
}

interface Route {
  readonly arrive: (packet: Packet) => void;
  readonly link: Link | undefined;
  /** Undefined where a box has the address itself. */
  readonly host: Host | undefined;
}

/** The links between a realm and a host, in the order in which a packet meets them each way. */
export interface Path {
  readonly there: readonly Direction[];
  readonly back: readonly Direction[];
  readonly host: Host | undefined;
}

/** The way out of a realm: a box, and the link on its outside. */
interface Gateway {
  readonly box: Middlebox;
  readonly outside: Realm;
  readonly link: Link | undefined;
}

/** One addressing realm: who has which address in it, and the box that leads out of it. */
export class Realm {
  readonly name: string;
  readonly network: Network;
  readonly #routes = new Map<string, Route>();
  readonly #routers: number;
  #gateway: Gateway | undefined;

  /** `routers` are between any two of its addresses, besides boxes. */
  constructor(network: Network, name: string, routers = 0) {
    this.network = network;
    this.name = name;
    this.#routers = routers;
  }

  /** A new realm behind `box`, whose outside is this realm. */
  addRealmBehind(box: Middlebox, name: string, linkOptions?: LinkOptions): Realm {
    const link = linkOptions && new Link(this.network, linkOptions);
    const inside = new Realm(this.network, name);
    inside.#gateway = { box, outside: this, link };
    for (const address of box.externalAddresses) {
      this.#addRoute(address, { arrive: (packet) => inside.#enter(packet), link, host: undefined });
      this.#exposeOutside(address, undefined);
    }
    return inside;
  }

  /**
   * Gives `address` to `host`, behind `link`, here and outside of the firewalls around this realm.
   * Throws if the address is taken: that is a mistake in a test.
   */
  attach(address: string, host: Host, link: Link | undefined): void {
    this.#addRoute(address, { arrive: (packet) => host.receive(packet), link, host });
    this.#exposeOutside(address, host);
  }

  /** Carries a packet to whoever has its destination address, here or further out. */
  readonly route = (packet: Packet): void => {
    const route = this.#routes.get(packet.destinationAddress);
    if (route !== undefined) {
      if (!passRouters(packet, this.#routers)) this.network.trace?.('expired', packet);
      else if (route.link === undefined) route.arrive(packet);
      else route.link.down.carry(packet, route.arrive);
    } else if (this.#gateway !== undefined) {
      this.#leave(packet, this.#gateway);
    } else {
      this.network.trace?.('no-route', packet);
    }
  };

  /** The way from here to `address`, past all boxes, or undefined if nobody has it. */
  pathTo(address: string): Path | undefined {
    const route = this.#routes.get(address);
    if (route !== undefined) {
      const { link, host } = route;
      return link === undefined
        ? { there: [], back: [], host }
        : { there: [link.down], back: [link.up], host };
    }
    const link = this.#gateway?.link;
    const beyond = this.#gateway?.outside.pathTo(address);
    if (link === undefined || beyond === undefined) return beyond;
    return { there: [link.up, ...beyond.there], back: [...beyond.back, link.down], host: beyond.host };
  }

  /** A firewall has no addresses of its own: what is behind it is reached through it. */
  #exposeOutside(address: string, host: Host | undefined): void {
    if (this.#gateway?.box.isTransparent !== true) return;
    const { outside, link } = this.#gateway;
    outside.#addRoute(address, { arrive: (packet) => this.#enter(packet), link, host });
    outside.#exposeOutside(address, host);
  }

  #addRoute(address: string, route: Route): void {
    if (this.#routes.has(address)) throw new Error(`${this.name} has two of ${address}`);
    this.#routes.set(address, route);
  }

  #leave(packet: Packet, gateway: Gateway): void {
    // A router looks at the TTL before it translates: what dies there opens nothing.
    if (!passRouters(packet, 1)) {
      this.network.trace?.('expired', packet);
      return;
    }
    switch (gateway.box.handleOutbound(packet)) {
      case 'pass':
        send(packet, gateway);
        return;
      case 'turn':
        this.route(packet);
        return;
      case 'reject':
        this.network.trace?.('rejected', packet);
        if (packet.kind === 'udp') this.route(icmpErrorFor(packet, 'port-unreachable'));
        return;
      case 'drop':
        this.network.trace?.('dropped', packet);
    }
  }

  #enter(packet: Packet): void {
    const gateway = this.#gateway!;
    switch (gateway.box.handleInbound(packet)) {
      case 'pass':
        if (passRouters(packet, 1)) this.route(packet);
        else this.network.trace?.('expired', packet);
        return;
      case 'turn':
        send(packet, gateway);
        return;
      case 'reject':
        this.network.trace?.('rejected', packet);
        if (packet.kind === 'udp') send(icmpErrorFor(packet, 'port-unreachable'), gateway);
        return;
      case 'drop':
        this.network.trace?.('dropped', packet);
    }
  }
}

function send(packet: Packet, gateway: Gateway): void {
  if (gateway.link === undefined) gateway.outside.route(packet);
  else gateway.link.up.carry(packet, gateway.outside.route);
}
