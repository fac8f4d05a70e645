/** Where this machine sends what goes to an address, as each system prints its routes. */
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';
import { canonicalAddress } from '../../shared/endpoint.ts';

export interface Route {
  readonly destination: string;
  readonly prefixLength: number;
  /** Absent where the destination is reached without a router. */
  readonly gateway?: string;
  /** A name, or on Windows the interface's own address. */
  readonly interface: string;
  readonly metric: number;
}

/** <linux/route.h> */
const RTF_UP = 0x1;
const RTF_GATEWAY = 0x2;
const RTF_REJECT = 0x200;

/** The route that `address` takes through that interface: the longest prefix, then the least metric. */
export function routeTo(routes: readonly Route[], address: string, through: string): Route | undefined {
  return routes
    .filter((route) => route.interface === through && contains(route, address))
    .toSorted((a, b) => b.prefixLength - a.prefixLength || a.metric - b.metric)[0];
}

/** Reads /proc/net/route, which writes addresses as numbers of the machine's byte order. */
export function parseLinuxIpv4Routes(text: string, littleEndian: boolean): Route[] {
  return text.split('\n').flatMap((line) => {
    const [name, destination, gateway, flags, , , metric, mask] = line.split(/\s+/);
    if (name === undefined || mask === undefined || !/^[0-9A-F]{8}$/.test(destination ?? '')) return [];
    const bits = Number.parseInt(flags!, 16);
    if ((bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0) return [];
    // A router that has an IPv6 address (RFC 5549) stands there as zero.
    const isRouted = (bits & RTF_GATEWAY) !== 0 && gateway !== '00000000';
    return {
      destination: ipv4OfHex(destination!, littleEndian),
      prefixLength: prefixLengthOf(ipv4OfHex(mask, littleEndian)),
      ...(isRouted ? { gateway: ipv4OfHex(gateway!, littleEndian) } : {}),
      interface: name,
      metric: Number(metric),
    };
  });
}

/** Reads /proc/net/ipv6_route. */
export function parseLinuxIpv6Routes(text: string): Route[] {
  return text.split('\n').flatMap((line) => {
    const [destination, length, , , gateway, metric, , , flags, name] = line.trim().split(/\s+/);
    if (name === undefined) return [];
    const bits = Number.parseInt(flags!, 16);
    if ((bits & RTF_UP) === 0 || (bits & RTF_REJECT) !== 0) return [];
    return {
      destination: ipv6OfHex(destination!),
      prefixLength: Number.parseInt(length!, 16),
      ...((bits & RTF_GATEWAY) === 0 ? {} : { gateway: ipv6OfHex(gateway!) }),
      interface: name,
      metric: Number.parseInt(metric!, 16),
    };
  });
}

/** Reads what `route -n get ADDRESS` prints on macOS and the BSDs: the one route there, as if to that address alone. */
export function parseRouteGet(text: string, address: string): Route[] {
  const field = (name: string): string | undefined =>
    new RegExp(`^\\s*${name}:\\s*(\\S+)`, 'm').exec(text)?.[1];
  const name = field('interface');
  if (name === undefined) return [];
  // Without a router it is `link#4`, a hardware address, or on some an address of this machine itself.
  const isRouted = /[<,]GATEWAY[,>]/.test(field('flags') ?? '');
  const gateway = isRouted ? canonicalAddress(field('gateway')?.replace(/%.*$/, '') ?? '') : undefined;
  return [
    {
      destination: address,
      prefixLength: address.includes(':') ? 128 : 32,
      ...(gateway === undefined ? {} : { gateway }),
      interface: name,
      metric: 0,
    },
  ];
}

/**
 * Reads the active IPv4 routes that `route print -4` (or `netstat -rn`) prints on Windows. Where there
 * is no router, its column has words of the system's language: `On-link`, `Auf Verbindung`.
 */
export function parseWindowsRoutes(text: string): Route[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [destination, mask, ...rest] = line.trim().split(/\s+/);
    const [gateway, ...more] = rest.slice(0, -2);
    const [through, metric] = rest.slice(-2);
    const isRoute =
      [destination, mask, through].every((word) => isIpv4(word)) &&
      /^\d+$/.test(metric ?? '') &&
      // Persistent routes, which are listed again below, have no interface.
      gateway !== undefined;
    if (!isRoute) return [];
    return {
      destination: destination!,
      prefixLength: prefixLengthOf(mask!),
      ...(isIpv4(gateway) && more.length === 0 ? { gateway } : {}),
      interface: through!,
      metric: Number(metric),
    };
  });
}

function contains({ destination, prefixLength }: Route, address: string): boolean {
  const [network, host] = [parseIpAddress(destination), parseIpAddress(address)];
  if (network === undefined || host === undefined || network.length !== host.length) return false;
  return network.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, prefixLength - 8 * index));
    return (byte ^ host[index]!) >> (8 - bits) === 0;
  });
}

function isIpv4(text: string | undefined): boolean {
  return text !== undefined && !text.includes(':') && canonicalAddress(text) !== undefined;
}

function ipv4OfHex(hex: string, littleEndian: boolean): string {
  const bytes = Buffer.from(hex, 'hex');
  return formatIpv4(littleEndian ? bytes.reverse() : bytes, 0);
}

function ipv6OfHex(hex: string): string {
  return formatIpv6(Buffer.from(hex, 'hex'), 0);
}

function prefixLengthOf(mask: string): number {
  return mask
    .split('.')
    .reduce((length, byte) => length + Number(byte).toString(2).replaceAll('0', '').length, 0);
}
