import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { UdpHandlers } from './udp.ts';

/** A UDP socket that holes are punched from: of `node:dgram`, or of a library that carries streams over UDP. */
export interface PunchSocket<Raw = unknown> {
  /** The address that the kernel sends from towards the server, never a wildcard. */
  readonly local: Endpoint;
  /** The library's own socket, for whoever uses the hole. */
  readonly raw: Raw;
  /** `ttl` in place of the system's holds for this datagram alone. */
  send(to: Endpoint, bytes: Uint8Array, ttl?: number): void;
  close(): void;
}

/**
 * Binds `port` (0: chosen by the system) of the wildcard of `family`. Rejects with the system's error,
 * also where there is no route `towards` the server.
 */
export type OpenPunchSocket<Raw = unknown> = (
  family: Family,
  port: number,
  towards: Endpoint,
  handlers: UdpHandlers,
) => Promise<PunchSocket<Raw>>;
