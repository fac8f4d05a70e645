import { familyOf, type Endpoint, type Family } from '../../shared/endpoint.ts';
import { Link, type LinkOptions } from './link.ts';
import type { Network } from './network.ts';
import {
  destinationKey,
  endpointKey,
  icmpErrorFor,
  udpPacket,
  type IcmpError,
  type Packet,
} from './packet.ts';
import type { Random } from './random.ts';
import type { Realm } from './realm.ts';
import type { TcpService } from './tcp.ts';

/** What a socket tells its owner. */
export interface SocketEvents {
  /** `bytes` is shared with duplicates: read it, don't change it. */
  onDatagram(bytes: Uint8Array, from: Endpoint): void;
  /** An ICMP error; only a connected socket is told, as on Linux. */
  onRefused?(to: Endpoint, reason: IcmpError): void;
}

/** Linux's default ip_local_port_range. */
const FIRST_EPHEMERAL_PORT = 32768;
const LAST_EPHEMERAL_PORT = 60999;

/** A machine with addresses in one realm. */
export class Host {
  readonly network: Network;
  readonly realm: Realm;
  readonly #random: Random;
  readonly #addresses: string[] = [];
  readonly #links = new Map<string, Link | undefined>();
  readonly #sockets = new Map<string, UdpSocket>();
  readonly #tcpServices = new Map<string, TcpService>();

  constructor(realm: Realm, addresses: readonly string[], link?: LinkOptions) {
    this.network = realm.network;
    this.realm = realm;
    this.#random = this.network.random.fork();
    for (const address of addresses) this.addAddress(address, link);
  }

  /** Another address, with an access link of its own if `linkOptions` is given. */
  addAddress(address: string, linkOptions?: LinkOptions): void {
    const link = linkOptions && new Link(this.network, linkOptions);
    this.#addresses.push(address);
    this.#links.set(address, link);
    this.realm.attach(address, this, link);
  }

  /** The address that the host sends from in a family: its first. */
  addressOf(family: Family): string | undefined {
    return this.#addresses.find((address) => familyOf(address) === family);
  }

  hasAddress(address: string): boolean {
    return this.#links.has(address);
  }

  linkOf(address: string): Link | undefined {
    return this.#links.get(address);
  }

  /**
   * A socket on `local`; port 0 is a free ephemeral one at random. With `peer` it is connected: it
   * hears nobody else, and ICMP errors. Undefined if the port is taken.
   */
  openSocket(local: Endpoint, events: SocketEvents, peer?: Endpoint): UdpSocket | undefined {
    if (!this.hasAddress(local.address)) throw new Error(`no such address: ${local.address}`);
    const port = local.port === 0 ? this.#freePort(local.address) : local.port;
    const key = endpointKey(local.address, port);
    if (this.#sockets.has(key)) return undefined;
    const socket = new UdpSocket(this, { address: local.address, port }, events, peer);
    this.#sockets.set(key, socket);
    return socket;
  }

  /** Frees the port. Called by the socket. */
  releaseSocket(socket: UdpSocket): void {
    this.#sockets.delete(endpointKey(socket.local.address, socket.local.port));
  }

  /** What answers TCP connections to `at`; without one they are refused. */
  setTcpService(at: Endpoint, service: TcpService): void {
    this.#tcpServices.set(endpointKey(at.address, at.port), service);
  }

  tcpServiceAt(at: Endpoint): TcpService | undefined {
    return this.#tcpServices.get(endpointKey(at.address, at.port));
  }

  /** Hands a packet to the network. Nothing happens before the caller has returned. */
  send(packet: Packet): void {
    this.network.trace?.('sent', packet);
    const link = this.#links.get(packet.sourceAddress);
    if (link === undefined) this.network.schedule(this.network.now, () => this.realm.route(packet));
    else link.up.carry(packet, this.realm.route);
  }

  /** Called by the realm. A port where nobody listens draws an ICMP error. */
  receive(packet: Packet): void {
    const socket = this.#sockets.get(destinationKey(packet));
    if (socket === undefined) {
      this.network.trace?.('no-port', packet);
      if (packet.kind === 'udp') this.send(icmpErrorFor(packet, 'port-unreachable'));
      return;
    }
    this.network.trace?.('delivered', packet);
    socket.receive(packet);
  }

  #freePort(address: string): number {
    for (;;) {
      const port = this.#random.integer(FIRST_EPHEMERAL_PORT, LAST_EPHEMERAL_PORT);
      if (!this.#sockets.has(endpointKey(address, port))) return port;
    }
  }
}

export class UdpSocket {
  readonly local: Endpoint;
  readonly #host: Host;
  readonly #events: SocketEvents;
  readonly #peer: Endpoint | undefined;

  constructor(host: Host, local: Endpoint, events: SocketEvents, peer: Endpoint | undefined) {
    this.#host = host;
    this.local = local;
    this.#events = events;
    this.#peer = peer;
  }

  /** Takes the bytes as they are: the caller doesn't change them afterwards. */
  send(to: Endpoint, bytes: Uint8Array, ttl?: number): void {
    this.#host.send(udpPacket(this.local, to, bytes, ttl));
  }

  close(): void {
    this.#host.releaseSocket(this);
  }

  /** Called by the host. */
  receive(packet: Packet): void {
    const from = { address: packet.sourceAddress, port: packet.sourcePort };
    const peer = this.#peer;
    const isFromPeer = peer !== undefined && peer.port === from.port && peer.address === from.address;
    if (packet.kind !== 'udp') {
      if (isFromPeer) this.#events.onRefused?.(from, packet.kind);
    } else if (peer === undefined || isFromPeer) {
      this.#events.onDatagram(packet.bytes, from);
    }
  }
}
