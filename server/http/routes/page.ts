import type { FastifyInstance } from 'fastify';
import { DEFAULT_PORT } from '../../../shared/default-ports.ts';
import { formatEndpoint, parseEndpoint } from '../../../shared/endpoint.ts';
import { isLoopback } from '../../local-addresses.ts';
import { renderFrontPage } from '../pages/front-page.ts';
import { ProblemError } from '../problem.ts';
import { sendPage, varyBy, webAssets } from '../send-page.ts';
import type { Health } from '../status.ts';
import { ASSETS_PATH } from '../web-assets.ts';

export interface PageOptions {
  readonly health: () => Health;
  /** Where clients reach this server, if not at the address that they ask. */
  readonly publicUrl?: string;
}

const A_YEAR_S = 31_536_000;

/** GET /, which measures. */
export function pageRoutes(app: FastifyInstance, { health, publicUrl }: PageOptions): void {
  app.get('/', { schema: { hide: true } }, async ({ hostname }, reply) => {
    const host = publicUrl === undefined ? hostname : new URL(publicUrl).hostname;
    const page = renderFrontPage({ assets: await webAssets(), stunServer: nameStunServer(health(), host) });
    return sendPage(reply, page);
  });
}

/** The scripts and styles of all pages, under /assets. */
export function assetRoutes(app: FastifyInstance): void {
  app.get<{ Params: { name: string } }>(
    `${ASSETS_PATH}:name`,
    { schema: { hide: true } },
    async (request, reply) => {
      const asset = (await webAssets()).find(request.params.name);
      if (asset === undefined) throw new ProblemError('ERR_NOT_FOUND', `GET ${request.url}`);
      const zipped = /\bgzip\b/.test(String(request.headers['accept-encoding']));
      if (zipped) void reply.header('content-encoding', 'gzip');
      void reply.headers({
        'cache-control': `public, max-age=${A_YEAR_S}, immutable`,
      });
      varyBy(reply, 'accept-encoding');
      return reply.type(asset.type).send(zipped ? asset.gzipped : asset.bytes);
    },
  );
}

/** By the name that the visitor uses, if it can be one; on loopback HTTP may be forwarded, and STUN elsewhere. */
function nameStunServer({ families: [family] }: Health, host: string): string {
  if (family === undefined) return 'HOST';
  const { address, port } = parseEndpoint(family.endpoints.PP, 'endpoints');
  const isName = /^(\[[\da-f:.]+\]|[\w.-]+)$/i.test(host) && !isLoopback(host.replace(/^\[|\]$/g, ''));
  if (!isName) return port === DEFAULT_PORT ? address : formatEndpoint({ address, port });
  return port === DEFAULT_PORT ? host : `${host}:${port}`;
}
