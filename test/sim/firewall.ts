import type { Network } from './network.ts';
import { destinationKey, packetBytes, sourceKey, type Packet } from './packet.ts';
import { scopeKey, type Dependence } from './nat.ts';
import type { Middlebox, Passage } from './realm.ts';

/** How long a session that was opened from the inside stays open without traffic (RFC 4787 REQ-5). */
const SESSION_IDLE_MS = 300_000;

/** A firewall without translation: lets in what answers something that went out. */
export class StatefulFirewall implements Middlebox {
  readonly externalAddresses: readonly string[] = [];
  readonly isTransparent = true;
  readonly #network: Network;
  readonly #filtering: Dependence;
  /** When each session ends, by inside endpoint and what the filter looks at of the remote one. */
  readonly #sessions = new Map<string, number>();

  constructor(network: Network, filtering: Dependence) {
    this.#network = network;
    this.#filtering = filtering;
  }

  handleOutbound(packet: Packet): Passage {
    const remote = scopeKey(this.#filtering, packet.destinationAddress, packet.destinationPort);
    if (packet.kind === 'udp') {
      this.#sessions.set(`${sourceKey(packet)}>${remote}`, this.#network.now + SESSION_IDLE_MS);
    }
    return 'pass';
  }

  handleInbound(packet: Packet): Passage {
    const remote = scopeKey(this.#filtering, packet.sourceAddress, packet.sourcePort);
    const endsAt = this.#sessions.get(`${destinationKey(packet)}>${remote}`);
    return endsAt !== undefined && endsAt > this.#network.now ? 'pass' : 'drop';
  }
}

/** A router without state: everything passes. */
export class StatelessRouter implements Middlebox {
  readonly externalAddresses: readonly string[] = [];
  readonly isTransparent = true;

  handleOutbound(): Passage {
    return 'pass';
  }

  handleInbound(): Passage {
    return 'pass';
  }
}

/** A firewall that lets no UDP through: not out, not in, or neither; TCP goes past it. */
export class UdpBlock implements Middlebox {
  readonly externalAddresses: readonly string[] = [];
  readonly isTransparent = true;
  readonly #blocked: 'outbound' | 'inbound' | 'both';
  readonly #refusal: Passage;

  /** With `rejects` the sender is told by an ICMP error. */
  constructor(blocked: 'outbound' | 'inbound' | 'both', rejects = false) {
    this.#blocked = blocked;
    this.#refusal = rejects ? 'reject' : 'drop';
  }

  handleOutbound(packet: Packet): Passage {
    return this.#blocked !== 'inbound' && packet.kind === 'udp' ? this.#refusal : 'pass';
  }

  handleInbound(packet: Packet): Passage {
    return this.#blocked !== 'outbound' && packet.kind === 'udp' ? this.#refusal : 'pass';
  }
}

/** A box that drops what doesn't fit into one packet of `mtuBytes`: fragments, or all that is larger than its link takes. */
export class FragmentFilter implements Middlebox {
  readonly externalAddresses: readonly string[] = [];
  readonly isTransparent = true;
  readonly #blocked: 'outbound' | 'inbound' | 'both';
  readonly #mtuBytes: number;

  constructor(blocked: 'outbound' | 'inbound' | 'both', mtuBytes: number) {
    this.#blocked = blocked;
    this.#mtuBytes = mtuBytes;
  }

  handleOutbound(packet: Packet): Passage {
    return this.#blocked !== 'inbound' && packetBytes(packet) > this.#mtuBytes ? 'drop' : 'pass';
  }

  handleInbound(packet: Packet): Passage {
    return this.#blocked !== 'outbound' && packetBytes(packet) > this.#mtuBytes ? 'drop' : 'pass';
  }
}
