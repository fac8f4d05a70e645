import { formatIpv4, formatIpv6, parseIpv4Into, parseIpv6Into } from '../../shared/address.ts';

/** Where a request came from, as bytes. One object is reused for every request. */
export class SourceAddress {
  family: 4 | 6 = 4;
  /** The first 4 bytes for IPv4, all 16 for IPv6. */
  readonly bytes = new Uint8Array(16);
  /** The same, four bytes each: to be copied, since their order is the machine's. */
  readonly words = new Int32Array(this.bytes.buffer);
  port = 0;

  /**
   * Takes an address as Node prints it (an IPv6 zone such as `%eth0` is left out) and a port.
   * False, and without meaning, if `address` is none.
   */
  set(address: string, port: number): boolean {
    this.port = port;
    this.family = 4;
    if (parseIpv4Into(address, this.bytes, 0)) return true;
    this.family = 6;
    const zone = address.indexOf('%');
    return parseIpv6Into(zone < 0 ? address : address.slice(0, zone), this.bytes, 0);
  }
}

/** Whom limits go by: the whole IPv4 address, or the first 64 bits of an IPv6 one, which is what one customer gets. */
export function customerKey({ family, bytes }: SourceAddress): string {
  return bytes.subarray(0, family === 4 ? 4 : 8).join('.');
}

/** The address as text. */
export function formatSourceAddress({ family, bytes }: SourceAddress): string {
  return family === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
}
