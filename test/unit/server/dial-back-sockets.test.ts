/** Dial-backs on the real sockets of a real server. */
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import {
  OTHER_ADDRESS,
  RESPONSE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import { RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { DIAL_BACK, type DialBack, type DialOrigin } from '../../../shared/stun/attributes/dial-back.ts';
import { StreamFramer } from '../../../shared/stun/framing.ts';
import {
  type StunMessage,
  type TransactionId,
  decodeMessage,
  encodeMessage,
  readAttribute,
  transactionIdOf,
} from '../../../shared/stun/message.ts';
import { ID, request } from '../answer/exchange.ts';
import { type LoopbackServer, UdpClient, loopbackFamily, startOnLoopback } from './loopback.ts';
import { asking } from './dial-asking.ts';

describe('on real sockets', () => {
  let running: LoopbackServer;
  const opened: (Asking | Server)[] = [];
  beforeAll(async () => {
    running = await startOnLoopback();
  });
  afterEach(() => {
    for (const one of opened.splice(0)) one.close();
  });
  afterAll(() => running.server.stop());

  /** A connection that asks, and keeps what it is told. */
  class Asking {
    readonly messages: StunMessage[] = [];
    readonly socket: Socket;

    constructor(to: Endpoint, localAddress: string) {
      this.socket = connect({ host: to.address, port: to.port, localAddress });
      const framer = new StreamFramer(1024);
      this.socket.on('error', () => undefined);
      this.socket.on('data', (chunk) => {
        framer.push(chunk);
        for (let bytes = framer.next(); bytes !== undefined; bytes = framer.next()) {
          const decoded = decodeMessage(bytes);
          if (decoded.kind === 'message') this.messages.push(decoded.message);
        }
      });
      opened.push(this);
    }

    get local(): Endpoint {
      return this.socket.address() as AddressInfo;
    }

    /** Asks, and waits for what is said of it in all: `dialling`, the response, the end. */
    async ask(origin: DialOrigin, timeoutMs = 1000): Promise<readonly (DialBack | 'response' | 'error')[]> {
      const transactionId = transactionIdOf(Buffer.from(`${origin} dial`.slice(0, 12).padEnd(12)));
      const attributes = [DIAL_BACK.of({ kind: 'asked', origin, timeoutMs })];
      const seen = this.messages.length;
      this.socket.write(encodeMessage({ class: 'request', transactionId, attributes }));
      return this.hear(transactionId, seen + 3);
    }

    async hear(
      transactionId: TransactionId,
      count: number,
    ): Promise<readonly (DialBack | 'response' | 'error')[]> {
      const signal = AbortSignal.timeout(5000);
      while (this.messages.length < count) await once(this.socket, 'data', { signal });
      return this.messages
        .filter((message) => message.transactionId === transactionId)
        .map((message) => {
          if (message.class === 'indication') return readAttribute(message, DIAL_BACK)!;
          return message.class === 'success' ? 'response' : 'error';
        });
    }

    close(): void {
      this.socket.destroy();
    }
  }

  /** Listens where the connection came from, and tells who called and what they said. */
  async function listenAt({ address, port }: Endpoint): Promise<{ from: Endpoint; bytes: number }[]> {
    const calls: { from: Endpoint; bytes: number }[] = [];
    const server = createServer((socket) => {
      const call = { from: { address: socket.remoteAddress!, port: socket.remotePort! }, bytes: 0 };
      socket.on('data', (chunk) => (call.bytes += chunk.length));
      socket.on('end', () => calls.push(call));
      socket.on('error', () => undefined);
    });
    opened.push(server);
    server.listen(port, address);
    await once(server, 'listening');
    return calls;
  }

  async function untilLength(list: readonly unknown[], length: number): Promise<void> {
    const giveUpAt = performance.now() + 2000;
    while (list.length < length && performance.now() < giveUpAt) await new Promise((r) => setTimeout(r, 2));
    expect(list).toHaveLength(length);
  }

  function dialCounts(): Readonly<Record<string, number>> {
    return running.server.counts()[0]!.tcp.dials;
  }

  it('the listener behind the connection is called from each address, in silence', async () => {
    const before = dialCounts();
    const asker = new Asking(running.endpoints[0]!, '127.0.0.1');
    await once(asker.socket, 'connect');
    const calls = await listenAt(asker.local);
    for (const [origin, address] of [
      ['same-address', running.endpoints[0]!.address],
      ['other-address', running.endpoints[2]!.address],
    ] as const) {
      const said = await asker.ask(origin);
      const ended = said[2];
      expect(said.slice(0, 2)).toEqual([{ kind: 'dialling', origin, timeoutMs: 1000 }, 'response']);
      expect(ended).toMatchObject({ kind: 'ended', outcome: 'connected', dialledFrom: { address } });
    }
    await untilLength(calls, 2);
    const dialledFrom = asker.messages.flatMap((message) => {
      const dial = readAttribute(message, DIAL_BACK);
      return dial?.kind === 'ended' ? [dial.dialledFrom] : [];
    });
    expect(calls.map(({ from }) => from)).toEqual(dialledFrom);
    expect(calls.map(({ bytes }) => bytes)).toEqual([0, 0]);
    expect(dialCounts()).toEqual({ ...before, connected: before['connected']! + 2 });
  });

  it('a port where nobody listens refuses', async () => {
    const before = dialCounts();
    const asker = new Asking(running.endpoints[1]!, '127.0.0.1');
    expect((await asker.ask('other-address'))[2]).toMatchObject({ kind: 'ended', outcome: 'refused' });
    expect(dialCounts()).toEqual({ ...before, refused: before['refused']! + 1 });
  });

  it('a third party is not called, whatever the request says, and a refused request calls nobody', async () => {
    const before = dialCounts();
    const asker = new Asking(running.endpoints[0]!, '127.0.0.1');
    await once(asker.socket, 'connect');
    const [ownCalls, thirdCalls] = await Promise.all([
      listenAt(asker.local),
      listenAt({ address: '127.0.0.7', port: asker.local.port }),
    ]);
    const third = { address: '127.0.0.7', port: asker.local.port };
    asker.socket.write(asking('same-address', 500, [XOR_MAPPED_ADDRESS.of(third), OTHER_ADDRESS.of(third)]));
    expect(await asker.hear(ID, 3)).toMatchObject([
      { kind: 'dialling' },
      'response',
      { outcome: 'connected' },
    ]);
    asker.socket.write(asking('other-address', 500, [RESPONSE_ADDRESS.of(third)]));
    asker.socket.write(asking('other-address', 500, [RESPONSE_PORT.of(third.port)]));
    expect((await asker.hear(ID, 5)).slice(3)).toEqual(['error', 'error']);
    await untilLength(ownCalls, 1);
    expect(thirdCalls).toEqual([]);
    expect(dialCounts()).toEqual({ ...before, connected: before['connected']! + 1 });
  });

  it('over UDP, where sources can be forged, nobody is called', async () => {
    const before = dialCounts();
    const client = await UdpClient.open();
    client.send(asking('same-address'), running.endpoints[0]!);
    client.send(request(), running.endpoints[0]!);
    const heard = await client.hear(2);
    client.close();
    expect(heard.map(({ message }) => message.class)).toEqual(['success', 'success']);
    expect(heard.map(({ message }) => readAttribute(message, DIAL_BACK))).toEqual([undefined, undefined]);
    expect(dialCounts()).toEqual(before);
  });

  it('with one address there is only that to be called from', async () => {
    const one = await startOnLoopback({ families: [await loopbackFamily('127.0.0.1', undefined)] });
    try {
      const asker = new Asking(one.endpoints[0]!, '127.0.0.1');
      asker.socket.write(asking('other-address'));
      asker.socket.write(asking('same-address'));
      expect(await asker.hear(ID, 5)).toMatchObject([
        { kind: 'ended', outcome: 'no-address' },
        'response',
        { kind: 'dialling', origin: 'same-address' },
        'response',
        { kind: 'ended', outcome: 'refused' },
      ]);
    } finally {
      await one.server.stop();
    }
  });

  it('over IPv6 as well', async () => {
    const six = await startOnLoopback({ families: [await loopbackFamily('::1', undefined)] });
    try {
      const asker = new Asking(six.endpoints[0]!, '::1');
      await once(asker.socket, 'connect');
      const calls = await listenAt(asker.local);
      const said = await asker.ask('same-address');
      expect(said[2]).toMatchObject({ outcome: 'connected', dialledFrom: { address: '::1' } });
      await untilLength(calls, 1);
    } finally {
      await six.server.stop();
    }
  });
});
