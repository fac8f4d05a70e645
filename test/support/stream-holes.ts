/** Two ends of a hole on loopback, without a punch, and a path between them that may lose, delay and turn. */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import type { UDXSocket } from 'udx-native';
import { formatEndpoint, type Endpoint } from '../../shared/endpoint.ts';
import type { PunchRole } from '../../shared/punch/plan.ts';
import type { PunchSocket } from '../../probe/drive/punch-socket.ts';
import type { Hole, HoleEvents, PunchReport } from '../../probe/hole.ts';
import { openUdxSocket } from '../../probe/streams/udx-socket.ts';
import { Random } from '../sim/random.ts';

const HOST = '127.0.0.1';

export interface PathOptions {
  /** Of the datagrams each way. */
  readonly loss?: number;
  /** How many of them are held up, and for how long at most. */
  readonly delayed?: number;
  readonly delayMs?: number;
  readonly seed?: number;
}

/** A forwarder between two sockets: each side sends to the endpoint that is nearer to it. */
export interface Path {
  readonly nearA: Endpoint;
  readonly nearB: Endpoint;
  /** Which datagrams pass from now on. */
  setFilter(passes: (bytes: Buffer, from: 'a' | 'b') => boolean): void;
  readonly forwarded: { a: number; b: number };
  close(): void;
}

export async function startPath(a: Endpoint, b: Endpoint, options: PathOptions = {}): Promise<Path> {
  const { loss = 0, delayed = 0, delayMs = 20, seed = 1 } = options;
  const random = new Random(seed);
  const [nearA, nearB] = await Promise.all([bound(), bound()]);
  const forwarded = { a: 0, b: 0 };
  let passes: (bytes: Buffer, from: 'a' | 'b') => boolean = () => true;
  let closed = false;

  function forward(from: 'a' | 'b', out: Socket, to: Endpoint, bytes: Buffer): void {
    if (random.chance(loss) || !passes(bytes, from)) return;
    const send = (): void => {
      if (!closed) out.send(bytes, to.port, to.address);
    };
    forwarded[from] += 1;
    if (random.chance(delayed)) setTimeout(send, random.fraction() * delayMs);
    else send();
  }
  nearA.on('message', (bytes) => forward('a', nearB, b, bytes));
  nearB.on('message', (bytes) => forward('b', nearA, a, bytes));
  return {
    nearA: endpointOf(nearA),
    nearB: endpointOf(nearB),
    forwarded,
    setFilter: (filter) => (passes = filter),
    close() {
      closed = true;
      nearA.close();
      nearB.close();
    },
  };
}

/** One end; `moveTo` and `fail` are what a hole does by itself. */
export class StubHole extends EventEmitter<HoleEvents> implements Hole<UDXSocket> {
  readonly role: PunchRole;
  readonly key: Uint8Array;
  readonly peer = { name: 'peer', number: 1 } as Hole<UDXSocket>['peer'];
  readonly report: PunchReport;
  remote: Endpoint;
  #socket: PunchSocket<UDXSocket>;

  constructor(socket: PunchSocket<UDXSocket>, remote: Endpoint, role: PunchRole, key: Uint8Array) {
    super();
    this.#socket = socket;
    this.remote = remote;
    this.role = role;
    this.key = key;
    const endpoints = { local: formatEndpoint(socket.local), remote: formatEndpoint(remote) };
    this.report = {
      outcome: 'open',
      transport: 'udp',
      endpoints,
      timing: { totalMs: 1, rttMs: 1 },
    } as PunchReport;
  }

  get socket(): UDXSocket {
    return this.#socket.raw;
  }

  send(bytes: Uint8Array): void {
    this.#socket.send(this.remote, bytes);
  }

  moveTo(socket: PunchSocket<UDXSocket>, remote: Endpoint): void {
    const before = this.#socket;
    this.#socket = socket;
    this.remote = remote;
    this.emit('reopened', this.report);
    if (before !== socket) before.close();
  }

  fail(reason: string): void {
    this.emit('failed', { ...this.report, outcome: 'failed', reason });
  }

  close(): Promise<void> {
    this.#socket.close();
    this.emit('closed');
    return Promise.resolve();
  }
}

/** A socket of the stream library; datagrams that are no packets of a stream go to the hole that `heard` gives. */
export function openEnd(
  heard: () => StubHole | undefined = () => undefined,
): Promise<PunchSocket<UDXSocket>> {
  return openUdxSocket(
    'ipv4',
    0,
    { address: HOST, port: 9 },
    {
      onDatagram: (_from, bytes) => void heard()?.emit('message', bytes),
      onRefused: () => undefined,
    },
  );
}

export interface PairOptions extends PathOptions {
  readonly foreign?: boolean;
}

export interface HolePair {
  readonly a: StubHole;
  readonly b: StubHole;
  readonly path: Path;
  close(): Promise<void>;
}

/** Both ends of a hole, with one key, unless `foreign`. */
export async function openHolePair({ foreign = false, ...options }: PairOptions = {}): Promise<HolePair> {
  const key = randomBytes(32);
  const holes: { a?: StubHole; b?: StubHole } = {};
  const [socketA, socketB] = await Promise.all([openEnd(() => holes.a), openEnd(() => holes.b)]);
  const path = await startPath(socketA.local, socketB.local, options);
  const a = (holes.a = new StubHole(socketA, path.nearA, 'controlling', key));
  const b = (holes.b = new StubHole(socketB, path.nearB, 'controlled', foreign ? randomBytes(32) : key));
  return {
    a,
    b,
    path,
    async close() {
      await Promise.all([a.close(), b.close()]);
      path.close();
    },
  };
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  return socket;
}

function endpointOf(socket: Socket): Endpoint {
  const { address, port } = socket.address();
  return { address, port };
}
