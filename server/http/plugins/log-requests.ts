/** A line of the log for each request: what was asked and how it went, and nothing that tells who or about what. */
import type { FastifyInstance } from 'fastify';
import type { Log, LogLevel } from '../../log.ts';
import { clientAddress, networkOf } from '../client-address.ts';
import type { LoggedAddresses } from '../defaults.ts';
import { onRequestEnd, type RequestOutcome } from './request-end.ts';

/** Asked for every few seconds, by programs. */
const ROUTINE_ROUTES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);
const LOGGED_PREFIX = { ipv4: 24, ipv6: 48 } as const;

export function logRequests(app: FastifyInstance, log: Log, addresses: LoggedAddresses): void {
  onRequestEnd(app, (request, reply, status) => {
    // A path may hold a report's id, and one that is no route anything.
    const { url: route = 'none' } = request.routeOptions;
    const ms = Math.round(reply.elapsedTime * 10) / 10;
    const length = reply.getHeader('content-length');
    const bytes = length === undefined ? undefined : Number(length);
    const address = clientAddress(request);
    const client =
      addresses === 'none' ? undefined : addresses === 'full' ? address : networkOf(address, LOGGED_PREFIX);
    const text = `${request.method} ${route} ${status} in ${ms} ms`;
    log(levelOf(status, route), `HTTP: ${text}${client === undefined ? '' : ` for ${client}`}`, {
      event: 'request',
      method: request.method,
      route,
      status,
      ms,
      ...(bytes !== undefined && { bytes }),
      ...(client !== undefined && { client }),
    });
  });
}

function levelOf(status: RequestOutcome, route: string): LogLevel {
  if (status !== 'aborted' && status >= 500) return 'warning';
  return ROUTINE_ROUTES.has(route) ? 'debug' : 'info';
}
