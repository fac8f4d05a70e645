/**
 * What the protocols that ask a router to map a port have in common.
 *
 * They are spoken by natprobe itself: `@achingbrain/nat-port-mapper` 4.0.5 (36 packages, 11 MB), tried
 * against miniupnpd 2.3.1, has no PCP, finds only devices of UPnP's version 2, sends NAT-PMP lifetimes
 * in milliseconds where seconds are meant, and leaves UDP mappings in the router: it removes NAT-PMP
 * ones as if they were TCP, and UPnP ones without their protocol. Both datagram protocols are one
 * request and one answer, and of UPnP four actions are needed.
 */
import type { PortMapperError } from '../nat/evidence.ts';

export type Transport = 'udp' | 'tcp';

/** A mapping to ask for. */
export interface MapRequest {
  readonly transport: Transport;
  readonly internalAddress: string;
  readonly internalPort: number;
  /** Wished; the router may choose another. */
  readonly externalPort: number;
  readonly lifetimeSeconds: number;
}

/** What a router answered to a request that concerns a mapping. */
export type MapAnswer =
  | {
      readonly kind: 'mapped';
      readonly externalPort: number;
      /** Absent where the protocol asks for it separately (NAT-PMP, UPnP). */
      readonly externalAddress?: string;
      /** 0 once it is removed. */
      readonly lifetimeSeconds: number | 'unlimited';
    }
  | { readonly kind: 'refused'; readonly error: PortMapperError };

/** Both NAT-PMP and PCP are answered there (RFC 6886 §1.1, RFC 6887 §8.1). */
export const PORT_MAPPER_PORT = 5351;

/** A success, unless it has no port or no lifetime for a mapping that was asked for: nothing is mapped then. */
export function mappedAs(
  mapped: Omit<Extract<MapAnswer, { kind: 'mapped' }>, 'kind'>,
  askedLifetimeSeconds: number,
): MapAnswer {
  const isNone = mapped.externalPort === 0 || mapped.lifetimeSeconds === 0;
  return askedLifetimeSeconds > 0 && isNone
    ? { kind: 'refused', error: 'malformed' }
    : { kind: 'mapped', ...mapped };
}
