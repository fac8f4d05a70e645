/** The evidence that layers are judged from: this machine's interfaces, and what its router says. */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { EndpointsEvidence, Evidence, InterfaceEvidence } from '../../shared/nat/evidence.ts';
import { isTunnel } from '../../shared/nat/interface-kind.ts';
import { findPortMappers } from './port-mappers.ts';
import { inspectInterfaces } from './system-facts.ts';

export interface LayersRun {
  /** The primary endpoint of a server. */
  readonly server: Endpoint;
  /** What its classification found: endpointsOf() makes it. */
  readonly endpoints: EndpointsEvidence;
  readonly signal?: AbortSignal;
}

/**
 * Asks the system, and the router on the way to the server, once; the server itself is not asked.
 * Takes 1.5 s at most; where no router is on the way, next to nothing. Rejects with ERR_ABORTED.
 */
export async function gatherLayers({ server, endpoints, signal }: LayersRun): Promise<Evidence[]> {
  const interfaces = await inspectInterfaces(server, endpoints.local.address);
  const gateway = routerOf(interfaces);
  const mappers =
    gateway === undefined
      ? []
      : await findPortMappers({ gateway, ...(signal === undefined ? {} : { signal }) });
  return [endpoints, ...interfaces, ...mappers.map(({ evidence }) => evidence)];
}

/** The next router, written so that a socket finds it; what is at the other end of a tunnel is not asked. */
export function routerOf(interfaces: readonly InterfaceEvidence[]): string | undefined {
  const path = interfaces.find(({ onPath }) => onPath);
  if (path?.gateway === undefined || isTunnel(path.interfaceKind)) return undefined;
  return path.gateway.startsWith('fe80:') ? `${path.gateway}%${path.name}` : path.gateway;
}
