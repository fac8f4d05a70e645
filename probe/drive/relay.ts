/**
 * A relayed address for one side of a punch. What comes through the relay is brought to the punch's own
 * socket, each of the peer's endpoints behind a local port: so whoever uses that socket, a library that sends from
 * it by itself too, reaches the peer by sending to such a port, as to any endpoint.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import type { Relay } from '../../shared/broker/messages.ts';
import { type Endpoint, type Family, familyOf, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { errorOf } from '../../shared/thrown.ts';
import { CHANNEL_HEADER_BYTES } from '../punch/turn/channel-data.ts';
import { createTurnClient } from '../punch/turn/client.ts';
import { describeTurnFailure, type TurnAction, type TurnEvent, type TurnInput } from '../punch/turn/io.ts';
import { findRelayServers } from './relay-servers.ts';
import { createRunner, type MachineRunner } from './run-machine.ts';
import { openConnectedUdpSocket, systemErrorCode, type UdpSocket } from './udp.ts';

export interface RelayOptions {
  readonly relay: Relay;
  /** The peer's public endpoints: from their addresses it is let through. */
  readonly peers: readonly Endpoint[];
  /** The punch's socket, as others on this machine reach it. */
  readonly local: Endpoint;
  /** The peer is to be told. */
  readonly onAllocated: (relayed: Endpoint) => void;
  /** Behind `remote`, a local port, is one of the peer's endpoints; before anything comes from there. */
  readonly onPeer: (remote: Endpoint) => void;
  /** There is none; `text` goes on from "the relay". */
  readonly onFailed: (text: string) => void;
  /** A bug. */
  readonly onError: (error: unknown) => void;
}

/** How a relay carries what goes to an endpoint. */
export interface RelayedWay {
  readonly relayed: Endpoint;
  /** Who is behind it, as the relay sees it; of the peer's own relay no more than its address there is known. */
  readonly peer: Endpoint;
}

export interface RunningRelay {
  /** Undefined unless `remote` is one of its local ports. */
  wayThrough(remote: Endpoint): RelayedWay | undefined;
  /** Gives the relayed address back; resolves once the relay has been told. */
  release(): Promise<void>;
}

/** A packet of so many bytes goes everywhere whole. */
const PACKET_BYTES = 1500;
const UDP_HEADER = 8;
const IP_HEADER: Readonly<Record<Family, number>> = { ipv4: 20, ipv6: 40 };
/** Of the peer's: one, and those that its NAT gives it anew while the hole is open. */
const MOST_PEERS = 32;
/** What was sent last, such as a goodbye, is on its way to a local port. */
const LINGER_MS = 50;
/** While a local port is opened. */
const MOST_WAITING = 64;

/** Asks one server after another. Ends in `onFailed`, or in an allocation that is held until it is released. */
export function openRelay(options: RelayOptions): RunningRelay {
  return new RelayRun(options);
}

class RelayRun implements RunningRelay {
  readonly #options: RelayOptions;
  readonly #ports = new Map<string, LocalPort>();
  #runner: MachineRunner<TurnInput> | undefined;
  #relayed: Endpoint | undefined;
  #longest = 0;
  #released: Promise<void> | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#run().catch((error: unknown) => options.onError(error));
  }

  wayThrough(remote: Endpoint): RelayedWay | undefined {
    const port = [...this.#ports.values()].find(
      ({ local }) => local !== undefined && sameEndpoint(local, remote),
    );
    return port && { relayed: this.#relayed!, peer: port.peer };
  }

  release(): Promise<void> {
    this.#released ??= setTimeout(LINGER_MS).then(() => {
      this.#closePorts();
      this.#runner?.deliver({ kind: 'release' });
    });
    return this.#released;
  }

  async #run(): Promise<void> {
    const servers = await findRelayServers(this.#options.relay);
    let text = 'is not one that is spoken to over UDP';
    for (const { host, endpoints, reason } of servers) {
      const server = endpoints.find(({ address }) => familyOf(address) === this.#family) ?? endpoints[0];
      text = `at ${host} `;
      if (server === undefined) text += `is not found (${reason ?? 'it has no address'})`;
      else text += await this.#allocateAt(server);
      if (this.#released !== undefined) return;
      if (this.#relayed !== undefined) {
        // What went through it is missed soon.
        this.#closePorts();
        return;
      }
    }
    this.#options.onFailed(text);
  }

  /** IPv4 where the peer has it, which relays have for sure. */
  get #family(): Family {
    return this.#options.peers.some(({ address }) => familyOf(address) === 'ipv4') ? 'ipv4' : 'ipv6';
  }

  /** Resolves once there is no allocation any more, with why there is none. */
  async #allocateAt(server: Endpoint): Promise<string> {
    const ended = Promise.withResolvers<string>();
    let socket: UdpSocket;
    try {
      socket = await openConnectedUdpSocket(server, {
        onDatagram: (_, bytes) => this.#runner!.deliver({ kind: 'datagram', bytes }),
        onRefused: () => this.#runner!.deliver({ kind: 'unreachable' }),
      });
    } catch (error) {
      return `is not reached from here (${systemErrorCode(error)})`;
    }
    if (this.#released !== undefined) {
      socket.close();
      return 'was released';
    }
    this.#longest = PACKET_BYTES - IP_HEADER[familyOf(server.address)] - UDP_HEADER - CHANNEL_HEADER_BYTES;
    const runner = createRunner<TurnInput, TurnAction, TurnEvent>(this.#createClient(), {
      perform: ({ bytes }) => socket.send(server, bytes),
      emit: (event) => {
        if (event.kind === 'failed') ended.resolve(describeTurnFailure(event.failure));
        else if (event.kind === 'released') ended.resolve('was released');
        else this.#handle(event);
      },
      fail: (error) => ended.reject(errorOf(error)),
    });
    this.#runner = runner;
    runner.start();
    try {
      return await ended.promise;
    } finally {
      runner.stop();
      socket.close();
    }
  }

  #createClient(): ReturnType<typeof createTurnClient> {
    const { relay, peers } = this.#options;
    const family = this.#family;
    const addresses = peers.map(({ address }) => address).filter((address) => familyOf(address) === family);
    const { username, credential: password } = relay;
    return createTurnClient(
      {
        family,
        peers: [...new Set(addresses)],
        random: randomBytes,
        ...(username !== undefined && password !== undefined && { credentials: { username, password } }),
      },
      performance.now(),
    );
  }

  #handle(event: Extract<TurnEvent, { kind: 'allocated' | 'received' }>): void {
    if (event.kind === 'allocated') {
      this.#relayed = event.relayed;
      this.#options.onAllocated(event.relayed);
      return;
    }
    if (this.#released !== undefined) return;
    const key = formatEndpoint(event.from);
    let port = this.#ports.get(key);
    if (port === undefined && this.#ports.size < MOST_PEERS) {
      port = new LocalPort(event.from, this.#options, (bytes) => this.#relay(event.from, bytes));
      this.#ports.set(key, port);
    }
    port?.bring(event.bytes);
  }

  /** Libraries find out by themselves which datagrams are too long for a way: those don't arrive. */
  #relay(to: Endpoint, bytes: Uint8Array): void {
    if (bytes.length <= this.#longest) this.#runner?.deliver({ kind: 'relay', to, bytes });
  }

  #closePorts(): void {
    for (const port of this.#ports.values()) port.close();
    this.#ports.clear();
  }
}

/** The port of this machine that stands for one of the peer's endpoints, towards the punch's socket alone. */
class LocalPort {
  readonly peer: Endpoint;
  readonly #towards: Endpoint;
  readonly #waiting: Uint8Array[] = [];
  #socket: UdpSocket | undefined;
  #isClosed = false;

  constructor(
    peer: Endpoint,
    { local, onPeer, onError }: RelayOptions,
    onDatagram: (bytes: Uint8Array) => void,
  ) {
    this.peer = peer;
    this.#towards = local;
    const handlers = {
      onDatagram: (_: Endpoint, bytes: Uint8Array) => onDatagram(bytes),
      onRefused: () => undefined,
    };
    openConnectedUdpSocket(local, handlers).then((socket) => {
      if (this.#isClosed) {
        socket.close();
        return;
      }
      this.#socket = socket;
      onPeer(socket.local);
      for (const bytes of this.#waiting.splice(0)) this.bring(bytes);
    }, onError);
  }

  get local(): Endpoint | undefined {
    return this.#socket?.local;
  }

  bring(bytes: Uint8Array): void {
    if (this.#socket !== undefined) this.#socket.send(this.#towards, bytes);
    else if (this.#waiting.length < MOST_WAITING) this.#waiting.push(bytes);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.close();
  }
}
