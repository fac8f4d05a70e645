import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { OTHER_ADDRESS, RESPONSE_ORIGIN } from '../../../shared/stun/attributes/address.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { StreamFramer } from '../../../shared/stun/framing.ts';
import { type StunMessage, decodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import type { FamilyCounts } from '../../../server/family-counts.ts';
import type { ConnectionLimits } from '../../../server/tcp/connection-limits.ts';
import { request } from '../answer/exchange.ts';
import { type LoopbackServer, startOnLoopback } from './loopback.ts';

const LIMITS: ConnectionLimits = {
  total: 8,
  perSource: 4,
  messageBytes: 512,
  messageTimeoutMs: 150,
  idleTimeoutMs: 400,
};

let running: LoopbackServer;
beforeAll(async () => {
  running = await startOnLoopback({}, { connectionLimits: LIMITS });
});
afterAll(() => running.server.stop());

function counts(): FamilyCounts['tcp']['connections'] {
  return running.server.counts()[0]!.tcp.connections;
}

/** A TCP client that keeps the messages it gets. */
class TcpClient {
  readonly messages: StunMessage[] = [];
  readonly socket: Socket;
  /** `end`, `reset` or another error's code, once it is closed. */
  readonly closed: Promise<string>;

  constructor(to: Endpoint, localAddress = '127.0.0.1') {
    this.socket = connect({ port: to.port, host: to.address, localAddress });
    const framer = new StreamFramer(65_535);
    let reason = 'end';
    this.socket.on('error', (error: NodeJS.ErrnoException) => (reason = error.code ?? error.message));
    this.socket.on('data', (chunk) => {
      framer.push(chunk);
      for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) {
        const decoded = decodeMessage(bytes);
        if (decoded.kind !== 'message') throw new Error(decoded.kind);
        this.messages.push(decoded.message);
      }
    });
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve(reason)));
  }

  async receive(count: number): Promise<readonly StunMessage[]> {
    const signal = AbortSignal.timeout(2000);
    while (this.messages.length < count) await once(this.socket, 'data', { signal });
    return this.messages;
  }
}

async function untilCount(read: () => number, expected: number): Promise<void> {
  const giveUpAt = performance.now() + 2000;
  while (read() !== expected && performance.now() < giveUpAt) await new Promise((r) => setTimeout(r, 5));
  expect(read()).toBe(expected);
}

describe('answers', () => {
  it('at each of the four endpoints', async () => {
    for (const [role, endpoint] of running.endpoints.entries()) {
      const client = new TcpClient(endpoint);
      client.socket.write(request());
      const [answer] = await client.receive(1);
      const { address, port } = client.socket.address() as Endpoint;
      expect(readAttribute(answer!, XOR_MAPPED_ADDRESS)).toEqual({ address, port });
      expect(readAttribute(answer!, RESPONSE_ORIGIN)).toEqual(endpoint);
      expect(readAttribute(answer!, OTHER_ADDRESS)).toEqual(running.endpoints[role ^ 3]);
      client.socket.destroy();
      await client.closed;
    }
  });

  it('pipelined requests, in any pieces, and those before the client’s end', async () => {
    const client = new TcpClient(running.endpoints[0]!);
    const three = Buffer.concat([request(), request([PADDING.of(100)]), request()]);
    client.socket.write(three.subarray(0, 30));
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.socket.end(three.subarray(30));
    await client.closed;
    expect(client.messages.map(({ bytes }) => bytes.length)).toEqual([68, 124, 68]);
  });

  it('one client more than there may be from one address is refused, others are not', async () => {
    const before = counts().refused;
    const clients = Array.from({ length: LIMITS.perSource }, () => new TcpClient(running.endpoints[0]!));
    await Promise.all(clients.map(({ socket }) => once(socket, 'connect')));
    const refused = new TcpClient(running.endpoints[1]!);
    expect(await refused.closed).toBe('ECONNRESET');
    const other = new TcpClient(running.endpoints[1]!, '127.0.0.9');
    other.socket.write(request());
    await other.receive(1);
    expect(counts().refused - before).toBe(1);
    for (const { socket } of [...clients, other]) socket.destroy();
    await Promise.all([...clients, other].map(({ closed }) => closed));
  });
});

describe('closes a connection', () => {
  it('that says something else than STUN, after answering what came before', async () => {
    const before = counts().failed;
    const client = new TcpClient(running.endpoints[0]!);
    client.socket.write(Buffer.concat([request(), Buffer.from('GET / HTTP/1.1\r\n\r\n')]));
    await client.closed;
    expect(client.messages).toHaveLength(1);
    expect(counts().failed - before).toBe(1);
  });

  it('whose message is too long, before it has come', async () => {
    const before = counts().failed;
    const client = new TcpClient(running.endpoints[0]!);
    client.socket.write(request([PADDING.of(600)]).subarray(0, 20));
    await client.closed;
    expect(counts().failed - before).toBe(1);
  });

  it('that says nothing', async () => {
    const before = counts().timedOut;
    const client = new TcpClient(running.endpoints[0]!);
    expect(await client.closed).toBe('ECONNRESET');
    expect(counts().timedOut - before).toBe(1);
  });

  it('that sends a message byte by byte, though each comes in time', async () => {
    const client = new TcpClient(running.endpoints[0]!);
    const bytes = request();
    let sent = 0;
    const drip = setInterval(() => client.socket.write(bytes.subarray(sent, ++sent)), 30);
    expect(await client.closed).toBe('ECONNRESET');
    clearInterval(drip);
    expect(sent).toBeLessThan(bytes.length);
    expect(client.messages).toEqual([]);
  });

  it('that has been idle for long, later than one that is slow', async () => {
    const client = new TcpClient(running.endpoints[0]!);
    client.socket.write(request());
    await client.receive(1);
    const answeredAt = performance.now();
    expect(await client.closed).toBe('ECONNRESET');
    expect(performance.now() - answeredAt).toBeGreaterThan(LIMITS.idleTimeoutMs - 20);
  });

  it('that asks and asks and does not read, without keeping its answers', async () => {
    const before = counts();
    const client = new TcpClient(running.endpoints[0]!);
    client.socket.pause();
    const many = Buffer.concat(Array.from({ length: 2000 }, () => request()));
    const pump = (): void => {
      while (!client.socket.destroyed && client.socket.write(many));
    };
    client.socket.on('drain', pump);
    pump();
    await untilCount(() => counts().timedOut - before.timedOut, 1);
    // 68 bytes each: what the two sockets' buffers hold, and not what was asked for without end.
    expect((counts().answers - before.answers) * 68).toBeLessThan(64 << 20);
    client.socket.destroy();
    await client.closed;
  });

  it('in the midst of a stop', async () => {
    const { server, endpoints } = await startOnLoopback();
    const client = new TcpClient(endpoints[0]!);
    client.socket.write(request());
    await client.receive(1);
    const stoppedAt = performance.now();
    await server.stop();
    await client.closed;
    expect(performance.now() - stoppedAt).toBeLessThan(500);
  });
});
