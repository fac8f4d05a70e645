/**
 * NAT64: IPv4 addresses written as IPv6 ones under a prefix (RFC 6052), and how a host learns which
 * prefix its network translates (RFC 7050).
 */
import { formatIpv4, formatIpv6, parseIpAddress } from './address.ts';
import type { Endpoint } from './endpoint.ts';

/** RFC 6052 §2.2. `address` is canonical, and zero behind the prefix. */
export interface Nat64Prefix {
  readonly address: string;
  readonly length: Nat64PrefixLength;
}

export type Nat64PrefixLength = (typeof NAT64_PREFIX_LENGTHS)[number];
export const NAT64_PREFIX_LENGTHS = [32, 40, 48, 56, 64, 96] as const;

/** RFC 6052 §2.1. */
export const WELL_KNOWN_NAT64_PREFIX: Nat64Prefix = { address: '64:ff9b::', length: 96 };

/** A name that has these IPv4 addresses alone: an AAAA record for it is a DNS64's work (RFC 7050 §2.2). */
export const IPV4_ONLY_NAME = 'ipv4only.arpa';
const IPV4_ONLY_ADDRESSES: readonly string[] = ['192.0.0.170', '192.0.0.171'];

/** `64:ff9b::/96`. */
export function formatNat64Prefix({ address, length }: Nat64Prefix): string {
  return `${address}/${length}`;
}

/** Reads `64:ff9b::/96`; undefined if it is no prefix of RFC 6052, or has bits behind its length. */
export function parseNat64Prefix(text: string): Nat64Prefix | undefined {
  const [address = '', lengthText = '', ...rest] = text.split('/');
  const length = NAT64_PREFIX_LENGTHS.find((known) => String(known) === lengthText);
  const bytes = parseIpAddress(address);
  if (length === undefined || rest.length > 0 || bytes?.length !== 16) return undefined;
  return bytes.subarray(length / 8).every((byte) => byte === 0) && bytes[RESERVED_OCTET] === 0
    ? { address: formatIpv6(bytes, 0), length }
    : undefined;
}

/** The IPv6 address that stands for a dotted quad under `prefix`. Throws RangeError for anything else. */
export function synthesizeAddress(prefix: Nat64Prefix, ipv4: string): string {
  const bytes = parseIpAddress(prefix.address);
  const quad = parseIpAddress(ipv4);
  if (bytes?.length !== 16 || quad?.length !== 4)
    throw new RangeError(`${ipv4} under ${formatNat64Prefix(prefix)}`);
  for (const [index, position] of positionsOf(prefix.length).entries()) bytes[position] = quad[index]!;
  return formatIpv6(bytes, 0);
}

/** The dotted quad that `ipv6` stands for, or undefined if it isn't under `prefix`. What follows the quad is ignored (RFC 6052 §2.2). */
export function extractAddress(prefix: Nat64Prefix, ipv6: string): string | undefined {
  const bytes = parseIpAddress(ipv6);
  if (bytes?.length !== 16) return undefined;
  const found = prefixOf(bytes, prefix.length);
  return found?.address === prefix.address ? quadAt(bytes, prefix.length) : undefined;
}

export function synthesizeEndpoint(prefix: Nat64Prefix, { address, port }: Endpoint): Endpoint {
  return { address: synthesizeAddress(prefix, address), port };
}

/** The endpoint meant by one under `prefix`; others, IPv4 ones among them, are what they are. */
export function extractEndpoint(prefix: Nat64Prefix, endpoint: Endpoint): Endpoint {
  const address = extractAddress(prefix, endpoint.address);
  return address === undefined ? endpoint : { address, port: endpoint.port };
}

/**
 * The prefixes that a DNS64 shows in its AAAA records for ipv4only.arpa, in their order (RFC 7050 §3). Where
 * a record could be read in two ways, the one meant is that under which both of the name's addresses are found.
 */
export function prefixesOfAnswer(addresses: readonly string[]): Nat64Prefix[] {
  const meanings = new Map<string, Set<string>>();
  for (const { prefix, ipv4 } of addresses.flatMap(readingsOf)) {
    const text = formatNat64Prefix(prefix);
    meanings.set(text, (meanings.get(text) ?? new Set()).add(ipv4));
  }
  const found = new Map<string, Nat64Prefix>();
  for (const address of addresses) {
    const readings = readingsOf(address).map(({ prefix }) => ({ prefix, text: formatNat64Prefix(prefix) }));
    const most = Math.max(...readings.map(({ text }) => meanings.get(text)!.size));
    const meant = readings.find(({ text }) => meanings.get(text)!.size === most);
    if (meant !== undefined) found.set(meant.text, meant.prefix);
  }
  return [...found.values()];
}

/** The prefixes under which `ipv6` would stand for `ipv4`: a DNS64 may have made it, or a person who likes such numbers. */
export function prefixesBetween(ipv4: string, ipv6: string): Nat64Prefix[] {
  const bytes = parseIpAddress(ipv6);
  if (bytes?.length !== 16) return [];
  return NAT64_PREFIX_LENGTHS.flatMap((length) => {
    const prefix = prefixOf(bytes, length);
    return prefix !== undefined && quadAt(bytes, length) === ipv4 ? [prefix] : [];
  });
}

/** Bits 64 to 71, which are zero whatever the prefix's length (RFC 6052 §2.2). */
const RESERVED_OCTET = 8;

/** Where the four octets stand: behind the prefix, around the reserved octet. */
function positionsOf(length: Nat64PrefixLength): number[] {
  const positions: number[] = [];
  for (let position = length / 8; positions.length < 4; position += 1) {
    if (position !== RESERVED_OCTET) positions.push(position);
  }
  return positions;
}

function quadAt(bytes: Uint8Array, length: Nat64PrefixLength): string {
  return formatIpv4(
    Uint8Array.from(positionsOf(length), (position) => bytes[position]!),
    0,
  );
}

function prefixOf(bytes: Uint8Array, length: Nat64PrefixLength): Nat64Prefix | undefined {
  if (bytes[RESERVED_OCTET] !== 0) return undefined;
  const cut = Uint8Array.from(bytes, (byte, position) => (position < length / 8 ? byte : 0));
  return { address: formatIpv6(cut, 0), length };
}

function readingsOf(address: string): { readonly prefix: Nat64Prefix; readonly ipv4: string }[] {
  return IPV4_ONLY_ADDRESSES.flatMap((ipv4) =>
    prefixesBetween(ipv4, address).map((prefix) => ({ prefix, ipv4 })),
  );
}
