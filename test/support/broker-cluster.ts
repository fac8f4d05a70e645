/** Three natprobed over three NATS servers on loopback, and peers over WebSockets that go on elsewhere when theirs dies. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import type { BrokerBehaviour } from '../../shared/broker/behaviour.ts';
import type { ClientMessage, Hello, ServerMessage } from '../../shared/broker/messages.ts';
import { type WitnessKey, witnessKeyOf } from '../../server/witness/witness-keys.ts';
import { candidatesOfPeer, helloOf, openedAtOnce, PORT_RESTRICTED } from './broker.ts';
import { type HttpServer, startHttpServer } from './http-load.ts';
import { startNats, type TestNats } from './nats-server.ts';

const SERVERS = 3;

export interface BrokerCluster {
  readonly nats: TestNats;
  readonly servers: readonly HttpServer[];
  /** Of each server's broker. */
  readonly urls: readonly string[];
  readonly key: WitnessKey;
  remove(): Promise<void>;
}

export async function startBrokerCluster(): Promise<BrokerCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-cluster-'));
  const keyFile = join(folder, 'witness-keys');
  const key = randomBytes(32);
  writeFileSync(keyFile, `${key.toString('hex')}\n`);
  const nats = await startNats({ servers: SERVERS });
  const flags = [
    ...['--witness-key-file', keyFile, '--lanes', '0'],
    ...nats.servers.flatMap(({ url }) => ['--nats', url]),
  ];
  const servers: HttpServer[] = [];
  const remove = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.kill()));
    await nats.remove();
    rmSync(folder, { recursive: true });
  };
  try {
    for (let index = 0; index < SERVERS; index++) servers.push(await startHttpServer(flags));
  } catch (error) {
    await remove();
    throw error;
  }
  const urls = servers.map(({ api }) => `${api.replace('http', 'ws')}/broker`);
  return { nats, servers, urls, key: witnessKeyOf(key), remove };
}

/** How an introduction ended: with its connection, if that was lost. */
export interface Ended {
  readonly end: 'plan' | 'prediction' | 'lost' | 'none' | (string & {});
  readonly tookMs: number;
}

/** Nobody waits longer. */
const PATIENCE_MS = 15_000;
const BACK_AFTER_MS = [100, 600] as const;

export class ClusterPeer {
  readonly index: number;
  readonly name: string;
  number = 0;
  isRegistered = false;
  /** Welcomes to another number than before. */
  renamed = 0;
  /** By code, of hellos. */
  readonly refusals: string[] = [];
  private readonly cluster: Pick<BrokerCluster, 'urls' | 'key'>;
  private readonly more: Partial<Hello>;
  private socket: WebSocket | undefined;
  private at: number;
  private token: string | undefined;
  private nonce = '';
  private lastId = 0;
  private isLeaving = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly waiting = new Map<number, (end: string) => void>();

  /** `at`: the server that it begins at. */
  constructor(
    cluster: Pick<BrokerCluster, 'urls' | 'key'>,
    index: number,
    at: number,
    more: Partial<Hello> = {},
  ) {
    this.cluster = cluster;
    this.index = index;
    this.at = at;
    this.more = more;
    this.name = `peer ${String.fromCharCode(97 + (index % 26))}${index}`;
    this.connect();
  }

  get server(): number {
    return this.at;
  }

  introduce(peer: string | number): Promise<Ended> {
    return this.ask((id) => ({ kind: 'introduce', id, peer }));
  }

  foresee(peer: string | number): Promise<Ended> {
    return this.ask((id) => ({ kind: 'foresee', id, peer }));
  }

  close(): void {
    this.isLeaving = true;
    clearTimeout(this.timer);
    this.socket?.terminate();
  }

  private ask(messageOf: (id: number) => ClientMessage): Promise<Ended> {
    const id = ++this.lastId;
    const startedAt = performance.now();
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle('none'), PATIENCE_MS);
      const settle = (end: string): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve({ end, tookMs: performance.now() - startedAt });
      };
      this.waiting.set(id, settle);
      this.say(messageOf(id));
    });
  }

  private connect(): void {
    const { index } = this;
    const socket = new WebSocket(this.cluster.urls[this.at]!, {
      // Limits go by it.
      localAddress: `127.1.${index >> 8}.${index & 255}`,
      perMessageDeflate: false,
    });
    this.socket = socket;
    socket.on('open', () => {
      const token = this.token;
      this.say(helloOf(this.name, { ...this.more, ...(token !== undefined && { token }) }));
    });
    socket.on('message', (data: Buffer) => this.hear(JSON.parse(data.toString()) as ServerMessage));
    socket.on('error', () => undefined);
    socket.on('close', () => this.lose());
  }

  private lose(): void {
    this.isRegistered = false;
    for (const settle of [...this.waiting.values()]) settle('lost');
    if (this.isLeaving) return;
    this.at = (this.at + 1) % this.cluster.urls.length;
    const [least, most] = BACK_AFTER_MS;
    this.timer = setTimeout(() => this.connect(), least + Math.random() * (most - least));
  }

  private hear(message: ServerMessage): void {
    switch (message.kind) {
      case 'welcome':
        if (this.number !== 0 && this.number !== message.peer) this.renamed++;
        ({ peer: this.number, token: this.token, nonce: this.nonce } = message);
        this.register();
        break;
      case 'registered':
        this.isRegistered = true;
        break;
      case 'heartbeat':
        this.say(message);
        // Witnesses hold a minute and a half.
        if (message.beat % 4 === 0) this.register();
        break;
      case 'prepare':
        this.register(message.introduction);
        break;
      case 'plan':
        this.say(openedAtOnce(message.introduction));
        break;
      case 'error':
        if (message.id === undefined) this.refusals.push(message.code);
        break;
      default:
        break;
    }
    const answered = message.kind === 'plan' || message.kind === 'prediction' || message.kind === 'error';
    if (answered && message.id !== undefined)
      this.waiting.get(message.id)?.(message.kind === 'error' ? message.code : message.kind);
  }

  private register(introduction?: number): void {
    this.say(candidatesOfPeer(this.index, this.nonce, this.cluster.key, introduction));
  }

  private say(message: ClientMessage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}

const MIXTURE = [{ weight: 1, law: { kind: 'after-own', delta: 1, skips: { shape: 2, rate: 3 } } as const }];
/** Of every five peers one, whose ports are counted: its introductions take fresh candidates. */
const COUNTED: BrokerBehaviour = {
  ...PORT_RESTRICTED,
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
  ports: { value: 'sequential', delta: 1, model: { newSocket: MIXTURE, newEndpoint: MIXTURE } },
};

/** So many to a room as one takes; joined so many at once. Resolves once all are registered. */
export async function joinPeers(
  cluster: Pick<BrokerCluster, 'urls' | 'key'>,
  count: number,
  perRoom = 250,
): Promise<ClusterPeer[]> {
  const peers: ClusterPeer[] = [];
  for (let index = 0; index < count; index++) {
    const behaviours = [index % 5 === 4 ? COUNTED : PORT_RESTRICTED];
    const room = `room ${Math.floor(index / perRoom)}`;
    peers.push(new ClusterPeer(cluster, index, index % cluster.urls.length, { room, behaviours }));
    while (peers.filter(({ isRegistered }) => !isRegistered).length >= JOINING_AT_ONCE) await pause();
  }
  while (peers.some(({ isRegistered }) => !isRegistered)) await pause();
  return peers;
}

const JOINING_AT_ONCE = 100;

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20));
}

export interface Recovery {
  /** Introductions from the failure on until all was well again, by how they ended. */
  readonly ends: Readonly<Record<string, number>>;
  readonly longestMs: number;
  /** From the failure until a peer of another server could reach each. */
  readonly reachableAfterMs: number;
}

/**
 * Kills a natprobed and a NATS server while peers are introduced, `atOnce` of them, and goes on until each
 * peer has been found by one at another server.
 */
export async function failDuringIntroductions(
  { nats, servers }: BrokerCluster,
  peers: readonly ClusterPeer[],
  atOnce: number,
  perRoom = 250,
): Promise<Recovery> {
  const ends: Record<string, number> = {};
  let longestMs = 0;
  let lastReachedAt = 0;
  const unreached = new Set(peers);
  const order = peers.map((_, index) => (index * 7919) % peers.length);
  let turn = 0;
  const isElsewhere = (one: ClusterPeer, other: ClusterPeer): boolean =>
    one !== other && one.server !== other.server && one.isRegistered;
  const pickAsker = (of: ClusterPeer): ClusterPeer | undefined => {
    const room = Math.floor(of.index / perRoom) * perRoom;
    const size = Math.min(perRoom, peers.length - room);
    for (let tries = 0; tries < size; tries++) {
      const asker = peers[room + ((of.index + ++turn) % size)]!;
      if (isElsewhere(asker, of)) return asker;
    }
    return undefined;
  };
  const state = { failedAt: 0, isOver: false };
  const introduceInTurn = async (): Promise<void> => {
    while (!state.isOver) {
      // Those that have not been found since the failure come first.
      const from = state.failedAt !== 0 ? [...unreached] : peers;
      const asked = from[order[turn++ % order.length]! % Math.max(1, from.length)];
      const asker = asked && pickAsker(asked);
      if (asked === undefined || asker === undefined) {
        await pause();
        continue;
      }
      const isAfter = state.failedAt !== 0;
      const { end, tookMs } = await asker.introduce(asked.name);
      ends[end] = (ends[end] ?? 0) + 1;
      longestMs = Math.max(longestMs, tookMs);
      if (end === 'plan' && isAfter && unreached.delete(asked)) lastReachedAt = performance.now();
      // Each may ask twice a second.
      if (end !== 'plan') await pause();
    }
  };
  const loops = Array.from({ length: atOnce }, introduceInTurn);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await Promise.all([servers[0]!.kill(), nats.servers[0]!.kill()]);
  state.failedAt = performance.now();
  const until = state.failedAt + LONGEST_RECOVERY_MS;
  while (unreached.size > 0 && performance.now() < until) await pause();
  state.isOver = true;
  await Promise.all(loops);
  const reachableAfterMs = unreached.size > 0 ? Infinity : lastReachedAt - state.failedAt;
  return { ends, longestMs, reachableAfterMs };
}

const LONGEST_RECOVERY_MS = 60_000;
