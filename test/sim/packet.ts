import { familyOf, type Endpoint } from '../../shared/endpoint.ts';

/**
 * A UDP datagram, or an ICMP error about one, on its way through the simulated network.
 *
 * An ICMP error travels as if the endpoint that can't be reached had sent it to the datagram's
 * sender, which is what the header that it quotes says, and how a NAT finds whom to hand it to.
 * Boxes on the way rewrite the addresses in place.
 */
export interface Packet {
  readonly kind: 'udp' | IcmpError;
  sourceAddress: string;
  sourcePort: number;
  destinationAddress: string;
  destinationPort: number;
  /** Their content is not to be changed by anybody, since duplicates share it; a box may put others here. Empty for ICMP errors. */
  bytes: Uint8Array;
  /** Routers that it still gets past, and one less; undefined for more than there are. */
  ttl?: number;
}

export type IcmpError = 'port-unreachable' | 'unreachable';

const NO_BYTES = new Uint8Array(0);

export function udpPacket(from: Endpoint, to: Endpoint, bytes: Uint8Array, ttl?: number): Packet {
  return {
    kind: 'udp',
    sourceAddress: from.address,
    sourcePort: from.port,
    destinationAddress: to.address,
    destinationPort: to.port,
    bytes,
    ...(ttl !== undefined && { ttl }),
  };
}

/** Takes the packet past `routers` more; false if it dies there (RFC 791 §3.2: at a TTL of zero). */
export function passRouters(packet: Packet, routers: number): boolean {
  if (packet.ttl === undefined) return true;
  packet.ttl -= routers;
  return packet.ttl > 0;
}

/** The ICMP error that `packet` draws. */
export function icmpErrorFor(packet: Packet, kind: IcmpError): Packet {
  return {
    kind,
    sourceAddress: packet.destinationAddress,
    sourcePort: packet.destinationPort,
    destinationAddress: packet.sourceAddress,
    destinationPort: packet.sourcePort,
    bytes: NO_BYTES,
  };
}

/** The length of the whole packet: IP and UDP headers (RFC 791, RFC 8200, RFC 768) and the payload. */
export function packetBytes({ bytes, sourceAddress }: Packet): number {
  return bytes.length + (familyOf(sourceAddress) === 'ipv4' ? 20 : 40) + 8;
}

/** An endpoint as a lookup key. */
export function endpointKey(address: string, port: number): string {
  return `${address}#${port}`;
}

export function sourceKey(packet: Packet): string {
  return endpointKey(packet.sourceAddress, packet.sourcePort);
}

export function destinationKey(packet: Packet): string {
  return endpointKey(packet.destinationAddress, packet.destinationPort);
}
