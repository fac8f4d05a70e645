/** Carries out what a TCP puncher machine asks for, on real sockets. */
import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import type { PunchPlan } from '../../shared/punch/plan.ts';
import type { FailedPunch, StopCode } from '../punch/io.ts';
import type {
  OpenConnection,
  TcpConnectFailure,
  TcpPuncherAction,
  TcpPuncherEvent,
  TcpPuncherInput,
} from '../punch/tcp-io.ts';
import { createTcpPuncher } from '../punch/tcp-puncher.ts';
import { createRunner } from './run-machine.ts';
import type { TcpPort, TcpPorts } from './tcp-ports.ts';
import { systemErrorCode, withoutZone } from './udp.ts';

export interface TcpPuncherRun {
  /** Fresh ports and a plan for them are wanted; `begin` takes them. */
  readonly onRenew: (attempt: number) => void;
  readonly onRetrying?: (failed: FailedPunch) => void;
  /** The socket is paused until it is resumed or piped; what the peer has sent already is in it. */
  readonly onOpen: (socket: Socket, opened: OpenConnection) => void;
  readonly onFailed: (failed: FailedPunch) => void;
  /** A bug: the punch is over. */
  readonly onError: (error: unknown) => void;
}

export interface RunningTcpPuncher {
  /** The first plan, and each that answers a renewal; the ports are closed when the punch has done with them. */
  begin(plan: PunchPlan, key: Uint8Array, ports: TcpPorts): void;
  /** Ends the punch. */
  stop(code?: StopCode): void;
}

export function runTcpPuncher(run: TcpPuncherRun): RunningTcpPuncher {
  const ports = new Map<string, Port>();
  const connections = new Map<string, Socket>();
  let rounds = 0;
  let accepted = 0;
  let keepaliveMs = 0;
  const runner = createRunner<TcpPuncherInput, TcpPuncherAction, TcpPuncherEvent>(
    createTcpPuncher({ random: randomBytes }),
    { perform, emit, fail },
  );
  return {
    begin(plan, key, opened) {
      const round = ++rounds;
      keepaliveMs = plan.keepaliveMs;
      const sockets: Partial<Record<Family, string>> = {};
      for (const [family, port] of Object.entries(opened.ports) as [Family, TcpPort][]) {
        const name = `port-${round}-${family}`;
        sockets[family] = name;
        ports.set(name, new Port(port, takeIn));
      }
      runner.deliver({ kind: 'plan', plan, key, sockets });
    },
    stop: (code = 'stopped') => runner.deliver({ kind: 'stop', code }),
  };

  function perform(action: TcpPuncherAction): void {
    switch (action.kind) {
      case 'connect':
        openConnection(action.connection, ports.get(action.socket)!, action.to);
        return;
      case 'listen':
        ports.get(action.socket)!.listen();
        return;
      case 'send':
        connections.get(action.connection)?.write(action.bytes);
        return;
      case 'close':
        connections.get(action.connection)?.destroy();
        connections.delete(action.connection);
        return;
      case 'close-socket':
        ports.get(action.socket)?.close();
        ports.delete(action.socket);
        return;
      case 'renew':
        run.onRenew(action.attempt);
    }
  }

  function emit(event: TcpPuncherEvent): void {
    switch (event.kind) {
      case 'open':
        handOver(event);
        return;
      case 'retrying':
        run.onRetrying?.(event);
        return;
      case 'failed':
        end();
        run.onFailed(event);
    }
  }

  function fail(error: unknown): void {
    end();
    run.onError(error);
  }

  function end(): void {
    runner.stop();
    for (const socket of connections.values()) socket.destroy();
    for (const port of ports.values()) port.close();
    connections.clear();
    ports.clear();
  }

  /** From here on nothing of the punch touches the socket. */
  function handOver(opened: OpenConnection): void {
    const socket = connections.get(opened.connection)!;
    connections.delete(opened.connection);
    end();
    socket.pause();
    for (const name of ['connect', 'data', 'error', 'close']) socket.removeAllListeners(name);
    if (opened.early.length > 0) socket.unshift(opened.early);
    socket.setKeepAlive(true, keepaliveMs);
    run.onOpen(socket, opened);
  }

  function openConnection(connection: string, port: Port, to: Endpoint): void {
    const socket = port.connect(to);
    let isConnected = false;
    connections.set(connection, socket);
    socket.on('connect', () => {
      isConnected = true;
      runner.deliver({ kind: 'connected', connection });
    });
    socket.on('error', (error) => {
      // One that stood is told of when it is closed.
      if (!isConnected && connections.get(connection) === socket)
        runner.deliver({ kind: 'connect-failed', connection, reason: failureOf(error) });
    });
    watch(connection, socket);
  }

  function takeIn(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) {
      socket.destroy();
      return;
    }
    const connection = `accepted-${++accepted}`;
    connections.set(connection, socket);
    // Told by `close`.
    socket.on('error', () => undefined);
    watch(connection, socket);
    const from = { address: withoutZone(remoteAddress), port: remotePort };
    runner.deliver({ kind: 'accepted', connection, from });
  }

  function watch(connection: string, socket: Socket): void {
    socket.on('data', (bytes) => runner.deliver({ kind: 'data', connection, bytes }));
    socket.on('close', () => {
      // One that the machine has closed is not there any more.
      if (connections.get(connection) !== socket) return;
      connections.delete(connection);
      runner.deliver({ kind: 'closed', connection });
    });
  }
}

/** A local port that connections are made from, and taken in on. */
class Port {
  readonly #port: TcpPort;
  readonly #onAccepted: (socket: Socket) => void;
  #wantsListener = false;
  #listener: Server | undefined;
  #opening: NodeJS.Immediate | undefined;

  constructor(port: TcpPort, onAccepted: (socket: Socket) => void) {
    this.#port = port;
    this.#onAccepted = onAccepted;
  }

  /** A port that is listened on can't be connected from: the listener goes, and comes back at once. */
  connect(to: Endpoint): Socket {
    this.#listener?.close();
    this.#listener = undefined;
    const family = familyOf(to.address) === 'ipv4' ? 4 : 6;
    const socket = connect({
      host: to.address,
      port: to.port,
      localPort: this.#port.local.port,
      family,
      noDelay: true,
    });
    if (this.#wantsListener) this.listen();
    return socket;
  }

  listen(): void {
    this.#wantsListener = true;
    // Connections begin on the next tick: they come first.
    this.#opening ??= setImmediate(() => {
      this.#opening = undefined;
      if (this.#listener !== undefined) return;
      const { address, port } = this.#port.local;
      const listener = createServer({ noDelay: true }, this.#onAccepted);
      // Without it the connections of this side's own are what is left.
      listener.on('error', () => undefined);
      listener.listen({ host: address, port, ipv6Only: true, exclusive: true });
      this.#listener = listener;
    });
  }

  close(): void {
    clearImmediate(this.#opening);
    this.#listener?.close();
    this.#port.close();
  }
}

function failureOf(error: Error): TcpConnectFailure {
  switch (systemErrorCode(error)) {
    case 'ETIMEDOUT':
      return 'timeout';
    case 'EADDRINUSE':
    case 'EADDRNOTAVAIL':
    case 'EACCES':
      return 'local';
    default:
      return 'refused';
  }
}
