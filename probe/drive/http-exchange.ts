import type { HttpAnswer, HttpRequest } from '../../shared/portmap/igd.ts';

/** A router's description has some kilobytes; whoever sends more is no router. */
const MAX_BODY_BYTES = 65_536;

/**
 * One request to a device of the local network, from the local address `from`. Follows no redirect
 * and no proxy. Resolves with `failed` if no complete answer comes within `timeoutMs`, or on abort.
 */
export async function exchangeHttp(
  { method, url, headers, body }: HttpRequest,
  from: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<HttpAnswer> {
  // Most runs need no HTTP.
  const { request } = await import('node:http');
  return new Promise((resolve) => {
    const limit = AbortSignal.timeout(timeoutMs);
    const fail = (): void => resolve({ kind: 'failed' });
    const sent = request(
      url,
      {
        method,
        headers: { ...headers, connection: 'close', 'content-length': Buffer.byteLength(body) },
        agent: false,
        localAddress: from,
        signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > MAX_BODY_BYTES) response.destroy(new Error('too long'));
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('end', () => {
          resolve({
            kind: 'answered',
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    sent.on('error', fail);
    sent.end(body);
  });
}
