/** What an address is for: which of the special-purpose ranges (IANA's registries, RFC 6890) it lies in. */
import { IPv4, IPv4CidrRange, IPv6, IPv6CidrRange } from 'ip-num';
import { formatIpv4, parseIpAddress } from './address.ts';

export type AddressScope =
  | 'public'
  /** RFC 1918. */
  | 'private'
  /** Between a carrier's NAT and its customers: RFC 6598. */
  | 'shared'
  /** The private range of IPv6: RFC 4193. */
  | 'unique-local'
  | 'link-local'
  | 'loopback'
  | 'documentation'
  | 'benchmarking'
  | 'multicast'
  | 'unspecified'
  /** Of no use on any network: class E, "this network", protocol assignments. */
  | 'reserved';

/** The first range that contains an address decides. */
const IPV4_SCOPES = ipv4Scopes([
  ['0.0.0.0/32', 'unspecified'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'benchmarking'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
]);

const IPV6_SCOPES = ipv6Scopes([
  ['::/128', 'unspecified'],
  ['::1/128', 'loopback'],
  ['2001:2::/48', 'benchmarking'],
  ['2001:db8::/32', 'documentation'],
  ['3fff::/20', 'documentation'],
  ['100::/64', 'reserved'],
  ['fc00::/7', 'unique-local'],
  ['fe80::/10', 'link-local'],
  ['ff00::/8', 'multicast'],
]);

/** The scope of an address in any spelling of RFC 4291, or undefined if it is none. `::ffff:a.b.c.d` has that of a.b.c.d. */
export function scopeOf(address: string): AddressScope | undefined {
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return scopeAmong(IPV4_SCOPES, new IPv4(address));
  if (isIpv4Mapped(bytes)) return scopeAmong(IPV4_SCOPES, new IPv4(formatIpv4(bytes, 12)));
  return scopeAmong(IPV6_SCOPES, new IPv6(bytesToBigInt(bytes)));
}

/** Whether many networks use the same such addresses, so that only a NAT leads from there to the internet. */
export function isBehindNat(scope: AddressScope): boolean {
  return scope === 'private' || scope === 'shared' || scope === 'unique-local' || scope === 'link-local';
}

interface Scoped<Address> {
  readonly range: { contains(address: Address): boolean };
  readonly scope: AddressScope;
}

function scopeAmong<Address>(scopes: readonly Scoped<Address>[], address: Address): AddressScope {
  return scopes.find(({ range }) => range.contains(address))?.scope ?? 'public';
}

function ipv4Scopes(rows: readonly (readonly [string, AddressScope])[]): Scoped<IPv4>[] {
  return rows.map(([cidr, scope]) => ({ range: IPv4CidrRange.fromCidr(cidr), scope }));
}

function ipv6Scopes(rows: readonly (readonly [string, AddressScope])[]): Scoped<IPv6>[] {
  return rows.map(([cidr, scope]) => ({ range: IPv6CidrRange.fromCidr(cidr), scope }));
}

function isIpv4Mapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

function bytesToBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
