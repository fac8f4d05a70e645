/** The WebSocket /broker over real connections, with the browser's client and with bare sockets. */
import { connect, type AddressInfo, type Socket } from 'node:net';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decodeServerMessage } from '../../shared/broker/decode.ts';
import { type ClientMessage, MAX_FRAME_BYTES, type ServerMessage } from '../../shared/broker/messages.ts';
import { DEFAULT_BROKER_LIMITS } from '../../server/broker/limits.ts';
import { BrokerService, type BrokerServiceOptions } from '../../server/http/broker-service.ts';
import { checkBrokerWitness } from '../../server/witness/check-witnesses.ts';
import { WitnessKeys } from '../../server/witness/witness-keys.ts';
import { BROKER_KEY, helloOf, witnessOf } from '../support/broker.ts';
import { openTestApp, problemOf, type TestApp } from './app.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };

let running: TestApp;
let broker: BrokerService;
let port: number;
let clients: (Client | Socket)[] = [];
let stop: () => Promise<void>;

async function start(options: Partial<BrokerServiceOptions> = {}): Promise<void> {
  const keys = new WitnessKeys(BROKER_KEY);
  broker = new BrokerService({
    checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, keys, Date.now()),
    ...options,
  });
  running = await openTestApp({}, { broker });
  await running.app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = running.app.server.address() as AddressInfo);
  let stopped: Promise<void> | undefined;
  stop = () => (stopped ??= running.close());
}
beforeEach(() => start());
afterEach(async () => {
  await stop();
  clients.forEach((client) => (client instanceof Client ? client.socket.close() : client.destroy()));
  clients = [];
});

/** A peer that reads one message after the other. */
class Client {
  readonly socket: WebSocket;
  private readonly heard: ServerMessage[] = [];
  private wake: () => void = () => undefined;
  readonly closed: Promise<number>;

  constructor() {
    clients.push(this);
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

  async register(name: string, mapped: typeof AT_ANN): Promise<string> {
    await this.say(helloOf(name));
    const welcome = await this.next();
    if (welcome.kind !== 'welcome') throw new Error(JSON.stringify(welcome));
    const witness = witnessOf(welcome.nonce, mapped, Date.now());
    await this.say({ kind: 'candidates', public: [witness], private: [], mapped: [] });
    expect(await this.next()).toMatchObject({ kind: 'registered', public: [mapped] });
    return welcome.token;
  }
}

async function introduceBoth(): Promise<void> {
  const [ann, bob] = [new Client(), new Client()];
  await Promise.all([ann.register('ann', AT_ANN), bob.register('bob', AT_BOB)]);
  await ann.say({ kind: 'introduce', id: 1, peer: 'bob' });
  expect(await ann.next()).toMatchObject({ kind: 'plan', id: 1, peer: { name: 'bob' } });
  expect(await bob.next()).toMatchObject({ kind: 'plan', peer: { name: 'ann' } });
  ann.socket.close();
  bob.socket.close();
  await Promise.all([ann.closed, bob.closed]);
}

/** A WebSocket's connection without its rules, opened by hand. */
async function openBare(path = '/broker', headers = ''): Promise<{ socket: Socket; head: string }> {
  const socket = connect(port, '127.0.0.1');
  clients.push(socket);
  socket.on('error', () => undefined);
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${headers}\r\n`,
  );
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  return { socket, head: head.toString() };
}

/** Of less than 64 KiB, masked with zeros (RFC 6455 §5.2). */
function textFrame(text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.from([body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([0x81, 0x80 | 126]), length, Buffer.alloc(4), body]);
}

function ended(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('data', () => undefined);
    socket.once('close', () => resolve());
  });
}

describe('WebSocket /broker', () => {
  it('introduces two peers to each other', introduceBoth);

  it('counts punches by what the two say of them', async () => {
    const [ann, bob] = [new Client(), new Client()];
    await Promise.all([ann.register('ann', AT_ANN), bob.register('bob', AT_BOB)]);
    const ends = [
      ['open', 'open', 'direct'],
      ['failed', 'failed', undefined],
      ['open', 'failed', 'direct'],
      ['open', 'open', 'relay'],
    ] as const;
    for (const [id, [said, answered, path]] of ends.entries()) {
      await ann.say({ kind: 'introduce', id, peer: 'bob' });
      const plan = await ann.next();
      if (plan.kind !== 'plan') throw new Error(JSON.stringify(plan));
      await bob.next();
      const { introduction } = plan;
      const outcome = {
        kind: 'outcome',
        introduction,
        packets: 3,
        timeMs: 4,
        ...(path && { path }),
      } as const;
      await ann.say({ ...outcome, outcome: said });
      await bob.say({ ...outcome, outcome: answered });
      await expect.poll(() => broker.counts().events.punched).toBe(id + 1);
    }
    const { body } = await running.app.inject('/metrics');
    const counted = body
      .split('\n')
      .filter((line) => line.startsWith('natprobed_punches_total{transport="udp"'));
    expect(counted.map((line) => line.replace(/^.*outcome=/, ''))).toEqual([
      '"open"} 1',
      '"relayed"} 1',
      '"failed"} 1',
      '"disputed"} 1',
      '"unreported"} 0',
    ]);
  });

  it('resumes a name over another connection', async () => {
    const ann = new Client();
    const token = await ann.register('ann', AT_ANN);
    ann.socket.close();
    await ann.closed;
    const again = new Client();
    await again.say(helloOf('ann', { token }));
    expect(await again.next()).toMatchObject({ kind: 'welcome', resumed: true });
    expect(broker.counts()).toMatchObject({ connections: 1, peers: 1, events: { lost: 1, resumed: 1 } });
  });

  it('is a problem for who doesn’t speak WebSocket', async () => {
    const response = await running.app.inject('/broker');
    expect(response.headers['upgrade']).toBe('websocket');
    expect(problemOf(response)).toMatchObject({ status: 426, code: 'ERR_REQUEST' });
  });

  it('is not for pages of other origins, but for this server’s own', async () => {
    const foreign = await openBare('/broker', 'Origin: https://example.com\r\n');
    expect(foreign.head).toMatch(/^HTTP\/1\.1 403 [^]*"code":"ERR_REQUEST"/);
    const own = await openBare('/broker', `Origin: http://127.0.0.1:${port}\r\n`);
    expect(own.head).toMatch(/^HTTP\/1\.1 101 /);
  });

  it('makes an offer to upgrade no obstacle elsewhere', async () => {
    expect((await openBare('/healthz')).head).toMatch(/^HTTP\/1\.1 200 /);
    expect((await openBare('/nowhere')).head).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe('frames', () => {
  afterEach(introduceBoth);

  it('that are no message close the connection, with the code', async () => {
    const eve = new Client();
    await eve.say('nonsense');
    expect(await eve.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_MESSAGE' });
    expect(await eve.closed).toBe(1008);
  });

  it('that are binary do so too', async () => {
    const eve = new Client();
    await eve.say(new Uint8Array([1, 2, 3]));
    expect(await eve.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_MESSAGE' });
    expect(await eve.closed).toBe(1008);
  });

  it('that are too long close it with 1009', async () => {
    const eve = new Client();
    await eve.say('x'.repeat(MAX_FRAME_BYTES + 1));
    expect(await eve.closed).toBe(1009);
  });

  it('that break the protocol end it', async () => {
    const { socket } = await openBare();
    // Not masked, with a reserved bit, of an opcode that is none.
    socket.write(Buffer.from([0xf3, 0x02, 0x61, 0x62]));
    await ended(socket);
    await expect.poll(() => broker.counts().connections).toBe(0);
  });

  it('that never end take no more than their limit', async () => {
    const { socket } = await openBare();
    // A text frame of 2^40 bytes is announced.
    socket.write(Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
    await ended(socket);
  });

  it('in a flood end in ERR_BROKER_RATE', async () => {
    const eve = new Client();
    await eve.register('eve', AT_BOB);
    await eve.say(...Array.from({ length: 100 }, (_, id) => ({ kind: 'peers', id }) as const));
    let last = await eve.next();
    while (last.kind === 'peers') last = await eve.next();
    expect(last).toMatchObject({ kind: 'error', code: 'ERR_BROKER_RATE' });
    expect(await eve.closed).toBe(1008);
  });
});

describe('while others flood the broker a pair is introduced within a second', () => {
  /** Whatever they do goes on until the pair has met. */
  async function introduceMeanwhile(flood: () => Promise<void>): Promise<void> {
    const [ann, bob] = [new Client(), new Client()];
    await Promise.all([ann.register('ann', AT_ANN), bob.register('bob', AT_BOB)]);
    await flood();
    const askedAt = performance.now();
    await ann.say({ kind: 'introduce', id: 1, peer: 'bob' });
    expect(await ann.next()).toMatchObject({ kind: 'plan', id: 1 });
    expect(await bob.next()).toMatchObject({ kind: 'plan' });
    expect(performance.now() - askedAt).toBeLessThan(1000);
  }

  it('with connections that stay half open, or never say a word', async () => {
    await introduceMeanwhile(async () => {
      await Promise.all(Array.from({ length: 50 }, () => openBare()));
      // The head of an upgrade that never ends.
      for (let index = 0; index < 50; index++) {
        const socket = connect(port, '127.0.0.1');
        clients.push(socket);
        socket.on('error', () => undefined).write('GET /broker HTTP/1.1\r\nUpgrade: websocket\r\n');
      }
    });
  });

  it('with more connections than one place may have', async () => {
    await stop();
    await start({ limits: { ...DEFAULT_BROKER_LIMITS, connectionsPerClient: 20 } });
    await introduceMeanwhile(async () => {
      const crowd = Array.from({ length: 40 }, () => new Client());
      const codes = await Promise.all(
        crowd.map((client) => Promise.race([client.closed, client.say().then(() => undefined)])),
      );
      expect(codes.length).toBe(40);
      await expect.poll(() => broker.counts().connections).toBeLessThanOrEqual(20);
    });
  });

  it('with hellos for the same name', async () => {
    await introduceMeanwhile(async () => {
      const crowd = Array.from({ length: 30 }, () => new Client());
      const answers = await Promise.all(
        crowd.map(async (client) => {
          await client.say(helloOf('ann'));
          return client.next();
        }),
      );
      for (const answer of answers) expect(answer).toMatchObject({ kind: 'error', code: 'ERR_NAME_TAKEN' });
    });
  });

  it('with introductions of one who asks too often', async () => {
    await stop();
    // All are at one address here, where they share what that may ask for.
    await start({ limits: { ...DEFAULT_BROKER_LIMITS, introductionsPerClient: 1000 } });
    await introduceMeanwhile(async () => {
      const [eve, carol] = [new Client(), new Client()];
      await eve.register('eve', { address: '192.0.2.66', port: 666 });
      await carol.register('carol', { address: '192.0.2.67', port: 667 });
      await eve.say(
        ...Array.from({ length: 20 }, (_, id) => ({ kind: 'introduce', id, peer: 'carol' }) as const),
      );
      const answers: ServerMessage[] = [];
      while (answers.length < 20) answers.push(await eve.next());
      expect(answers.at(-1)).toMatchObject({ kind: 'error', code: 'ERR_INTRODUCTIONS' });
    });
  });

  it('with one who reads nothing of what it asks for', async () => {
    await introduceMeanwhile(async () => {
      const { socket } = await openBare();
      socket.pause();
      socket.write(textFrame(JSON.stringify(helloOf('sloth'))));
      for (let id = 0; id < 20; id++) socket.write(textFrame(JSON.stringify({ kind: 'peers', id })));
      await expect.poll(() => broker.counts().peers).toBe(3);
    });
  });

  it('with one that it cuts off, as too much waits that is not read', async () => {
    await stop();
    await start({ limits: { framesPerSecond: ASKED, bytesPerSecond: ASKED * 100 } });
    const { socket } = await openBare();
    let heard = 0;
    socket.on('data', (bytes: Buffer) => (heard += bytes.length)).pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await introduceMeanwhile(async () => {
      socket.write(textFrame(JSON.stringify(helloOf('sloth'))));
      await expect.poll(() => broker.counts().connections).toBe(3);
      const asked = Array.from({ length: ASKED }, (_, id) =>
        textFrame(JSON.stringify({ kind: 'peers', id })),
      );
      socket.write(Buffer.concat(asked));
      await expect.poll(() => broker.counts(), { timeout: 10_000 }).toMatchObject({ connections: 2 });
    });
    // What lay in the system's buffers may still be read.
    socket.resume();
    await closed;
    expect(heard).toBeLessThan(ASKED * LEAST_ANSWER_BYTES);
    expect(broker.counts()).toMatchObject({ peers: 3, events: { lost: 1 } });
  });
});

/** Answers that the buffers of the system can't hold between the two of them. */
const ASKED = 200_000;
/** Of a list of two. */
const LEAST_ANSWER_BYTES = 150;

describe('connections', () => {
  it('that say nothing are closed', async () => {
    await stop();
    await start({ times: { helloMs: 50 } });
    const { socket } = await openBare();
    await ended(socket);
    await introduceBoth();
  });

  it('that are half open are closed, also where nobody answers a goodbye', async () => {
    await stop();
    await start({ times: { heartbeatMs: 40, silenceMs: 100, graceMs: 50 } });
    const { socket } = await openBare();
    const hello = Buffer.from(JSON.stringify(helloOf('eve')));
    const header = Buffer.from([0x81, 0xfe, hello.length >> 8, hello.length & 0xff, 0, 0, 0, 0]);
    socket.write(Buffer.concat([header, hello]));
    await ended(socket);
    await expect.poll(() => broker.counts()).toMatchObject({ connections: 0, peers: 0 });
  });

  it('end with the server, which says so and doesn’t wait for those that don’t listen', async () => {
    const ann = new Client();
    await ann.register('ann', AT_ANN);
    const { socket } = await openBare();
    const startedAt = performance.now();
    const stopped = stop();
    expect(await ann.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_STOPS' });
    expect(await ann.closed).toBe(1001);
    await ended(socket);
    await stopped;
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});

describe('a mistake of the broker’s own', () => {
  it('ends the connection that met it, and is told', async () => {
    const errors: Error[] = [];
    await stop();
    await start({
      onError: (error) => errors.push(error),
      checkWitness: () => {
        throw new Error('a mistake');
      },
    });
    const eve = new Client();
    await eve.say(helloOf('eve'));
    const welcome = await eve.next();
    if (welcome.kind !== 'welcome') throw new Error('no welcome');
    const witness = witnessOf(welcome.nonce, AT_ANN, Date.now());
    await eve.say({ kind: 'candidates', public: [witness], private: [], mapped: [] });
    await eve.closed;
    expect(errors.map(({ message }) => message)).toEqual(['a mistake']);
    const bob = new Client();
    await bob.say(helloOf('bob'));
    expect(await bob.next()).toMatchObject({ kind: 'welcome' });
  });
});
