import { translatePrefix, type Ipv6Prefix } from '../support/nptv6.ts';
import type { Packet } from './packet.ts';
import type { Middlebox, Passage } from './realm.ts';

export interface PrefixPair {
  readonly inner: Ipv6Prefix;
  readonly outer: Ipv6Prefix;
}

/** One IPv6 prefix for another, each way, without state (RFC 6296): whatever comes for an outer address gets in. */
export class PrefixTranslator implements Middlebox {
  readonly externalAddresses: readonly string[];
  readonly isTransparent = false;
  readonly #prefixes: PrefixPair;

  /** The inside hosts are named, since the network routes by address and not by prefix. */
  constructor(insideAddresses: readonly string[], prefixes: PrefixPair) {
    this.#prefixes = prefixes;
    this.externalAddresses = insideAddresses.map((address) =>
      translatePrefix(address, prefixes.inner, prefixes.outer),
    );
  }

  handleOutbound(packet: Packet): Passage {
    const { inner, outer } = this.#prefixes;
    packet.sourceAddress = translatePrefix(packet.sourceAddress, inner, outer);
    return 'pass';
  }

  handleInbound(packet: Packet): Passage {
    const { inner, outer } = this.#prefixes;
    packet.destinationAddress = translatePrefix(packet.destinationAddress, outer, inner);
    return 'pass';
  }
}
