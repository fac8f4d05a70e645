/** Whether a punch gains from local ports below 1024: a Linux router draws from as few public ones (MEASURING.md §7). */
import { randomBytes, randomInt } from 'node:crypto';
import type { Endpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { LOW_PORTS } from '../../shared/punch/port-odds.ts';
import { REPORT_NONCE_BYTES } from '../../shared/report/witnesses.ts';
import { openMainSockets } from './main-sockets.ts';
import { openUdpSocket } from './udp.ts';

/** A NAT that draws from all ports picks one of these by chance once in 150 times, and twice once in 23,000. */
const SAMPLES = 2;
const TIMEOUT_MS = 1500;

/** Tries two of them towards a natprobed. False as well where this process may not bind them. Rejects with ERR_ABORTED. */
export async function hasLowPorts(server: Endpoint, signal?: AbortSignal): Promise<boolean> {
  try {
    const seen = await Promise.all(Array.from({ length: SAMPLES }, () => publicPortOf(server, signal)));
    return seen.every((port) => port >= LOW_PORTS.first && port <= LOW_PORTS.last);
  } catch (error) {
    if (error instanceof NatprobeError && error.code !== 'ERR_ABORTED') return false;
    throw error;
  }
}

async function publicPortOf(server: Endpoint, signal: AbortSignal | undefined): Promise<number> {
  const mains = await openMainSockets({
    servers: { ipv4: server },
    // A witness that nobody is shown: the port is what is wanted.
    nonce: randomBytes(REPORT_NONCE_BYTES).toString('hex'),
    open: openUdpSocket,
    localPort: randomInt(LOW_PORTS.first, LOW_PORTS.last + 1),
    timeoutMs: TIMEOUT_MS,
    ...(signal && { signal }),
  });
  mains.close();
  return mains.candidates.public[0]!.mapped.port;
}
