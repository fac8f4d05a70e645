import { extractAddress, synthesizeAddress, type Nat64Prefix } from '../../shared/nat64.ts';
import type { Nat } from './nat.ts';
import type { Packet } from './packet.ts';
import type { Middlebox, Passage } from './realm.ts';

/** IPv6 inside, IPv4 outside (RFC 6146): a NAT whose inside hosts name IPv4 ones by addresses under a prefix. */
export class Nat64 implements Middlebox {
  readonly externalAddresses: readonly string[];
  readonly isTransparent = false;
  readonly #nat: Nat;
  readonly #prefix: Nat64Prefix;

  constructor(nat: Nat, prefix: Nat64Prefix) {
    this.externalAddresses = nat.externalAddresses;
    this.#nat = nat;
    this.#prefix = prefix;
  }

  /** What isn't under the prefix has no way: this network has no IPv6 beyond the box. */
  handleOutbound(packet: Packet): Passage {
    const destination = extractAddress(this.#prefix, packet.destinationAddress);
    if (destination === undefined) return 'drop';
    packet.destinationAddress = destination;
    return this.#nat.handleOutbound(packet);
  }

  handleInbound(packet: Packet): Passage {
    const passage = this.#nat.handleInbound(packet);
    packet.sourceAddress = synthesizeAddress(this.#prefix, packet.sourceAddress);
    return passage;
  }
}
