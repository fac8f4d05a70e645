import type { HttpAnswer, HttpRequest } from '../../shared/portmap/igd.ts';

/** A router's description has some kilobytes; whoever sends more is no router. */
const MAX_BODY_BYTES = 65_536;

/**
 * One request to a device of the local network, from the local address `from`. Follows no redirect
 * and no proxy. Resolves with `failed` if no complete answer comes within `timeoutMs`, on abort, and for a
 * URL that can't be asked.
 */
export async function exchangeHttp(
  { method, url, headers, body }: HttpRequest,
  from: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<HttpAnswer> {
  // Most runs need no HTTP.
  const { request } = await import('node:http');
  const answer = new Promise<HttpAnswer>((resolve, reject) => {
    const limit = AbortSignal.timeout(timeoutMs);
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
        response.on('error', reject);
        response.on('end', () => {
          resolve({
            kind: 'answered',
            status: response.statusCode ?? 0,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    sent.on('error', reject);
    // Nobody asked for another protocol. Without a listener such an answer ends in nothing.
    sent.on('upgrade', (_response, socket) => {
      socket.destroy();
      reject(new Error('another protocol'));
    });
    sent.end(body);
  });
  return answer.catch(() => ({ kind: 'failed' }));
}
