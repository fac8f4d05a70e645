/** The HTTP client against servers of every kind of manners. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askApi } from '../../../probe/drive/api-client.ts';
import { ERROR_CATALOGUE } from '../../../shared/errors.ts';
import { parseHttpUrl } from '../../../shared/http-url.ts';
import { problem } from '../../../server/http/problem.ts';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close().closeAllConnections();
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<URL> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/nat/`);
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const GET = { method: 'GET', path: 'x' } as const;

describe('askApi', () => {
  it('posts JSON below the API’s path, and resolves with what comes', async () => {
    const api = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () =>
        json(response, 201, [
          request.method,
          request.url,
          request.headers['content-type'],
          Buffer.concat(chunks).toString(),
        ]),
      );
    });
    const answer = await askApi(api, { method: 'POST', path: 'classify', body: { a: 1 } });
    expect(answer).toEqual({
      status: 201,
      body: ['POST', '/nat/classify', 'application/json', '{"a":1}'],
      url: new URL('classify', api),
    });
  });

  it('passes a problem on with the server’s code and words, and our remedy', async () => {
    const said = problem('ERR_FIELD', 'it is \u001b[31mred\u0007', { field: '/evidence/0' });
    const api = await serve((_, response) => json(response, 400, said));
    await expect(askApi(api, GET)).rejects.toMatchObject({
      code: 'ERR_FIELD',
      message:
        `${api.href}x /evidence/0: ${ERROR_CATALOGUE.ERR_FIELD.problem} (it is  [31mred ); ` +
        ERROR_CATALOGUE.ERR_FIELD.remedy,
    });
  });

  it.each<[string, number, unknown, string]>([
    [
      'a code that is not known here',
      418,
      { code: 'ERR_TEAPOT', detail: 'short and stout' },
      'status 418: short',
    ],
    ['a code that is no name of ours', 400, { code: 'constructor', title: 'Bad' }, 'status 400: Bad'],
    ['no problem document', 502, 'down', 'status 502'],
  ])('calls it refused where there is %s', async (_, status, body, detail) => {
    const api = await serve((_request, response) => json(response, status, body));
    await expect(askApi(api, GET)).rejects.toMatchObject({
      code: 'ERR_API_REFUSED',
      message: expect.stringContaining(detail) as string,
    });
  });

  it('says that what answers is no natprobed where it is no JSON, or too long', async () => {
    const page = await serve((_, response) => response.end('<html>'));
    await expect(askApi(page, GET)).rejects.toMatchObject({ code: 'ERR_API_ANSWER', exitCode: 3 });
    const endless = await serve((_, response) => {
      const chunk = Buffer.alloc(1 << 20, 0x20);
      const write = (): void => {
        while (response.write(chunk));
      };
      response.on('drain', write);
      write();
    });
    await expect(askApi(endless, GET)).rejects.toMatchObject({
      code: 'ERR_API_ANSWER',
      message: expect.stringContaining('more than 4194304 bytes') as string,
    });
  });

  it('says what kept it from reaching the API, within its time', async () => {
    const closed = await serve(() => undefined);
    open.pop()!.close();
    await expect(askApi(closed, GET)).rejects.toMatchObject({
      code: 'ERR_API_UNREACHABLE',
      message: expect.stringContaining('(ECONNREFUSED)') as string,
    });
    const silent = await serve(() => undefined);
    await expect(askApi(silent, { ...GET, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_API_UNREACHABLE',
      message: expect.stringContaining('(no answer in 0.05 s)') as string,
    });
    const stalling = await serve((_, response) => response.write('['));
    await expect(askApi(stalling, { ...GET, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'ERR_API_UNREACHABLE',
    });
  });

  it('is stopped by its signal', async () => {
    const silent = await serve(() => undefined);
    const stop = new AbortController();
    const asked = askApi(silent, { ...GET, signal: stop.signal });
    stop.abort();
    await expect(asked).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});

describe('a redirect', () => {
  it('is followed on the same host, with the body', async () => {
    const last = await serve((request, response) => json(response, 200, request.method));
    const first = await serve((_, response) =>
      response.writeHead(308, { location: new URL('/elsewhere', last).href }).end(),
    );
    const answer = await askApi(first, { method: 'POST', path: 'classify', body: {} });
    expect(answer).toMatchObject({ body: 'POST', url: new URL('/elsewhere', last) });
  });

  it.each([
    ['to another host', 308, 'http://localhost:1/'],
    ['to another scheme', 307, 'file:///etc/passwd'],
    ['that would turn POST into GET', 302, '/nat/y'],
    ['to nowhere', 308, 'http://'],
    ['in circles', 307, '/nat/x'],
  ])('%s is not', async (_, status, location) => {
    let asked = 0;
    const api = await serve((_request, response) => {
      asked++;
      response.writeHead(status, { location }).end();
    });
    await expect(askApi(api, GET)).rejects.toMatchObject({ code: 'ERR_API_ANSWER' });
    expect(asked).toBeLessThan(5);
  });
});

describe('parseHttpUrl', () => {
  it('takes http and https, ends the path in a slash, and leaves out what is no address', () => {
    const texts = ['http://h', 'https://h:8443/nat?x=1#y', 'http://[2001:db8::1]:80/a/'];
    expect(texts.map((text) => parseHttpUrl(text, '--api').href)).toEqual([
      'http://h/',
      'https://h:8443/nat/',
      'http://[2001:db8::1]/a/',
    ]);
  });

  it.each(['h:80', 'ftp://h/', 'http://', 'http://user:secret@h/', ''])('refuses %j', (text) => {
    expect(() => parseHttpUrl(text, '--api')).toThrow(
      expect.objectContaining({ code: 'ERR_URL', place: '--api' }),
    );
  });
});
