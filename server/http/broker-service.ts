/** Runs the broker over WebSockets: clock, timers, randomness, connections for server/broker. */
import { randomBytes } from 'node:crypto';
import type { WebSocket } from '@fastify/websocket';
import type { Transport } from '../../shared/punch/plan.ts';
import { errorOf } from '../../shared/thrown.ts';
import type { Bus } from '../broker/bus/bus.ts';
import type { PunchEvent } from '../broker/punches.ts';
import {
  Rendezvous,
  type RendezvousEvent,
  type RendezvousInput,
  type RendezvousOptions,
} from '../broker/rendezvous.ts';

export interface BrokerServiceOptions extends Omit<RendezvousOptions, 'random' | 'server'> {
  /** To the brokers of other servers, with which it is one. */
  readonly bus?: Bus;
  /** Told of mistakes of this program's own; the connection that met one is closed. */
  readonly onError?: (error: Error) => void;
  readonly onEvent?: (event: RendezvousEvent) => void;
}

export interface BrokerCounts {
  readonly connections: number;
  /** Names that are held, by those who are there and those whose connection is lost. */
  readonly peers: number;
  readonly events: Readonly<Record<RendezvousEvent['kind'], number>>;
  readonly punches: Readonly<Record<Transport, Readonly<Record<PunchEnd, number>>>>;
}

/** What peers say of a punch: the same, or not; or nothing in time. A side that says nothing is not asked. */
export type PunchEnd = 'open' | 'relayed' | 'failed' | 'disputed' | 'unreported';

/** Who doesn't read what the broker says is cut off at so much that waits. */
const MOST_WAITING_BYTES = 256 << 10;
/** What a connection of a stopped server has to say goodbye. */
const STOP_GRACE_MS = 250;

export class BrokerService {
  private readonly rendezvous: Rendezvous;
  private readonly bus: Bus | undefined;
  private readonly onError: (error: Error) => void;
  private readonly onEvent: (event: RendezvousEvent) => void;
  private readonly sockets = new Map<number, WebSocket>();
  private readonly events = { joined: 0, resumed: 0, lost: 0, left: 0, refused: 0, planned: 0, punched: 0 };
  private readonly punches = { udp: createPunchCounts(), tcp: createPunchCounts() };
  private peers = 0;
  private lastConnection = 0;
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor({ onError, onEvent, bus, ...options }: BrokerServiceOptions) {
    this.onError = onError ?? (() => undefined);
    this.onEvent = onEvent ?? (() => undefined);
    this.bus = bus;
    this.rendezvous = new Rendezvous({
      random: randomBytes,
      ...options,
      ...(bus !== undefined && { server: bus.server }),
    });
    bus?.open((input) => this.handle({ kind: 'bus', input }));
  }

  /** Takes a connection over; `client` is whom the limit of connections goes by. */
  accept(socket: WebSocket, client: string): void {
    const connection = ++this.lastConnection;
    this.sockets.set(connection, socket);
    socket.on('message', (data, isBinary) => {
      // A binary frame is no message, and as such it is refused.
      const text = isBinary ? '' : (data as Buffer).toString();
      this.handle({ kind: 'frame', connection, text });
    });
    socket.on('close', () => {
      this.sockets.delete(connection);
      this.handle({ kind: 'closed', connection });
    });
    if (this.isStopped) socket.terminate();
    else this.handle({ kind: 'opened', connection, client });
  }

  counts(): BrokerCounts {
    return {
      connections: this.sockets.size,
      peers: this.peers,
      events: { ...this.events },
      punches: this.punches,
    };
  }

  /** Tells everybody, and ends all connections; resolves once they are closed. */
  async close(): Promise<void> {
    this.isStopped = true;
    this.handle({ kind: 'stop' });
    clearTimeout(this.timer);
    const left = [...this.sockets.values()];
    const closed = left.map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    const cutOff = setTimeout(() => left.forEach((socket) => socket.terminate()), STOP_GRACE_MS);
    await Promise.all(closed);
    clearTimeout(cutOff);
    await this.bus?.close();
  }

  private handle(input: RendezvousInput): void {
    try {
      this.rendezvous.handleInput(input, performance.now());
    } catch (error) {
      this.onError(errorOf(error));
      if ('connection' in input) this.sockets.get(input.connection)?.terminate();
    }
    this.drive();
  }

  private drive(): void {
    for (let action = this.rendezvous.pollAction(); action; action = this.rendezvous.pollAction()) {
      if (action.kind === 'bus') {
        this.bus?.perform(action.action);
        continue;
      }
      const socket = this.sockets.get(action.connection);
      if (socket === undefined) continue;
      if (action.kind === 'close') socket.close(action.code);
      else if (socket.bufferedAmount > MOST_WAITING_BYTES) socket.terminate();
      else socket.send(JSON.stringify(action.message));
    }
    for (let event = this.rendezvous.pollEvent(); event; event = this.rendezvous.pollEvent()) {
      this.events[event.kind]++;
      if (event.kind === 'punched') this.punches[event.transport][endOf(event.outcomes)]++;
      if ('peers' in event) this.peers = event.peers;
      this.onEvent(event);
    }
    clearTimeout(this.timer);
    const due = this.isStopped ? undefined : this.rendezvous.pollTimeout();
    if (due === undefined) return;
    this.timer = setTimeout(() => this.wake(), Math.max(0, due - performance.now()));
    // A server that stops doesn't wait for peers.
    this.timer.unref();
  }

  private wake(): void {
    try {
      this.rendezvous.handleTimeout(performance.now());
    } catch (error) {
      this.onError(errorOf(error));
    }
    this.drive();
  }
}

function createPunchCounts(): Record<PunchEnd, number> {
  return { open: 0, relayed: 0, failed: 0, disputed: 0, unreported: 0 };
}

function endOf({ a, b }: Extract<PunchEvent, { kind: 'punched' }>['outcomes']): PunchEnd {
  const said = a?.outcome ?? b?.outcome;
  if (said === undefined) return 'unreported';
  if (b !== undefined && b.outcome !== said) return 'disputed';
  return said === 'open' && (a ?? b)?.path === 'relay' ? 'relayed' : said;
}
