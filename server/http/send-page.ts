/** Pages beside documents: who gets which, and what goes with a page. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { loadWebAssets, type WebAssets } from './web-assets.ts';

let assets: Promise<WebAssets> | undefined;

/** Loaded once. A failure isn't kept: the next request tries again. */
export function webAssets(): Promise<WebAssets> {
  assets ??= loadWebAssets().catch((error: unknown) => {
    assets = undefined;
    throw error;
  });
  return assets;
}

export function sendPage(reply: FastifyReply, page: string): FastifyReply {
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-cache');
  varyBy(reply, 'accept');
  return reply.type('text/html; charset=utf-8').send(page);
}

/** Caches are to keep answers apart by this request header too. */
export function varyBy(reply: Pick<FastifyReply, 'header' | 'getHeader'>, header: string): void {
  void reply.header('vary', [reply.getHeader('vary'), header].filter(Boolean).join(', '));
}

/** Whether a page is asked for rather than JSON: browsers name text/html, programs mostly nothing (RFC 9110 §12.5.1). */
export function prefersPage({ headers: { accept = '' } }: Pick<FastifyRequest, 'headers'>): boolean {
  const ranges = accept.split(',').map(readRange);
  const weightOf = (type: string): number =>
    Math.max(0, ...ranges.filter(({ name }) => name === type).map(({ weight }) => weight));
  const page = weightOf('text/html');
  return page > 0 && page >= weightOf('application/json');
}

function readRange(range: string): { readonly name: string; readonly weight: number } {
  const [name = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const weight = quality === undefined ? 1 : Number(quality);
  return { name, weight: Number.isFinite(weight) ? weight : 0 };
}
