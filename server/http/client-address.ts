/** Who asks over HTTP: the client's address, and the network that it is taken for. Pure. */
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';

/** The client behind the proxies that are trusted; a proxy's own address where what it says of its client is no address. */
export function clientAddress({ ip, raw }: AddressedRequest): string {
  return plainAddress(ip) ?? plainAddress(raw.socket.remoteAddress ?? '') ?? UNKNOWN;
}

/** What tells of a client: as the proxies say, and the connection. */
export interface AddressedRequest {
  readonly ip: string;
  readonly raw: { readonly socket: { readonly remoteAddress?: string | undefined } };
}

/** Where a connection is gone already. */
const UNKNOWN = '0.0.0.0';

/** How many bits of an address say who it is. */
export interface PrefixLengths {
  readonly ipv4: number;
  readonly ipv6: number;
}

/** `198.51.100.0/24` of 198.51.100.7, or the text as it is if it is no address. */
export function networkOf(address: string, lengths: PrefixLengths): string {
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return address;
  const length = bytes.length === 4 ? lengths.ipv4 : lengths.ipv6;
  for (let i = 0; i < bytes.length; i++) {
    const kept = Math.min(Math.max(length - 8 * i, 0), 8);
    bytes[i]! &= 0xff00 >> kept;
  }
  return `${bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0)}/${length}`;
}

/** As text without a zone, and IPv4 where it is only wrapped in IPv6; undefined if it is none. */
function plainAddress(text: string): string | undefined {
  const [address = ''] = text.split('%');
  const bytes = parseIpAddress(address);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return address;
  const isMapped =
    bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return isMapped ? formatIpv4(bytes, 12) : formatIpv6(bytes, 0);
}
