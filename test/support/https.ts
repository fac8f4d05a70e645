import { request } from 'node:https';
import { TLSSocket } from 'node:tls';
import type { Endpoint } from '../../shared/endpoint.ts';

export interface HttpsAnswer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
  /** The common name of the server's certificate. */
  readonly subject: string | undefined;
}

/** Asks over a connection of its own, trusting `ca` alone: GET, or POST of a JSON body. */
export function askHttps(
  { address, port }: Endpoint,
  ca: string,
  path: string,
  body?: string,
): Promise<HttpsAnswer> {
  const method = body === undefined ? 'GET' : 'POST';
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const options = { host: address, port, path, ca, method, headers, agent: false };
    const asked = request(options, (response) => {
      const { socket } = response;
      const names = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => {
        const [subject] = [names].flat();
        resolve({ status: response.statusCode, headers: response.headers, body: text, subject });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
