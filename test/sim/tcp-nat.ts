import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { UnsolicitedSyn } from '../../shared/nat/tcp.ts';
import { scopeKey, type Dependence } from './nat.ts';
import { endpointKey } from './packet.ts';
import { createPortAllocator, type PortAllocation, type PortAllocator } from './ports.ts';
import type { Random } from './random.ts';

/** What a NAT or firewall does with TCP: by what it keys mappings and filters, and what it does with other SYNs (RFC 5382). */
export interface TcpNatBehaviour {
  /** `none` is a firewall: it translates nothing. */
  readonly mapping: 'none' | Dependence;
  readonly filtering: Dependence;
  /** `answers`: it completes the handshake itself, as some boxes do. */
  readonly unsolicited: Exclude<UnsolicitedSyn, 'accepted'> | 'answers';
  readonly ports?: PortAllocation;
}

interface Mapping {
  readonly local: Endpoint;
  readonly mapped: Endpoint;
  /** The remote endpoints called, each cut to what the filter looks at. */
  readonly contacted: Set<string>;
}

/** A NAT for TCP, whose mappings outlive every run (RFC 5382 REQ-5: two hours). */
export class TcpNat {
  readonly #address: string;
  readonly #behaviour: TcpNatBehaviour;
  readonly #allocator: PortAllocator;
  readonly #byInside = new Map<string, Mapping>();

  constructor(address: string, behaviour: TcpNatBehaviour, random: Random) {
    this.#address = address;
    this.#behaviour = behaviour;
    this.#allocator = createPortAllocator(behaviour.ports ?? { kind: 'random' }, random);
  }

  /** A SYN from the inside: what it goes on as. */
  handleOutbound(local: Endpoint, remote: Endpoint): Endpoint {
    const { mapping: dependence, filtering } = this.#behaviour;
    const scope = dependence === 'none' ? '' : scopeKey(dependence, remote.address, remote.port);
    const key = `${endpointKey(local.address, local.port)}>${scope}`;
    let mapping = this.#byInside.get(key);
    if (mapping === undefined) {
      mapping = { local, mapped: this.#map(local), contacted: new Set() };
      this.#byInside.set(key, mapping);
    }
    mapping.contacted.add(scopeKey(filtering, remote.address, remote.port));
    return mapping.mapped;
  }

  /** A SYN from outside: the inside endpoint that gets it, or what becomes of it. */
  handleInbound(from: Endpoint, to: Endpoint): Endpoint | TcpNatBehaviour['unsolicited'] {
    const { filtering, unsolicited } = this.#behaviour;
    const scope = scopeKey(filtering, from.address, from.port);
    const match = [...this.#byInside.values()].find(
      ({ mapped, contacted }) => sameEndpoint(mapped, to) && contacted.has(scope),
    );
    return match?.local ?? unsolicited;
  }

  #map(local: Endpoint): Endpoint {
    if (this.#behaviour.mapping === 'none') return local;
    const taken = new Set([...this.#byInside.values()].map(({ mapped }) => mapped.port));
    const port = this.#allocator.allocate(local.address, local.port, (candidate) => !taken.has(candidate));
    if (port === undefined) throw new Error('the simulated NAT has no ports left');
    return { address: this.#address, port };
  }
}
