/** Dial-backs: what is decided, step by step, and then on real sockets of a real server. */
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { ServerRole } from '../../../shared/role.ts';
import {
  OTHER_ADDRESS,
  RESPONSE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../../shared/stun/attributes/address.ts';
import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
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
import { roleEndpoints } from '../../../server/config.ts';
import { ConnectionCount } from '../../../server/tcp/connection-limits.ts';
import {
  DEFAULT_DIAL_LIMITS,
  type DialContext,
  DialBacks,
  createDialCounts,
} from '../../../server/tcp/dial-back.ts';
import type { DialResult } from '../../../server/tcp/dial.ts';
import { CLASSIC_ID, ID, request } from '../answer/exchange.ts';
import { type LoopbackServer, UdpClient, loopbackFamily, startOnLoopback } from './loopback.ts';

const ASKER: Endpoint = { address: '198.51.100.7', port: 40000 };
const LIMITS = { ...DEFAULT_DIAL_LIMITS, total: 4, perSource: 3, perConnection: 5 };

interface Dialled {
  readonly from: string;
  readonly to: Endpoint;
  readonly timeoutMs: number;
  readonly report: (result: DialResult) => void;
  givenUp: boolean;
}

/** Dials that only end when the test says so. */
function scripted(twoAddresses = true): {
  readonly context: DialContext;
  readonly dialled: Dialled[];
  readonly connection: (source?: string, arrival?: ServerRole) => { dials: DialBacks; said: DialBack[] };
} {
  const bound = roleEndpoints('10.0.0.1', twoAddresses ? '10.0.0.2' : undefined, 3478, 3479);
  const advertised = roleEndpoints('192.0.2.1', twoAddresses ? '192.0.2.2' : undefined, 3478, 3479);
  const dialled: Dialled[] = [];
  const context: DialContext = {
    config: { family: 'ipv4', bound, advertised },
    limits: LIMITS,
    underWay: new ConnectionCount(LIMITS),
    counts: createDialCounts(),
    dial: (from, to, timeoutMs, report) => {
      const one: Dialled = { from, to, timeoutMs, report, givenUp: false };
      dialled.push(one);
      return () => (one.givenUp = true);
    },
  };
  return {
    context,
    dialled,
    connection: (source = 'a', arrival = 0) => {
      const said: DialBack[] = [];
      const send = (indication: Uint8Array): void => void said.push(dialOf(indication));
      return { dials: new DialBacks(context, { remote: ASKER, arrival, source, send }), said };
    },
  };
}

function asking(origin: DialOrigin, timeoutMs = 800, more: readonly AttributeValue[] = []): Uint8Array {
  return request([DIAL_BACK.of({ kind: 'asked', origin, timeoutMs }), ...more]);
}

/** The DIAL-BACK of an indication to the request. */
function dialOf(bytes: Uint8Array | undefined): DialBack {
  const decoded = decodeMessage(bytes ?? new Uint8Array(0));
  if (decoded.kind !== 'message') throw new Error('no indication');
  expect(decoded.message).toMatchObject({ class: 'indication', method: 1, transactionId: ID });
  return readAttribute(decoded.message, DIAL_BACK)!;
}

describe('a dial-back is decided', () => {
  it('from the bound address that was asked for, to the remote end alone', () => {
    for (const [arrival, same, other] of [
      [0, '10.0.0.1', '10.0.0.2'],
      [1, '10.0.0.1', '10.0.0.2'],
      [2, '10.0.0.2', '10.0.0.1'],
      [3, '10.0.0.2', '10.0.0.1'],
    ] as const) {
      const { dialled, connection } = scripted();
      const { dials } = connection('a', arrival);
      for (const origin of ['same-address', 'other-address'] as const) {
        expect(dialOf(dials.handleRequest(asking(origin)))).toEqual({
          kind: 'dialling',
          origin,
          timeoutMs: 800,
        });
      }
      expect(dialled.map(({ from, to, timeoutMs }) => ({ from, to, timeoutMs }))).toEqual([
        { from: same, to: ASKER, timeoutMs: 800 },
        { from: other, to: ASKER, timeoutMs: 800 },
      ]);
    }
  });

  it('to nobody whom the request names', () => {
    const { dialled, connection } = scripted();
    const third = { address: '203.0.113.99', port: 80 };
    const named = [XOR_MAPPED_ADDRESS, OTHER_ADDRESS, RESPONSE_ADDRESS].map((attribute) =>
      attribute.of(third),
    );
    connection().dials.handleRequest(asking('same-address', 800, [...named, RESPONSE_PORT.of(80)]));
    expect(dialled.map(({ to }) => to)).toEqual([ASKER]);
  });

  it('not for anything but a Binding request in today’s dialect that asks', () => {
    const { dialled, connection } = scripted();
    const { dials } = connection();
    const attributes = [DIAL_BACK.of({ kind: 'asked', origin: 'same-address', timeoutMs: 800 })];
    const others = [
      request(),
      request(attributes, { id: CLASSIC_ID }),
      encodeMessage({ class: 'indication', transactionId: ID, attributes }),
      encodeMessage({ class: 'success', transactionId: ID, attributes }),
      encodeMessage({ class: 'request', method: 3, transactionId: ID, attributes }),
      request([DIAL_BACK.of({ kind: 'dialling', origin: 'same-address', timeoutMs: 800 })]),
      request([DIAL_BACK.of({ kind: 'ended', outcome: 'connected', tookMs: 1, dialledFrom: ASKER })]),
      asking('same-address').subarray(0, 24),
    ];
    for (const bytes of others) expect(dials.handleRequest(bytes)).toBeUndefined();
    expect(dialled).toEqual([]);
  });

  it('and says how it ended, with the advertised address of one that stood', () => {
    const { context, dialled, connection } = scripted();
    const { dials, said } = connection();
    dials.handleRequest(asking('same-address'));
    dials.handleRequest(asking('other-address'));
    dialled[1]!.report({ outcome: 'connected', tookMs: 12, localPort: 50123 });
    dialled[0]!.report({ outcome: 'timeout', tookMs: 70_000 });
    expect(said).toEqual([
      {
        kind: 'ended',
        outcome: 'connected',
        tookMs: 12,
        dialledFrom: { address: '192.0.2.2', port: 50123 },
      },
      { kind: 'ended', outcome: 'timeout', tookMs: 65_535 },
    ]);
    expect(context.counts).toEqual({ ...createDialCounts(), connected: 1, timeout: 1 });
    expect(context.underWay.total).toBe(0);
  });

  it('with a timeout within the limits', () => {
    const { dialled, connection } = scripted();
    for (const [source, timeoutMs] of [0, 99, 3001, 65535].entries()) {
      connection(String(source)).dials.handleRequest(asking('same-address', timeoutMs));
    }
    expect(dialled.map(({ timeoutMs }) => timeoutMs)).toEqual([100, 100, 3000, 3000]);
  });

  it('not where there is no other address', () => {
    const { context, dialled, connection } = scripted(false);
    const { dials } = connection();
    expect(dialOf(dials.handleRequest(asking('other-address')))).toEqual({
      kind: 'ended',
      outcome: 'no-address',
      tookMs: 0,
    });
    expect(dialled).toEqual([]);
    expect(context.underWay.total).toBe(0);
  });
});

describe('dial-backs are held to', () => {
  const DECLINED = { kind: 'ended', outcome: 'declined', tookMs: 0 };

  it('one at a time from each address for a connection', () => {
    const { context, dialled, connection } = scripted();
    const { dials } = connection();
    const kinds = (['same-address', 'same-address', 'other-address', 'other-address'] as const).map(
      (origin) => dialOf(dials.handleRequest(asking(origin))).kind,
    );
    expect(kinds).toEqual(['dialling', 'ended', 'dialling', 'ended']);
    expect(context.counts).toEqual({ ...createDialCounts(), declined: 2 });
    dialled[0]!.report({ outcome: 'refused', tookMs: 1 });
    expect(dialOf(dials.handleRequest(asking('same-address'))).kind).toBe('dialling');
  });

  it('so many for a connection while it lasts', () => {
    const { dialled, connection } = scripted();
    const { dials } = connection();
    for (let i = 0; i < LIMITS.perConnection; i++) {
      expect(dialOf(dials.handleRequest(asking('same-address'))).kind).toBe('dialling');
      dialled[i]!.report({ outcome: 'refused', tookMs: 1 });
    }
    expect(dialOf(dials.handleRequest(asking('same-address')))).toEqual(DECLINED);
    expect(dialOf(dials.handleRequest(asking('other-address')))).toEqual(DECLINED);
    expect(dialled).toHaveLength(LIMITS.perConnection);
  });

  it('so many at once for a source, and in all', () => {
    const { context, connection } = scripted();
    const ask = (source: string): string =>
      dialOf(connection(source).dials.handleRequest(asking('same-address'))).kind;
    expect(['a', 'a', 'a', 'a', 'b', 'b'].map(ask)).toEqual([
      'dialling',
      'dialling',
      'dialling',
      'ended',
      'dialling',
      'ended',
    ]);
    expect(context.underWay.total).toBe(LIMITS.total);
  });

  it('the life of the connection that asked', () => {
    const { context, dialled, connection } = scripted();
    const { dials, said } = connection();
    dials.handleRequest(asking('same-address'));
    dials.handleRequest(asking('other-address'));
    dialled[0]!.report({ outcome: 'refused', tookMs: 1 });
    dials.close();
    expect(dialled.map(({ givenUp }) => givenUp)).toEqual([false, true]);
    expect(context.counts).toEqual({ ...createDialCounts(), refused: 1, aborted: 1 });
    expect(context.underWay.total).toBe(0);
    expect(said).toHaveLength(1);
  });
});

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
