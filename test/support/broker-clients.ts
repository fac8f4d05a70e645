/** The WebSocket /broker over real connections, and who may be at its other end. */
import { randomBytes } from 'node:crypto';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect } from 'vitest';
import { BrokerService, type BrokerServiceOptions } from '../../server/http/broker-service.ts';
import { checkBrokerWitness } from '../../server/witness/check-witnesses.ts';
import { WitnessKeys } from '../../server/witness/witness-keys.ts';
import { decodeServerMessage } from '../../shared/broker/decode.ts';
import type { ClientMessage, ServerMessage } from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import { openTestApp, type TestApp } from '../http/app.ts';
import { BROKER_KEY, helloOf, witnessOf } from './broker.ts';

export const AT_ANN = { address: '198.51.100.7', port: 40000 };
export const AT_BOB = { address: '203.0.113.9', port: 50000 };

/** A server whose broker is started anew for each test of a file. */
export function useBroker(): BrokerScene {
  const scene = new BrokerScene();
  beforeEach(() => scene.start());
  afterEach(() => scene.end());
  return scene;
}

export class BrokerScene {
  #running: TestApp | undefined;
  #broker: BrokerService | undefined;
  #stopped: Promise<void> | undefined;
  #clients: (BrokerClient | Socket)[] = [];

  get app(): TestApp['app'] {
    return this.#running!.app;
  }

  get broker(): BrokerService {
    return this.#broker!;
  }

  get port(): number {
    return (this.app.server.address() as AddressInfo).port;
  }

  async start(options: Partial<BrokerServiceOptions> = {}): Promise<void> {
    const keys = new WitnessKeys(BROKER_KEY);
    this.#broker = new BrokerService({
      checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, keys, Date.now()),
      ...options,
    });
    this.#running = await openTestApp({}, { broker: this.#broker });
    await this.app.listen({ host: '127.0.0.1', port: 0 });
    this.#stopped = undefined;
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#running!.close());
  }

  async restart(options: Partial<BrokerServiceOptions>): Promise<void> {
    await this.stop();
    await this.start(options);
  }

  async end(): Promise<void> {
    await this.stop();
    for (const client of this.#clients.splice(0))
      if (client instanceof BrokerClient) client.socket.close();
      else client.destroy();
  }

  enter(): BrokerClient {
    const client = new BrokerClient(this.port);
    this.#clients.push(client);
    return client;
  }

  /** Two that can be introduced. */
  async enterPair(): Promise<{ ann: BrokerClient; bob: BrokerClient }> {
    const [ann, bob] = [this.enter(), this.enter()];
    await Promise.all([ann.register('ann', AT_ANN), bob.register('bob', AT_BOB)]);
    return { ann, bob };
  }

  async introducePair(): Promise<void> {
    const { ann, bob } = await this.enterPair();
    await ann.say({ kind: 'introduce', id: 1, peer: 'bob' });
    expect(await ann.next()).toMatchObject({ kind: 'plan', id: 1, peer: { name: 'bob' } });
    expect(await bob.next()).toMatchObject({ kind: 'plan', peer: { name: 'ann' } });
    ann.socket.close();
    bob.socket.close();
    await Promise.all([ann.closed, bob.closed]);
  }

  /** A connection on which nothing has been said. */
  connect(): Socket {
    const socket = connect(this.port, '127.0.0.1');
    this.#clients.push(socket);
    return socket.on('error', () => undefined);
  }

  /** A WebSocket's connection without its rules, opened by hand. */
  async openBare(path = '/broker', headers = ''): Promise<{ socket: Socket; head: string }> {
    const socket = this.connect();
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${this.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${headers}\r\n`,
    );
    const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    return { socket, head: head.toString() };
  }
}

/** A peer that reads one message after the other. */
export class BrokerClient {
  readonly socket: WebSocket;
  private readonly heard: ServerMessage[] = [];
  private wake: () => void = () => undefined;
  readonly closed: Promise<number>;

  constructor(port: number) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/broker`);
    this.socket.addEventListener('message', ({ data }) => {
      this.heard.push(decodeServerMessage(String(data)));
      this.wake();
    });
    this.closed = new Promise((resolve) =>
      this.socket.addEventListener('close', ({ code }) => {
        resolve(code);
        this.wake();
      }),
    );
  }

  async say(...messages: (ClientMessage | string | Uint8Array<ArrayBuffer>)[]): Promise<void> {
    if (this.socket.readyState === WebSocket.CONNECTING)
      await new Promise((resolve) => this.socket.addEventListener('open', resolve));
    for (const message of messages) {
      const isRaw = typeof message === 'string' || message instanceof Uint8Array;
      this.socket.send(isRaw ? message : JSON.stringify(message));
    }
  }

  /** The next message, but for heartbeats. Rejects if the connection closes before. */
  async next(): Promise<ServerMessage> {
    for (;;) {
      const message = this.heard.shift();
      if (message !== undefined && message.kind !== 'heartbeat') return message;
      if (message !== undefined) continue;
      if (this.socket.readyState === WebSocket.CLOSED) throw new Error('closed');
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  async register(name: string, mapped: Endpoint): Promise<string> {
    await this.say(helloOf(name));
    const welcome = await this.next();
    if (welcome.kind !== 'welcome') throw new Error(JSON.stringify(welcome));
    const witness = witnessOf(welcome.nonce, mapped, Date.now());
    await this.say({ kind: 'candidates', public: [witness], private: [], mapped: [] });
    expect(await this.next()).toMatchObject({ kind: 'registered', public: [mapped] });
    return welcome.token;
  }
}

/** Of less than 64 KiB, masked with zeros (RFC 6455 §5.2). */
export function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.from([body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | 126]), length, Buffer.alloc(4), body]);
}

export function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('data', () => undefined);
    socket.once('close', () => resolve());
  });
}
