/** The probe's end of the broker's WebSocket, against a real server and against what is none. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type BrokerConnection, connectBroker } from '../../../probe/drive/broker-connection.ts';
import type { NatprobeError } from '../../../shared/errors.ts';
import { helloOf } from '../../support/broker.ts';
import { startOnLoopback } from '../server/loopback.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

interface Visit {
  readonly connection: BrokerConnection;
  readonly frames: string[];
  readonly opened: Promise<unknown>;
  readonly closed: Promise<NatprobeError>;
}

function visit(api: string): Visit {
  const frames: string[] = [];
  const opened = Promise.withResolvers<unknown>();
  const closed = Promise.withResolvers<NatprobeError>();
  const connection = connectBroker(new URL(api), {
    onOpen: () => opened.resolve(undefined),
    onFrame: (text) => frames.push(text),
    onClosed: closed.resolve,
  });
  closers.push(() => connection.close());
  return { connection, frames, opened: opened.promise, closed: closed.promise };
}

async function serve(answer: RequestListener): Promise<string> {
  const server: Server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

async function serveBroker(): Promise<{ api: string; stop: () => Promise<void> }> {
  const { server } = await startOnLoopback({ http: { host: '127.0.0.1', port: 0, required: true } });
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= server.stop());
  closers.push(stop);
  return { api: `http://127.0.0.1:${server.http!.port}/`, stop };
}

describe('a connection to the broker', () => {
  it('carries what is said both ways, and is silent once it is closed', async () => {
    const { api } = await serveBroker();
    const { connection, frames, opened } = visit(api);
    await opened;
    connection.send(helloOf('ann'));
    await expect.poll(() => frames.length).toBe(2);
    expect(JSON.parse(frames[0]!)).toMatchObject({ kind: 'welcome', name: 'ann' });
    connection.send({ kind: 'bye' });
    connection.close();
    connection.send({ kind: 'bye' });
  });

  it('says that the broker has ended it', async () => {
    const { api, stop } = await serveBroker();
    const { connection, frames, opened, closed } = visit(api);
    await opened;
    connection.send(helloOf('ann'));
    await expect.poll(() => frames.length).toBe(2);
    await stop();
    expect(await closed).toMatchObject({ code: 'ERR_BROKER_LOST', detail: 'closed with code 1001' });
    expect(frames.at(-1)).toContain('ERR_BROKER_STOPS');
  });
});

describe('where there is no broker', () => {
  it('nobody listens', async () => {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    expect(await visit(`http://127.0.0.1:${port}/`).closed).toMatchObject({
      code: 'ERR_API_UNREACHABLE',
      detail: 'ECONNREFUSED',
    });
  });

  it.each([
    [404, 'ERR_NO_BROKER', 'status 404'],
    [503, 'ERR_NO_BROKER', 'status 503'],
    [200, 'ERR_API_ANSWER', 'status 200, and no JSON'],
  ])('an HTTP server answers %i', async (status, code, detail) => {
    const api = await serve((_request, response) => response.writeHead(status).end('hello'));
    expect(await visit(api).closed).toMatchObject({ code, detail });
  });

  it('something in between lets no WebSocket through', async () => {
    const { api } = await serveBroker();
    const proxy = await serve((request, response) => {
      fetch(new URL(request.url!, api)).then(
        async (answer) => {
          response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type')! });
          response.end(await answer.text());
        },
        () => response.destroy(),
      );
    });
    expect(await visit(proxy).closed).toMatchObject({
      code: 'ERR_NO_BROKER',
      detail: 'it is there, but no WebSocket gets through',
    });
  });

  it('no TLS is spoken', async () => {
    const api = (await serve((_request, response) => response.end('{}'))).replace('http', 'https');
    expect(await visit(api).closed).toMatchObject({ code: 'ERR_API_UNREACHABLE' });
  });

  it('the connection is cut', async () => {
    const server = createTcpServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    expect(await visit(`http://127.0.0.1:${port}/`).closed).toMatchObject({ code: 'ERR_API_UNREACHABLE' });
  });
});
