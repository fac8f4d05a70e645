/** HTTP with whatever calls itself a router: over loopback, with servers that keep to nothing. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { exchangeHttp } from '../../../probe/drive/http-exchange.ts';
import type { HttpAnswer, HttpRequest } from '../../../shared/portmap/igd.ts';

const LIMIT_BYTES = 65_536;
/** Of an exchange that is expected to come to its end by itself. */
const AMPLE_MS = 20_000;
/** Of one that is expected not to. */
const SHORT_MS = 300;
const FAILED: HttpAnswer = { kind: 'failed' };

const servers: { server: Server; sockets: Set<Socket> }[] = [];
afterEach(async () => {
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  }
});

/** A server that answers each connection as told, once a request's headers are there. Resolves with its port. */
async function listen(answer: (socket: Socket, request: string) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let request = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const isFirst = !request.includes('\r\n\r\n');
      request += chunk.toString('latin1');
      if (isFirst && request.includes('\r\n\r\n')) answer(socket, request);
    });
  });
  servers.push({ server, sockets });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function get(port: number, path = '/'): HttpRequest {
  return { method: 'GET', url: `http://127.0.0.1:${port}${path}`, headers: {}, body: '' };
}

function exchange(request: HttpRequest, timeoutMs = AMPLE_MS, signal?: AbortSignal): Promise<HttpAnswer> {
  return exchangeHttp(request, '127.0.0.1', timeoutMs, signal);
}

/** What becomes of a GET that is answered by those bytes, and the end of the connection. */
async function answerTo(bytes: string | Buffer, timeoutMs?: number): Promise<HttpAnswer> {
  return exchange(get(await listen((socket) => socket.end(bytes))), timeoutMs);
}

describe('an exchange', () => {
  it('sends method, headers and body, from that address, on a connection of its own', async () => {
    let asked = { request: '', from: '' };
    const port = await listen((socket, request) => {
      asked = { request, from: socket.remoteAddress! };
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const post: HttpRequest = {
      method: 'POST',
      url: `http://127.0.0.1:${port}/ctl?a=1`,
      headers: { soapaction: '"urn:x#Y"' },
      body: '<ü/>',
    };
    expect(await exchange(post)).toEqual({ kind: 'answered', status: 200, body: 'ok' });
    expect(asked.from).toBe('127.0.0.1');
    expect(asked.request).toMatch(/^POST \/ctl\?a=1 HTTP\/1\.1\r\n/);
    expect(asked.request).toMatch(/\r\nsoapaction: "urn:x#Y"\r\n/);
    expect(asked.request).toMatch(/\r\ncontent-length: 5\r\n/);
    expect(asked.request).toMatch(/\r\nconnection: close\r\n/i);
    expect(asked.request.endsWith(Buffer.from('\r\n\r\n<ü/>').toString('latin1'))).toBe(true);
  });

  it.each([
    ['a length', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n<a/>\n', 200, '<a/>\n'],
    [
      'chunks',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n<a\r\n2\r\n/>\r\n0\r\n\r\n',
      200,
      '<a/>',
    ],
    ['the end of the connection', 'HTTP/1.0 200 OK\r\n\r\n<a/>', 200, '<a/>'],
    [
      'a fault',
      'HTTP/1.1 500 Internal Server Error\r\n\r\n<errorCode>714</errorCode>',
      500,
      '<errorCode>714</errorCode>',
    ],
    ['no body', 'HTTP/1.1 204 No Content\r\n\r\n', 204, ''],
    ['a word to wait', 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx', 200, 'x'],
  ])('takes an answer with %s', async (_what, bytes, status, body) => {
    expect(await answerTo(bytes)).toEqual({ kind: 'answered', status, body });
  });

  it('reads bytes that are no UTF-8 as what they are not', async () => {
    const head = Buffer.from('HTTP/1.1 200 OK\r\n\r\n');
    expect(await answerTo(Buffer.concat([head, Buffer.from([0x61, 0xff, 0x62])]))).toEqual({
      kind: 'answered',
      status: 200,
      body: 'a\uFFFDb',
    });
  });

  it('follows no redirect', async () => {
    let isFollowed = false;
    const other = await listen((socket) => {
      isFollowed = true;
      socket.end('HTTP/1.1 200 OK\r\n\r\n');
    });
    const answer = await answerTo(`HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:${other}/\r\n\r\n`);
    expect(answer).toEqual({ kind: 'answered', status: 302, body: '' });
    expect(isFollowed).toBe(false);
  });

  it('takes a body of 64 KiB, and none of a byte more', async () => {
    const head = 'HTTP/1.1 200 OK\r\n\r\n';
    const longest = await answerTo(head + 'x'.repeat(LIMIT_BYTES));
    expect(longest).toMatchObject({ kind: 'answered', body: expect.stringMatching(/^x{65536}$/) as unknown });
    expect(await answerTo(head + 'x'.repeat(LIMIT_BYTES + 1))).toEqual(FAILED);
  });
});

describe('an exchange fails', () => {
  it('as soon as an endless body is too long, and reads no further', async () => {
    let written = 0;
    let isClosed = false;
    const port = await listen((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const chunk = Buffer.alloc(16_384, 'x');
      const pour = (): void => {
        while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
      };
      socket.on('drain', pour);
      socket.on('close', () => (isClosed = true));
      pour();
    });
    expect(await exchange(get(port))).toEqual(FAILED);
    await expect.poll(() => isClosed).toBe(true);
    // What the kernel's buffers take, and not what flows in 20 s.
    expect(written).toBeLessThan(64 * 1024 * 1024);
  });

  it.each([
    ['no answer', () => undefined],
    ['half a header', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-le')],
    ['half a body', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf')],
    ['words to wait without end', (socket: Socket) => drip(socket, 'HTTP/1.1 100 Continue\r\n\r\n')],
    ['a header without end, byte by byte', (socket: Socket) => drip(socket, 'HTTP/1.1 200 OK\r\nx: ', 'y')],
    ['a body without end, byte by byte', (socket: Socket) => drip(socket, 'HTTP/1.1 200 OK\r\n\r\n', 'y')],
  ])('when its time is over, at %s', async (_what, answer) => {
    const startedAt = performance.now();
    expect(await exchange(get(await listen(answer)), SHORT_MS)).toEqual(FAILED);
    // Well before what else would end it; the machine may be busy.
    expect(performance.now() - startedAt).toBeLessThan(SHORT_MS + 5000);
  });

  it.each([
    ['nothing', ''],
    ['something else than HTTP', 'SSH-2.0-dropbear\r\n'],
    ['bytes', '\0\0\0\0'],
    ['a header that is too long', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`],
    ['too many headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}\r\n`],
    [
      'a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
    ],
    ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx'],
    ['no length', 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n'],
    ['less than it said', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'],
    ['a chunk that is cut off', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf'],
    [
      'another protocol',
      'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nhello',
    ],
  ])('at once where the server says %s and hangs up', async (_what, bytes) => {
    const startedAt = performance.now();
    expect(await answerTo(bytes)).toEqual(FAILED);
    expect(performance.now() - startedAt).toBeLessThan(AMPLE_MS / 2);
  });

  it('at once where nobody listens', async () => {
    const port = await listen(() => undefined);
    const { server } = servers.pop()!;
    server.close();
    await once(server, 'close');
    expect(await exchange(get(port))).toEqual(FAILED);
  });

  it.each(['http://%E0@127.0.0.1/', 'http://127.0.0.1:99999/', 'https://127.0.0.1/', 'nowhere', ''])(
    'at once for the URL “%s”, and throws nothing',
    async (url) => {
      expect(await exchange({ method: 'GET', url, headers: {}, body: '' })).toEqual(FAILED);
    },
  );

  it('from an address that this machine doesn’t have', async () => {
    const port = await listen((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    expect(await exchangeHttp(get(port), '192.0.2.1', AMPLE_MS)).toEqual(FAILED);
  });

  it('on abort: before it starts, while it waits, and in the middle of the body', async () => {
    const port = await listen((socket, request) => {
      if (request.startsWith('GET /body')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf');
    });
    expect(await exchange(get(port), AMPLE_MS, AbortSignal.abort())).toEqual(FAILED);
    for (const path of ['/nothing', '/body']) {
      const abort = new AbortController();
      const answer = exchange(get(port, path), AMPLE_MS, abort.signal);
      setTimeout(() => abort.abort(), 50);
      expect(await answer).toEqual(FAILED);
    }
  });
});

/** Writes the first text, then the second (or the first again) every few milliseconds, for as long as the peer listens. */
function drip(socket: Socket, first: string, then = first): void {
  socket.write(first);
  const timer = setInterval(() => socket.write(then), 5);
  socket.on('close', () => clearInterval(timer));
}
