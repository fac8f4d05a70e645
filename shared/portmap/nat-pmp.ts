/** NAT-PMP (RFC 6886): two bytes ask for the router's outer address, twelve for a mapping. */
import { formatIpv4 } from '../address.ts';
import type { PortMapperError } from '../nat/evidence.ts';
import { mappedAs, type MapAnswer, type MapRequest, type Transport } from './mapping.ts';

const VERSION = 0;
const OP_EXTERNAL_ADDRESS = 0;
const OP_MAP: Readonly<Record<Transport, number>> = { udp: 1, tcp: 2 };
/** Added to the opcode of the request (RFC 6886 §3.2). */
const RESPONSE = 128;

/** RFC 6886 §3.5. */
const RESULTS: Readonly<Record<number, PortMapperError>> = {
  1: 'unsupported',
  2: 'not-authorized',
  3: 'no-external-address',
  4: 'no-resources',
  5: 'unsupported',
};

export type NatPmpAnswer =
  | { readonly kind: 'external-address'; readonly address: string }
  | { readonly kind: 'refused'; readonly error: PortMapperError };

/** RFC 6886 §3.2. */
export function encodeAddressRequest(): Uint8Array {
  return Uint8Array.of(VERSION, OP_EXTERNAL_ADDRESS);
}

/** RFC 6886 §3.3; lifetime and external port 0 remove the mapping (§3.4). */
export function encodeNatPmpMapRequest(request: MapRequest): Uint8Array {
  const { transport, internalPort, externalPort, lifetimeSeconds } = request;
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, VERSION);
  view.setUint8(1, OP_MAP[transport]);
  view.setUint16(4, internalPort);
  view.setUint16(6, lifetimeSeconds === 0 ? 0 : externalPort);
  view.setUint32(8, lifetimeSeconds);
  return bytes;
}

/** The answer to an address request, or undefined if it is none. */
export function decodeAddressAnswer(bytes: Uint8Array): NatPmpAnswer | undefined {
  const result = resultOf(bytes, OP_EXTERNAL_ADDRESS);
  if (result === undefined || typeof result === 'string') {
    return result === undefined ? undefined : { kind: 'refused', error: result };
  }
  if (bytes.length < 12) return { kind: 'refused', error: 'malformed' };
  const address = formatIpv4(bytes, 8);
  return address === '0.0.0.0'
    ? { kind: 'refused', error: 'no-external-address' }
    : { kind: 'external-address', address };
}

/** The answer to this map request, or undefined if it is none or another one's. */
export function decodeNatPmpMapAnswer(
  bytes: Uint8Array,
  { transport, internalPort, lifetimeSeconds }: MapRequest,
): MapAnswer | undefined {
  const result = resultOf(bytes, OP_MAP[transport]);
  if (result === undefined) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 10 && view.getUint16(8) !== internalPort) return undefined;
  if (typeof result === 'string') return { kind: 'refused', error: result };
  if (bytes.length < 16) return { kind: 'refused', error: 'malformed' };
  return mappedAs({ externalPort: view.getUint16(10), lifetimeSeconds: view.getUint32(12) }, lifetimeSeconds);
}

/** `ok`, or why not; undefined for what is no NAT-PMP response to that opcode. */
function resultOf(bytes: Uint8Array, op: number): { readonly ok: true } | PortMapperError | undefined {
  if (bytes.length < 8 || bytes[0] !== VERSION || bytes[1] !== RESPONSE + op) return undefined;
  const code = (bytes[2]! << 8) | bytes[3]!;
  return code === 0 ? { ok: true } : (RESULTS[code] ?? 'refused');
}
