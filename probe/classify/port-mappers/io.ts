import type { Endpoint } from '../../../shared/endpoint.ts';
import type { PortMapperEvidence } from '../../../shared/nat/evidence.ts';
import type { HttpAnswer, HttpRequest, IgdService } from '../../../shared/portmap/igd.ts';

/** What a machine that speaks with a port mapper is told. */
export type PortMapperInput =
  /** On the socket that is connected to the router's PORT_MAPPER_PORT; nobody else is heard there. */
  | { readonly kind: 'datagram'; readonly bytes: Uint8Array }
  /** An ICMP error for what was sent there. */
  | { readonly kind: 'refused' }
  /** An answer to a search by multicast. */
  | { readonly kind: 'search-answer'; readonly from: Endpoint; readonly bytes: Uint8Array }
  | { readonly kind: 'http'; readonly exchange: number; readonly answer: HttpAnswer };

/** What it asks for. */
export type PortMapperAction =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'search'; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** Answered by an `http` input of the same number; redirects are not followed. */
  | { readonly kind: 'http'; readonly exchange: number; readonly request: HttpRequest };

/** A port mapper that can be asked. */
export interface PortMapper {
  readonly evidence: PortMapperEvidence;
  /** For UPnP, where it takes actions. */
  readonly service?: IgdService;
}
