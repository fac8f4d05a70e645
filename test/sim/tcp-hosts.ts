/** Two hosts behind NATs for TCP that connect to each other: handshakes, simultaneous ones too, resets, loss. */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { type Direction, Link } from './link.ts';
import { Network } from './network.ts';
import { TcpNat, type TcpNatBehaviour } from './tcp-nat.ts';
import { OrderedStream, sendOnce, sendSurely, sendSyn } from './tcp-stream.ts';

export interface TcpSetup {
  readonly seed: number;
  readonly rttMs: number;
  /** Of each packet, each way. */
  readonly loss?: number;
  /** What both systems do with a SYN for what they have called themselves: `met` if not given (RFC 9293 §3.5). */
  readonly crossing?: 'met' | 'ignored' | 'reset';
  readonly a: TcpGateway;
  readonly b: TcpGateway;
}

export interface TcpGateway extends TcpNatBehaviour {
  /** A SYN that it has refused makes its own next connection there leave from another port (MEASURING.md §7). */
  readonly tracks?: boolean;
}

/** What the owner of a connection is told. */
export interface TcpSocketEvents {
  readonly onConnected: () => void;
  readonly onRefused: () => void;
  readonly onData: (bytes: Uint8Array) => void;
  readonly onClosed: () => void;
}

export interface TcpWorldOfTwo {
  readonly network: Network;
  readonly hosts: Readonly<Record<Side, TcpHost>>;
}

const SERVER: Endpoint = { address: '192.0.2.1', port: 3478 };

export function buildTcpWorldOfTwo({
  seed,
  rttMs,
  loss = 0,
  crossing = 'met',
  a,
  b,
}: TcpSetup): TcpWorldOfTwo {
  const network = new Network(seed);
  const direction = { delayMs: rttMs / 2, loss: { kind: 'independent', probability: loss } } as const;
  const { up, down } = new Link(network, { up: direction, down: direction });
  const natOf = (address: string, behaviour: TcpGateway): SessionNat =>
    new SessionNat(address, behaviour, network);
  const hosts = {
    a: new TcpHost(network, '10.0.0.2', natOf('203.0.113.1', a), up, { rttMs, crossing }),
    b: new TcpHost(network, '10.0.0.3', natOf('203.0.113.2', b), down, { rttMs, crossing }),
  };
  hosts.a.peer = hosts.b;
  hosts.b.peer = hosts.a;
  return { network, hosts };
}

type Kind = 'syn' | 'syn-ack' | 'ack' | 'rst' | 'unreachable';

/** Between public endpoints. */
interface Segment {
  readonly kind: Kind;
  readonly from: Endpoint;
  readonly to: Endpoint;
}

export class TcpHost {
  peer!: TcpHost;
  readonly #network: Network;
  readonly #address: string;
  readonly #nat: SessionNat;
  readonly #out: Direction;
  readonly #rttMs: number;
  readonly #crossing: NonNullable<TcpSetup['crossing']>;
  readonly #sockets = new Map<string, TcpSocket>();
  readonly #listeners = new Map<number, (socket: TcpSocket) => TcpSocketEvents>();

  constructor(
    network: Network,
    address: string,
    nat: SessionNat,
    out: Direction,
    { rttMs, crossing }: Required<Pick<TcpSetup, 'rttMs' | 'crossing'>>,
  ) {
    this.#network = network;
    this.#address = address;
    this.#nat = nat;
    this.#out = out;
    this.#rttMs = rttMs;
    this.#crossing = crossing;
  }

  /** As the server sees a port of this host. */
  register(localPort: number): Endpoint {
    return this.#nat.send(this.#endpoint(localPort), SERVER, 'syn');
  }

  connect(localPort: number, remote: Endpoint, events: TcpSocketEvents): TcpSocket {
    const socket = this.#add(localPort, remote, events, 'syn-sent');
    socket.stop = sendSyn(this.#network, this.#now(), () => this.#transmit('syn', socket));
    return socket;
  }

  /** Undefined takes nobody in any more. */
  listen(localPort: number, onAccepted: ((socket: TcpSocket) => TcpSocketEvents) | undefined): void {
    if (onAccepted === undefined) this.#listeners.delete(localPort);
    else this.#listeners.set(localPort, onAccepted);
  }

  write(socket: TcpSocket, bytes: Uint8Array): void {
    socket.stream ??= new OrderedStream(this.#network, this.#out, this.#rttMs, (arrived) =>
      this.peer.#deliver(this.#nat.send(socket.local, socket.remote), socket.remote, (other) =>
        other.events.onData(arrived),
      ),
    );
    socket.stream.write(bytes);
  }

  close(socket: TcpSocket): void {
    socket.stop();
    if (!this.#sockets.delete(keyOf(socket.local, socket.remote))) return;
    if (socket.state !== 'established') return;
    sendSurely(this.#network, this.#out, this.#rttMs, () =>
      this.peer.#deliver(this.#nat.send(socket.local, socket.remote), socket.remote, (other) => {
        this.peer.#end(other);
        other.events.onClosed();
      }),
    );
  }

  /** Nothing is on the way before it has left: SYNs are lost by #transmit. */
  #now(): Direction {
    return IMMEDIATE(this.#network);
  }

  #add(localPort: number, remote: Endpoint, events: TcpSocketEvents, state: TcpSocket['state']): TcpSocket {
    const local = this.#endpoint(localPort);
    const socket: TcpSocket = { local, remote, events, state, stop: () => undefined, stream: undefined };
    this.#sockets.set(keyOf(local, remote), socket);
    return socket;
  }

  #endpoint(port: number): Endpoint {
    return { address: this.#address, port };
  }

  #transmit(kind: Kind, { local, remote }: Pick<TcpSocket, 'local' | 'remote'>): void {
    const from = this.#nat.send(local, remote, kind);
    this.#launch({ kind, from, to: remote });
  }

  #launch(segment: Segment): void {
    sendOnce(this.#network, this.#out, () => this.peer.#arrive(segment));
  }

  #deliver(from: Endpoint, to: Endpoint, tell: (socket: TcpSocket) => void): void {
    const local = this.#nat.sessionOf(from, to);
    const socket = local && this.#sockets.get(keyOf(local, from));
    if (socket !== undefined) tell(socket);
  }

  #arrive(segment: Segment): void {
    const { kind, from, to } = segment;
    const received = this.#nat.receive(kind, from, to);
    if (received === 'dropped') return;
    if (received === 'reset' || received === 'icmp') {
      this.#launch({ kind: received === 'reset' ? 'rst' : 'unreachable', from: to, to: from });
      return;
    }
    const socket = this.#sockets.get(keyOf(received, from));
    if (socket !== undefined) this.#handle(socket, kind);
    else if (kind === 'syn') this.#accept(received, from);
    else if (kind === 'syn-ack') this.#transmit('rst', { local: received, remote: from });
  }

  #accept(local: Endpoint, remote: Endpoint): void {
    const onAccepted = this.#listeners.get(local.port);
    if (onAccepted === undefined) {
      this.#transmit('rst', { local, remote });
      return;
    }
    const socket = this.#add(local.port, remote, NOBODY, 'syn-received');
    socket.onEstablished = () => (socket.events = onAccepted(socket));
    this.#answer(socket);
  }

  #handle(socket: TcpSocket, kind: Kind): void {
    switch (kind) {
      case 'syn':
        // At the same time (RFC 9293 §3.5), or once more as the answer was lost.
        if (socket.state === 'syn-sent' && this.#crossing !== 'met') {
          if (this.#crossing === 'reset') this.#transmit('rst', socket);
        } else if (socket.state === 'syn-sent') {
          socket.state = 'syn-received';
          this.#answer(socket);
        } else if (socket.state === 'syn-received') this.#transmit('syn-ack', socket);
        return;
      case 'syn-ack':
        this.#transmit('ack', socket);
        this.#establish(socket);
        return;
      case 'ack':
        this.#establish(socket);
        return;
      case 'rst':
      case 'unreachable': {
        if (kind === 'unreachable' && socket.state !== 'syn-sent') return;
        const { state, events } = socket;
        this.#end(socket);
        if (state === 'established') events.onClosed();
        else events.onRefused();
      }
    }
  }

  #answer(socket: TcpSocket): void {
    socket.stop();
    socket.stop = sendSyn(this.#network, this.#now(), () => this.#transmit('syn-ack', socket));
  }

  #establish(socket: TcpSocket): void {
    if (socket.state === 'established') return;
    socket.stop();
    socket.state = 'established';
    socket.onEstablished?.();
    socket.events.onConnected();
  }

  #end(socket: TcpSocket): void {
    socket.stop();
    this.#sockets.delete(keyOf(socket.local, socket.remote));
  }
}

export interface TcpSocket {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  events: TcpSocketEvents;
  state: 'syn-sent' | 'syn-received' | 'established';
  /** Ends the repeating of what was sent last. */
  stop: () => void;
  stream: OrderedStream | undefined;
  onEstablished?: () => void;
}

const NOBODY: TcpSocketEvents = {
  onConnected: () => undefined,
  onRefused: () => undefined,
  onData: () => undefined,
  onClosed: () => undefined,
};

const IMMEDIATE = (network: Network): Direction => new Link(network, {}).up;

function keyOf(local: Endpoint, remote: Endpoint): string {
  return `${formatEndpoint(local)} ${formatEndpoint(remote)}`;
}

interface Session {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  mapped: Endpoint;
  /** A reset has passed: the way in is closed until the next SYN out. */
  isReset: boolean;
}

/** How long conntrack keeps a connection that was reset (nf_conntrack_tcp_timeout_close). */
const TRACKED_MS = 10_000;

/** A NAT that knows connections: what answers one goes back the way that it came. */
class SessionNat {
  readonly #network: Network;
  readonly #behaviour: TcpGateway;
  readonly #nat: TcpNat;
  readonly #sessions: Session[] = [];
  /** Where refused SYNs came from and went to, and until when that is remembered. */
  readonly #tracked = new Map<string, number>();

  constructor(address: string, behaviour: TcpGateway, network: Network) {
    this.#network = network;
    this.#behaviour = behaviour;
    this.#nat = new TcpNat(address, behaviour, network.random.fork());
  }

  /** Where it leaves from. */
  send(local: Endpoint, remote: Endpoint, kind: Kind = 'ack'): Endpoint {
    let session = this.#sessions.find(
      (one) => sameEndpoint(one.local, local) && sameEndpoint(one.remote, remote),
    );
    if (session === undefined) {
      session = { local, remote, mapped: this.#nat.handleOutbound(local, remote), isReset: false };
      this.#sessions.push(session);
    }
    if (kind === 'rst') session.isReset = true;
    else if (kind === 'syn') {
      session.isReset = false;
      const trackedUntil = this.#tracked.get(keyOf(session.mapped, remote)) ?? 0;
      if (trackedUntil > this.#network.now)
        session.mapped = { ...session.mapped, port: this.#network.random.integer(1024, 65535) };
    }
    return session.mapped;
  }

  /** The inside endpoint of what comes in an open session. */
  sessionOf(from: Endpoint, to: Endpoint): Endpoint | undefined {
    return this.#sessions.find(({ remote, mapped }) => sameEndpoint(remote, from) && sameEndpoint(mapped, to))
      ?.local;
  }

  receive(kind: Kind, from: Endpoint, to: Endpoint): Endpoint | 'dropped' | 'reset' | 'icmp' {
    const session = this.#sessions.find(
      ({ remote, mapped }) => sameEndpoint(remote, from) && sameEndpoint(mapped, to),
    );
    if (session !== undefined && !session.isReset) {
      if (kind === 'rst') session.isReset = true;
      return session.local;
    }
    if (kind !== 'syn') return 'dropped';
    const isStrict = this.#behaviour.filtering === 'address-and-port-dependent';
    const received = isStrict ? this.#behaviour.unsolicited : this.#nat.handleInbound(from, to);
    if (typeof received === 'object') {
      if (session === undefined)
        this.#sessions.push({ local: received, remote: from, mapped: to, isReset: false });
      else session.isReset = false;
      return received;
    }
    if (received === 'answers') throw new Error('no such NAT is punched through here');
    if (this.#behaviour.tracks === true) this.#tracked.set(keyOf(to, from), this.#network.now + TRACKED_MS);
    return received;
  }
}
