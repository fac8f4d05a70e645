import { parseIpAddress } from '../../shared/address.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { Network } from './network.ts';
import { endpointKey, sourceKey, type Packet } from './packet.ts';
import { createPortAllocator, type PortAllocation, type PortAllocator } from './ports.ts';
import type { Random } from './random.ts';
import type { Middlebox, Passage } from './realm.ts';

/** Which part of the remote endpoint a mapping or filter depends on (RFC 4787 §4.1 and §5). */
export type Dependence = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';

/** A NAT is what it keys its mappings by, what it keys its filters by, and how it picks ports. */
export interface NatBehaviour {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  readonly ports: PortAllocation;
  /** With several external addresses: one for each internal address, or one for each mapping (RFC 4787 §4.1). */
  readonly pooling?: 'paired' | 'arbitrary';
  /** RFC 4787 §4.3. */
  readonly lifetime?: MappingLifetime;
  /**
   * What an inside host sees that is sent to by another through the external address (RFC 4787 §6);
   * `none` drops it.
   */
  readonly hairpin?: 'none' | 'external-source' | 'internal-source';
  /** An application layer gateway: its external address inside incoming payloads becomes the internal one. */
  readonly rewritesPayloads?: boolean;
  /** External ports mapped by hand or by a port mapper: whatever comes for them goes to that inside endpoint. */
  readonly forwards?: ReadonlyMap<number, Endpoint>;
}

export interface MappingLifetime {
  readonly idleMs: number;
  readonly refreshedByOutbound: boolean;
  readonly refreshedByInbound: boolean;
}

/** RFC 4787 REQ-5: five minutes recommended; REQ-6: outbound refreshes. */
const DEFAULT_LIFETIME: MappingLifetime = {
  idleMs: 300_000,
  refreshedByOutbound: true,
  refreshedByInbound: false,
};

interface Mapping {
  /** Its key among the mappings of the inside. */
  readonly key: string;
  readonly internalAddress: string;
  readonly internalPort: number;
  readonly externalAddress: string;
  readonly externalPort: number;
  /** The remote endpoints sent to, each cut to what the filter looks at. */
  readonly contacted: Set<string>;
  expiresAt: number;
}

/** The key of a remote endpoint for something that depends on that much of it: the rest is left out. */
export function scopeKey(dependence: Dependence, address: string, port: number): string {
  switch (dependence) {
    case 'endpoint-independent':
      return '';
    case 'address-dependent':
      return address;
    case 'address-and-port-dependent':
      return endpointKey(address, port);
  }
}

/** A copy with every occurrence of one address, as bytes, turned into another of its family. */
function replaceAddress(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const wanted = Buffer.from(parseIpAddress(from)!);
  const copy = Buffer.from(bytes);
  for (let at = copy.indexOf(wanted); at !== -1; at = copy.indexOf(wanted, at + wanted.length)) {
    copy.set(parseIpAddress(to)!, at);
  }
  return copy;
}

/** A NAT by RFC 4787. Filter state belongs to the mapping and goes with it. */
export class Nat implements Middlebox {
  readonly externalAddresses: readonly string[];
  readonly isTransparent = false;
  readonly #network: Network;
  readonly #behaviour: NatBehaviour;
  readonly #lifetime: MappingLifetime;
  readonly #random: Random;
  readonly #allocators = new Map<string, PortAllocator>();
  readonly #pairedWith = new Map<string, string>();
  readonly #byInside = new Map<string, Mapping>();
  /** By external address and port. */
  readonly #byOutside = new Map<string, Map<number, Mapping>>();

  constructor(network: Network, externalAddresses: readonly string[], behaviour: NatBehaviour) {
    this.#network = network;
    this.externalAddresses = externalAddresses;
    this.#behaviour = behaviour;
    this.#lifetime = behaviour.lifetime ?? DEFAULT_LIFETIME;
    this.#random = network.random.fork();
    for (const address of externalAddresses) {
      this.#allocators.set(address, createPortAllocator(behaviour.ports, this.#random));
      this.#byOutside.set(address, new Map());
    }
  }

  handleOutbound(packet: Packet): Passage {
    const isHairpin = this.#allocators.has(packet.destinationAddress);
    if (isHairpin && (this.#behaviour.hairpin ?? 'none') === 'none') return 'drop';
    const mapping = this.#mappingFor(packet);
    if (mapping === undefined) return 'drop';
    const { sourceAddress, sourcePort } = packet;
    packet.sourceAddress = mapping.externalAddress;
    packet.sourcePort = mapping.externalPort;
    if (!isHairpin) return 'pass';
    if (this.handleInbound(packet) !== 'pass') return 'drop';
    if (this.#behaviour.hairpin === 'internal-source') {
      packet.sourceAddress = sourceAddress;
      packet.sourcePort = sourcePort;
    }
    return 'turn';
  }

  handleInbound(packet: Packet): Passage {
    const forwarded = this.#behaviour.forwards?.get(packet.destinationPort);
    if (forwarded !== undefined) {
      packet.destinationAddress = forwarded.address;
      packet.destinationPort = forwarded.port;
      return 'pass';
    }
    const mapping = this.#live(this.#byOutside.get(packet.destinationAddress)?.get(packet.destinationPort));
    if (mapping === undefined) return 'drop';
    const { filtering } = this.#behaviour;
    if (!mapping.contacted.has(scopeKey(filtering, packet.sourceAddress, packet.sourcePort))) return 'drop';
    if (this.#lifetime.refreshedByInbound) this.#refresh(mapping);
    packet.destinationAddress = mapping.internalAddress;
    packet.destinationPort = mapping.internalPort;
    if (this.#behaviour.rewritesPayloads === true) {
      packet.bytes = replaceAddress(packet.bytes, mapping.externalAddress, mapping.internalAddress);
    }
    return 'pass';
  }

  /** The mapping that a packet from the inside uses, made or refreshed by it. */
  #mappingFor(packet: Packet): Mapping | undefined {
    const { mapping: dependence, filtering } = this.#behaviour;
    const { destinationAddress: address, destinationPort: port } = packet;
    const key = `${sourceKey(packet)}>${scopeKey(dependence, address, port)}`;
    let mapping = this.#live(this.#byInside.get(key));
    // An ICMP error about a datagram from outside: it uses the datagram's mapping or none.
    if (packet.kind !== 'udp') return mapping;
    if (mapping === undefined) {
      mapping = this.#createMapping(key, packet);
      if (mapping === undefined) return undefined;
    } else if (this.#lifetime.refreshedByOutbound) {
      this.#refresh(mapping);
    }
    mapping.contacted.add(scopeKey(filtering, address, port));
    return mapping;
  }

  #createMapping(key: string, packet: Packet): Mapping | undefined {
    const { sourceAddress: internalAddress, sourcePort: internalPort } = packet;
    const externalAddress = this.#pickAddress(internalAddress);
    const taken = this.#byOutside.get(externalAddress)!;
    const externalPort = this.#allocators
      .get(externalAddress)!
      .allocate(internalAddress, internalPort, (port) => this.#live(taken.get(port)) === undefined);
    if (externalPort === undefined) return undefined;
    const mapping: Mapping = {
      key,
      internalAddress,
      internalPort,
      externalAddress,
      externalPort,
      contacted: new Set(),
      expiresAt: this.#network.now + this.#lifetime.idleMs,
    };
    this.#byInside.set(key, mapping);
    taken.set(externalPort, mapping);
    return mapping;
  }

  #pickAddress(internalAddress: string): string {
    const known = this.#pairedWith.get(internalAddress);
    if (known !== undefined) return known;
    const picked = this.externalAddresses[this.#random.integer(0, this.externalAddresses.length - 1)]!;
    if (this.#behaviour.pooling !== 'arbitrary') this.#pairedWith.set(internalAddress, picked);
    return picked;
  }

  #refresh(mapping: Mapping): void {
    mapping.expiresAt = this.#network.now + this.#lifetime.idleMs;
  }

  /** The mapping if it hasn't expired; else it is forgotten. */
  #live(mapping: Mapping | undefined): Mapping | undefined {
    if (mapping === undefined || mapping.expiresAt > this.#network.now) return mapping;
    this.#byInside.delete(mapping.key);
    this.#byOutside.get(mapping.externalAddress)!.delete(mapping.externalPort);
    return undefined;
  }
}
