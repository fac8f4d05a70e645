import { Nat, type NatBehaviour } from './nat.ts';
import type { Network } from './network.ts';
import { destinationKey, sourceKey, type Packet } from './packet.ts';
import type { Random } from './random.ts';
import type { Middlebox, Passage } from './realm.ts';

/** What decides over which uplink a packet leaves: its destination address, or the flow that it belongs to. */
export type Balance = 'destination' | 'flow';

/**
 * A router with two uplinks that shares the load between them: each has an address and translates by
 * itself, and whatever left over one stays with it.
 */
export class TwoUplinks implements Middlebox {
  readonly externalAddresses: readonly string[];
  readonly isTransparent = false;
  readonly #uplinks: ReadonlyMap<string, Nat>;
  readonly #balance: Balance;
  readonly #random: Random;
  readonly #chosen = new Map<string, Nat>();

  constructor(
    network: Network,
    externalAddresses: readonly string[],
    behaviour: NatBehaviour,
    balance: Balance,
  ) {
    this.externalAddresses = externalAddresses;
    this.#uplinks = new Map(
      externalAddresses.map((address) => [address, new Nat(network, [address], behaviour)]),
    );
    this.#balance = balance;
    this.#random = network.random.fork();
  }

  handleOutbound(packet: Packet): Passage {
    return this.#uplinkFor(packet).handleOutbound(packet);
  }

  handleInbound(packet: Packet): Passage {
    return this.#uplinks.get(packet.destinationAddress)!.handleInbound(packet);
  }

  /** Destinations take the uplinks in turn; flows are dealt at random. */
  #uplinkFor(packet: Packet): Nat {
    const byDestination = this.#balance === 'destination';
    const key = byDestination ? packet.destinationAddress : `${sourceKey(packet)}>${destinationKey(packet)}`;
    let uplink = this.#chosen.get(key);
    if (uplink === undefined) {
      const count = this.externalAddresses.length;
      const index = byDestination ? this.#chosen.size % count : this.#random.integer(0, count - 1);
      uplink = this.#uplinks.get(this.externalAddresses[index]!)!;
      this.#chosen.set(key, uplink);
    }
    return uplink;
  }
}
