/** PCP (RFC 6887), of which the MAP opcode is used. */
import { formatIpv6, parseIpAddress } from '../address.ts';
import type { PortMapperError } from '../nat/evidence.ts';
import { mappedAs, type MapAnswer, type MapRequest, type Transport } from './mapping.ts';

const VERSION = 2;
const OP_MAP = 1;
const RESPONSE_BIT = 0x80;
const MAP_BYTES = 60;
const IP_PROTOCOLS: Readonly<Record<Transport, number>> = { udp: 17, tcp: 6 };
export const PCP_NONCE_BYTES = 12;

/** RFC 6887 §7.4. */
const RESULTS: Readonly<Record<number, PortMapperError>> = {
  1: 'unsupported',
  2: 'not-authorized',
  4: 'unsupported',
  5: 'unsupported',
  7: 'no-external-address',
  8: 'no-resources',
  9: 'unsupported',
  10: 'no-resources',
  11: 'conflict',
  12: 'address-mismatch',
};

/** Discard (RFC 863): nobody's application listens there. */
const UNUSED_PORT = 9;

/** `nonce` (12 bytes) is what lets a later request renew or remove the mapping (RFC 6887 §11.1). */
export interface PcpMapRequest extends MapRequest {
  readonly nonce: Uint8Array;
}

/**
 * A question that leaves nothing behind: remove a mapping that doesn't exist (RFC 6887 §15). Its
 * nonce is new, so that a mapping that does exist is not removed. The answer shows that PCP is spoken,
 * and some servers (miniupnpd 2.3.1) tell their outer address in it, even one that they refuse to map.
 */
export function pcpQuestion(internalAddress: string, nonce: Uint8Array): PcpMapRequest {
  return {
    transport: 'udp',
    internalAddress,
    internalPort: UNUSED_PORT,
    externalPort: 0,
    lifetimeSeconds: 0,
    nonce,
  };
}

/** RFC 6887 §7.1, §11.1. Throws RangeError if the internal address is none. */
export function encodePcpMapRequest(request: PcpMapRequest): Uint8Array {
  const { transport, internalAddress, internalPort, externalPort, lifetimeSeconds, nonce } = request;
  const client = addressBytes(internalAddress);
  const bytes = new Uint8Array(MAP_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, OP_MAP);
  view.setUint32(4, lifetimeSeconds);
  bytes.set(client, 8);
  bytes.set(nonce, 24);
  view.setUint8(36, IP_PROTOCOLS[transport]);
  view.setUint16(40, internalPort);
  // "The all-zeros address of the family" where no outer address is wished for.
  view.setUint16(42, lifetimeSeconds === 0 ? 0 : externalPort);
  bytes.set(addressBytes(internalAddress.includes(':') ? '::' : '0.0.0.0'), 44);
  return bytes;
}

/** An answer to this request; also a refusal may tell the router's outer address. */
export type PcpMapAnswer = MapAnswer & { readonly externalAddress?: string };

/** The answer to this request, or undefined if it is none or another one's. */
export function decodePcpMapAnswer(bytes: Uint8Array, request: PcpMapRequest): PcpMapAnswer | undefined {
  if (bytes.length < 4 || bytes[1] !== (RESPONSE_BIT | OP_MAP)) return undefined;
  // A server of another version, NAT-PMP's among them, says so in its own (RFC 6887 §9).
  if (bytes[0] !== VERSION) return { kind: 'refused', error: 'unsupported' };
  const error = bytes[3] === 0 ? undefined : (RESULTS[bytes[3]!] ?? 'refused');
  if (bytes.length < MAP_BYTES) return { kind: 'refused', error: error ?? 'malformed' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isOurs =
    request.nonce.every((byte, index) => bytes[24 + index] === byte) &&
    bytes[36] === IP_PROTOCOLS[request.transport] &&
    view.getUint16(40) === request.internalPort;
  if (!isOurs) return undefined;
  const externalAddress = addressText(bytes, 44);
  const told = externalAddress === undefined ? {} : { externalAddress };
  if (error !== undefined) return { kind: 'refused', error, ...told };
  const mapped = { externalPort: view.getUint16(42), lifetimeSeconds: view.getUint32(4), ...told };
  return mappedAs(mapped, request.lifetimeSeconds);
}

/** IPv4 addresses stand in the last 4 of 16 bytes, after ::ffff (RFC 6887 §5). */
function addressBytes(address: string): Uint8Array {
  const bytes = parseIpAddress(address.includes(':') ? address : `::ffff:${address}`);
  if (bytes === undefined) throw new RangeError(`not an address: ${address}`);
  return bytes;
}

function addressText(bytes: Uint8Array, offset: number): string | undefined {
  const text = formatIpv6(bytes, offset);
  const ipv4 = text.startsWith('::ffff:') && text.includes('.') ? text.slice('::ffff:'.length) : undefined;
  return ipv4 === '0.0.0.0' || text === '::' ? undefined : (ipv4 ?? text);
}
