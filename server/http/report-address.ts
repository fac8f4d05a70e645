import type { FastifyRequest } from 'fastify';

export interface ReportAddress {
  readonly path: string;
  /** In full, as the client reaches this server; the path alone if it hasn't said how. */
  readonly url: string;
}

/** Where a report is read: under `publicUrl` if there is one, else under the host that the client asked. */
export function reportAddress(
  id: string,
  request: Pick<FastifyRequest, 'protocol' | 'host'>,
  publicUrl?: string,
): ReportAddress {
  const path = `/classify/${id}`;
  const base = publicUrl?.replace(/\/+$/, '') ?? `${request.protocol}://${request.host}`;
  return { path, url: URL.canParse(`${base}${path}`) ? `${base}${path}` : path };
}
