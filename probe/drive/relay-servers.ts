/** The TURN servers that a plan names, found by name. */
import { lookup } from 'node:dns/promises';
import type { Relay } from '../../shared/broker/messages.ts';
import { DEFAULT_PORT } from '../../shared/default-ports.ts';
import { canonicalAddress, type Endpoint } from '../../shared/endpoint.ts';
import { parseTurnUri, type TurnUri } from '../../shared/turn-uri.ts';
import { systemErrorCode } from './udp.ts';

export interface RelayServer {
  readonly host: string;
  /** All that the name has; none where it can't be found, for a reason of the system's. */
  readonly endpoints: readonly Endpoint[];
  readonly reason?: string;
}

/** Of those that are named the ones that are spoken to over UDP, in that order. */
export function findRelayServers({ urls }: Relay): Promise<RelayServer[]> {
  const uris = urls.map(parseTurnUri).filter((uri) => uri !== undefined);
  return Promise.all(uris.filter(({ isSecure, transport }) => !isSecure && transport === 'udp').map(find));
}

async function find({ host, port = DEFAULT_PORT }: TurnUri): Promise<RelayServer> {
  try {
    const found = await lookup(host, { all: true, order: 'verbatim' });
    const addresses = found.map(({ address }) => canonicalAddress(address));
    return {
      host,
      endpoints: addresses.flatMap((address) => (address === undefined ? [] : [{ address, port }])),
    };
  } catch (error) {
    return { host, endpoints: [], reason: systemErrorCode(error) };
  }
}
