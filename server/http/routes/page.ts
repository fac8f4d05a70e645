import type { FastifyInstance } from 'fastify';
import { ProblemError } from '../problem.ts';
import { loadWebAssets, type WebAssets } from '../web-assets.ts';

/** Everything from this server itself, and nothing inline. */
const PAGE_CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** GET /, and the scripts and styles of the pages under /assets. */
export function pageRoutes(app: FastifyInstance): void {
  let assets: Promise<WebAssets> | undefined;
  const load = (): Promise<WebAssets> => {
    // A failure isn't kept: the next request tries again.
    assets ??= loadWebAssets().catch((error: unknown) => {
      assets = undefined;
      throw error;
    });
    return assets;
  };
  app.get('/', { schema: { hide: true } }, async (_request, reply) => {
    const { type, bytes } = (await load()).get('index.html')!;
    void reply.header('content-security-policy', PAGE_CSP).header('x-content-type-options', 'nosniff');
    return reply.type(type).header('cache-control', 'no-cache').send(bytes);
  });
  app.get<{ Params: { name: string } }>(
    '/assets/:name',
    { schema: { hide: true } },
    async (request, reply) => {
      const asset = (await load()).get(request.params.name);
      if (asset === undefined) throw new ProblemError('ERR_NOT_FOUND', `GET ${request.url}`);
      void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-cache');
      return reply.type(asset.type).send(asset.bytes);
    },
  );
}
