/** Bounds on connections: how many, and how slow. */
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limitConnections } from '../../server/http/plugins/connections.ts';
import { openTestApp } from './app.ts';

describe('connections from one address', () => {
  const app = fastify({ forceCloseConnections: true });
  let refused = 0;
  let exempt: string | undefined;
  limitConnections(app, {
    limits: { total: 5, perSource: 3 },
    isExempt: (address) => address === exempt,
    countRefused: () => refused++,
  });
  app.get('/', () => 'here');
  beforeAll(() => app.listen({ host: '127.0.0.1', port: 0 }));
  afterAll(() => app.close());

  it('are three, and five in all, unless it is exempt', async () => {
    const open = async (from: string): Promise<Client> => {
      const client = new Client(app.server.address() as AddressInfo, from);
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.answered;
      return client;
    };
    const first = [await open('127.0.0.1'), await open('127.0.0.1'), await open('127.0.0.1')];
    expect((await open('127.0.0.1')).heard).toBe('');
    const others = [await open('127.0.0.2'), await open('127.0.0.3')];
    expect((await open('127.0.0.4')).heard).toBe('');
    expect(refused).toBe(2);
    exempt = '127.0.0.9';
    const free = await open('127.0.0.9');
    expect(free.heard).toContain('here');
    first[0]!.socket.destroy();
    await once(first[0]!.socket, 'close');
    await expect.poll(async () => (await open('127.0.0.1')).heard).toContain('here');
    for (const { socket } of [...first, ...others, free]) socket.destroy();
  });
});

describe('a connection that is handed over', () => {
  const app = fastify({ forceCloseConnections: true });
  const handOver = limitConnections(app, {
    limits: { total: 2, perSource: 2 },
    isExempt: () => false,
    countRefused: () => undefined,
  });
  app.get('/', (request) => {
    handOver(request.socket);
    return 'here';
  });
  beforeAll(() => app.listen({ host: '127.0.0.1', port: 0 }));
  afterAll(() => app.close());

  it('counts no more, and once', async () => {
    const clients: Client[] = [];
    for (let i = 0; i < 6; i++) {
      const client = new Client(app.server.address() as AddressInfo, '127.0.0.1');
      client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      await client.answered;
      expect(client.heard).toContain('here');
      clients.push(client);
    }
    // Their ends free no places that they don't have.
    await Promise.all(clients.map(({ socket }) => once(socket.destroy(), 'close')));
    const idle = [1, 2, 3].map(() => new Client(app.server.address() as AddressInfo, '127.0.0.1'));
    await Promise.race(idle.map(({ closed }) => closed));
    expect(idle.filter(({ socket }) => socket.destroyed)).toHaveLength(1);
    for (const { socket } of idle) socket.destroy();
  });
});

describe('a request that comes slowly', () => {
  let address: AddressInfo;
  let close: () => Promise<void>;
  beforeAll(async () => {
    const test = await openTestApp();
    close = test.close;
    await test.app.listen({ host: '127.0.0.1', port: 0 });
    address = test.app.server.address() as AddressInfo;
  });
  afterAll(() => close());

  it.concurrent.each([
    ['its headers within five seconds', 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ', 5000],
    [
      'its body within ten',
      'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n',
      10_000,
    ],
  ])('has to bring %s', async (_what, head, limitMs) => {
    const client = new Client(address, '127.0.0.1');
    const startedAt = performance.now();
    client.socket.write(head);
    const drip = setInterval(() => client.socket.write(' '), 100);
    await client.closed;
    clearInterval(drip);
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(limitMs - 100);
    // The server looks every second; the rest is for a machine that is busy.
    expect(tookMs).toBeLessThan(limitMs + 5000);
    expect(client.heard).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(client.heard).toContain('application/problem+json');
  });
});

describe('a client that goes before its answer', () => {
  it('is logged and counted as that, once', async () => {
    const lines: string[] = [];
    const { app, close } = await openTestApp({}, { log: (_level, message) => lines.push(message) });
    let asked: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => (asked = resolve));
    app.get('/never', () => {
      asked?.();
      return new Promise(() => undefined);
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    const client = new Client(app.server.address() as AddressInfo, '127.0.0.1');
    client.socket.write('GET /never HTTP/1.1\r\nHost: x\r\n\r\n');
    await arrived;
    client.socket.destroy();
    await expect.poll(() => lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^HTTP: GET \/never aborted in [\d.]+ ms for 127\.0\.0\.0\/24$/);
    const { body } = await app.inject('/metrics');
    expect(body).toContain('natprobed_http_requests_total{method="GET",route="/never",status="aborted"} 1\n');
    await close();
  });
});

class Client {
  readonly socket: Socket;
  heard = '';
  /** Once there is a word, or the end. */
  readonly answered: Promise<unknown>;
  readonly closed: Promise<void>;

  constructor({ port, address }: AddressInfo, localAddress: string) {
    this.socket = connect({ host: address, port, localAddress });
    this.socket.on('data', (chunk: Buffer) => (this.heard += chunk.toString()));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()));
    this.answered = Promise.race([new Promise((resolve) => this.socket.once('data', resolve)), this.closed]);
  }
}
