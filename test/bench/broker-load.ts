/** Peers of `npm run bench:broker`, in a process of their own: many WebSockets, each from an address of its own. */
import { WebSocket } from 'ws';
import type { BrokerBehaviour } from '../../shared/broker/behaviour.ts';
import type { ClientMessage, ServerMessage } from '../../shared/broker/messages.ts';
import { type WitnessKey, witnessKeyOf } from '../../server/witness/witness-keys.ts';
import { candidatesOfPeer, helloOf, openedAtOnce, PORT_RESTRICTED } from '../support/broker.ts';

export interface JoinOrder {
  readonly kind: 'join';
  readonly url: string;
  /** Of witnesses, hexadecimal. */
  readonly key: string;
  readonly first: number;
  readonly count: number;
}

/** With `perSecond` they begin at that pace, else `atOnce` are under way at any time. */
export interface IntroduceOrder {
  readonly kind: 'introduce';
  readonly seconds: number;
  readonly atOnce: number;
  readonly perSecond?: number;
}

export interface Introduced {
  readonly tookMs: readonly number[];
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Of the last plan. */
  readonly planBytes: number;
}

/** As many as a room takes, nearly. */
export const ROOM = 250;
const JOINING_AT_ONCE = 100;
const WAIT_MS = 10_000;

const SYMMETRIC = {
  ...PORT_RESTRICTED,
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
} as const;

/** Three of five are easy; the others take most of the work, and those whose ports are counted a `prepare`. */
function behaviourOf(index: number): BrokerBehaviour {
  if (index % 5 === 3) {
    const law = {
      kind: 'after-own',
      delta: 1 + (index % 2),
      skips: { shape: 2, rate: 1 + (index % 7) },
    } as const;
    const mixture = [{ weight: 1, law }];
    const model = { newSocket: mixture, newEndpoint: mixture };
    return { ...SYMMETRIC, ports: { value: 'sequential', delta: law.delta, model } };
  }
  if (index % 5 === 4) {
    // As it is measured, each with samples of its own.
    const seen = { first: 1024 + (index % 3000), last: 65_535 - (index % 1000) };
    const spread = { lowest: seen.first, highest: seen.last, samples: 12, sameParity: false };
    const mixture = [
      { weight: 0.9, law: { kind: 'uniform', first: 1024, last: 65_535, sameParity: false } as const },
      { weight: 0.1, law: { kind: 'spread', ...spread } as const },
    ];
    return {
      ...SYMMETRIC,
      ports: { value: 'random', seenRange: seen, model: { newSocket: mixture, newEndpoint: mixture } },
    };
  }
  return index % 5 === 1
    ? { ...PORT_RESTRICTED, type: 'full-cone', filtering: 'endpoint-independent' }
    : PORT_RESTRICTED;
}

class Peer {
  readonly index: number;
  planBytes = 0;
  private readonly socket: WebSocket;
  private readonly key: WitnessKey;
  private nonce = '';
  private lastId = 0;
  private readonly waiting = new Map<number, (answer: ServerMessage) => void>();
  private whenRegistered: () => void = () => undefined;

  constructor({ url, key }: JoinOrder, index: number) {
    this.index = index;
    this.key = witnessKeyOf(Buffer.from(key, 'hex'));
    this.socket = new WebSocket(url, {
      localAddress: `127.1.${index >> 8}.${index & 255}`,
      perMessageDeflate: false,
    });
    this.socket.on('message', (data: Buffer) => this.hear(data.toString()));
  }

  async join(): Promise<void> {
    const registered = new Promise<void>((resolve) => (this.whenRegistered = resolve));
    await new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
    const behaviours = [behaviourOf(this.index)];
    this.say(helloOf(nameOf(this.index), { room: `room ${Math.floor(this.index / ROOM)}`, behaviours }));
    await registered;
  }

  /** Resolves with the answer, or undefined if there is none in time. */
  introduce(peer: number): Promise<ServerMessage | undefined> {
    const id = ++this.lastId;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), WAIT_MS);
      this.waiting.set(id, (answer) => {
        clearTimeout(timer);
        this.waiting.delete(id);
        resolve(answer);
      });
      this.say({ kind: 'introduce', id, peer: nameOf(peer) });
    });
  }

  private hear(text: string): void {
    const message = JSON.parse(text) as ServerMessage;
    switch (message.kind) {
      case 'welcome':
        this.nonce = message.nonce;
        this.register();
        break;
      case 'registered':
        this.whenRegistered();
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
        this.planBytes = text.length;
        this.say(openedAtOnce(message.introduction));
        break;
      default:
        break;
    }
    if ('id' in message) this.waiting.get(message.id ?? 0)?.(message);
  }

  private register(introduction?: number): void {
    this.say(candidatesOfPeer(this.index, this.nonce, this.key, introduction));
  }

  private say(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message));
  }
}

function nameOf(index: number): string {
  return `peer ${String.fromCharCode(97 + (index % 26))}${index}`;
}

const peers: Peer[] = [];

async function joinAll(order: JoinOrder): Promise<void> {
  let next = order.first;
  const joinInTurn = async (): Promise<void> => {
    while (next < order.first + order.count) {
      const peer = new Peer(order, next++);
      await peer.join();
      peers.push(peer);
    }
  };
  await Promise.all(Array.from({ length: JOINING_AT_ONCE }, joinInTurn));
  peers.sort((a, b) => a.index - b.index);
}

async function introduceAll({ seconds, atOnce, perSecond }: IntroduceOrder): Promise<Introduced> {
  const tookMs: number[] = [];
  const refused: Record<string, number> = {};
  const endsAt = performance.now() + 1000 * seconds;
  let turn = 0;
  const introduceOne = async (dueAt: number): Promise<void> => {
    const asker = peers[turn++ % peers.length]!;
    const room = Math.floor(asker.index / ROOM) * ROOM;
    // Each time somebody else of the room, and of another behaviour.
    const peer = room + ((asker.index + 1 + Math.floor(turn / peers.length) + (turn % 7)) % ROOM);
    const answer = await asker.introduce(peer === asker.index ? room + ((peer + 1) % ROOM) : peer);
    if (answer?.kind === 'plan') tookMs.push(performance.now() - dueAt);
    else {
      const code = answer?.kind === 'error' ? answer.code : 'none in time';
      refused[code] = (refused[code] ?? 0) + 1;
    }
  };
  if (perSecond === undefined) {
    const oneByOne = async (): Promise<void> => {
      while (performance.now() < endsAt) await introduceOne(performance.now());
    };
    await Promise.all(Array.from({ length: atOnce }, oneByOne));
  } else {
    const under: Promise<void>[] = [];
    for (let dueAt = performance.now(); dueAt < endsAt; dueAt += 1000 / perSecond) {
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // From when it was due, so that a server that stands still is not spared.
      under.push(introduceOne(dueAt));
    }
    await Promise.all(under);
  }
  return { tookMs, refused, planBytes: Math.max(...peers.map(({ planBytes }) => planBytes)) };
}

process.on('message', (order: JoinOrder | IntroduceOrder) => {
  const done = order.kind === 'join' ? joinAll(order) : introduceAll(order);
  void done.then((result) => process.send!(result ?? 'joined'));
});
