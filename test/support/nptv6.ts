/** Translation of IPv6 prefixes that leaves the checksum of an address as it is (RFC 6296), for NATs of tests. */
import { formatIpv6, parseIpAddress } from '../../shared/address.ts';

/** `2001:db8:1::` and how many bits of it count: a multiple of 16, up to 64. */
export interface Ipv6Prefix {
  readonly address: string;
  readonly length: number;
}

/**
 * `address` with the prefix `from` replaced by `to`, and one group behind it changed so that the sum of
 * all groups stays: the fourth for prefixes of up to 48 bits, else the first of the suffix (RFC 6296 §3.1, §3.2).
 */
export function translatePrefix(address: string, from: Ipv6Prefix, to: Ipv6Prefix): string {
  const groups = groupsOf(address);
  const [inner, outer] = [groupsOf(from.address), groupsOf(to.address)];
  const count = Math.max(from.length, to.length) / 16;
  const adjusted = count <= 3 ? 3 : 4;
  const difference = sumOf(inner.slice(0, count)) - sumOf(outer.slice(0, count));
  outer.slice(0, count).forEach((group, index) => (groups[index] = group));
  // 0xffff is the same as 0, and only 0 is used.
  groups[adjusted] = (((groups[adjusted]! + difference) % 0xffff) + 0xffff) % 0xffff;
  return formatIpv6(Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])), 0);
}

function groupsOf(address: string): number[] {
  const bytes = parseIpAddress(address)!;
  return Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
}

function sumOf(groups: readonly number[]): number {
  return groups.reduce((sum, group) => sum + group, 0);
}
