/** What became of asking the router for a mapping of a port, as reports carry it. */
import type { Endpoint } from '../endpoint.ts';
import type { Evidence, PortMapperError, PortMapperProtocol } from '../nat/evidence.ts';
import type { PortMappingAxis } from '../nat/port-mapping.ts';
import type { Reason } from '../nat/verdict.ts';
import type { Transport } from '../portmap/mapping.ts';

/** `failed` where there is no router that maps ports, or it maps not this one. */
export type PortMappingReport =
  ({ readonly outcome: 'mapped' } & MappedPort) | { readonly outcome: 'failed'; readonly reason: Reason };

export interface MappedPort {
  readonly protocol: PortMapperProtocol;
  readonly gateway: string;
  readonly transport: Transport;
  readonly local: Endpoint;
  /** As the router says. */
  readonly external: { readonly port: number; readonly address?: string };
  readonly lifetimeSeconds: number | 'unlimited';
  /** Whether the server got through to it. */
  readonly verification: PortMappingAxis;
  /** What became of the mapping. `left`: the router did not confirm its removal; it ends with its lifetime. */
  readonly removal: 'removed' | 'kept' | 'left';
  /** Protocols that were tried before and did not map it. */
  readonly refusals: readonly MapRefusal[];
  readonly evidence: readonly Evidence[];
}

export interface MapRefusal {
  readonly protocol: PortMapperProtocol;
  readonly error: PortMapperError;
}
