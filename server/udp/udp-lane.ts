/** Answers over UDP: one socket for each of a family's endpoints, all fed to one answer core. */
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { AnswerCore } from '../answer/answer-core.ts';
import type { AnswerGuard } from '../answer/answer-guard.ts';
import type { RelayedAnswer } from '../answer/relayed-answer.ts';
import { SourceAddress } from '../answer/source-address.ts';
import { bindError } from '../bind-error.ts';
import { type FamilyConfig, addressFlag, portFlag } from '../config.ts';
import { AnswerSender, BURST } from './answer-sender.ts';
import { monotonicMs } from './limits.ts';
import { SOCKET_BUFFER_BYTES } from './socket-buffers.ts';
import { Turn } from './turn.ts';

/** Sees each datagram before the answer core does. */
export interface DatagramTap {
  /** Nobody's datagrams are awaited: it need not be asked. */
  readonly isIdle: boolean;
  /** Whether it has taken the datagram. */
  handleDatagram(role: ServerRole, bytes: Uint8Array, source: Endpoint): boolean;
  /** Gives it the lane's sockets to send from, and whom to tell when `isIdle` changes. */
  attach(
    send: (role: ServerRole, to: Endpoint, bytes: Uint8Array) => void,
    onAwaiting?: (awaits: boolean) => void,
  ): void;
}

/** What of a family sends for a partner, and after it. */
export interface RelaySender {
  readonly sender: AnswerSender;
  /** Whether an answer of so many bytes, which another host asks for, may be sent there now. */
  admit(to: Endpoint, bytes: number): boolean;
}

export interface UdpLaneOptions {
  readonly tap?: DatagramTap;
  /** The core's, which is told the time. */
  readonly guard?: AnswerGuard;
  /** For answers from another host's address. */
  readonly relay?: (answer: RelayedAnswer) => void;
}

export interface UdpLane extends RelaySender {
  /** Of one socket, as the kernel has it. */
  receiveBufferBytes(): number;
  /** Stops answering at once; resolves when the sockets are closed. */
  close(): Promise<void>;
}

/**
 * Binds the sockets of `config` and answers what comes in. Rejects with ERR_PORT_IN_USE,
 * ERR_PORT_FORBIDDEN, ERR_ADDRESS_NOT_LOCAL or ERR_SOCKET, with all sockets closed again.
 */
export async function openUdpLane(
  config: FamilyConfig,
  core: AnswerCore,
  { tap, guard, relay }: UdpLaneOptions = {},
): Promise<UdpLane> {
  const sockets: (Socket | undefined)[] = [];
  try {
    for (const [role, endpoint] of config.bound.entries()) {
      sockets.push(endpoint === undefined ? undefined : await bindSocket(config, role as ServerRole));
    }
  } catch (error) {
    await closeAll(sockets);
    throw error;
  }
  const sender = new AnswerSender(core, sockets, relay && { family: config.family, relay });
  const source = new SourceAddress();
  const turn = new Turn(
    BURST,
    () => {
      if (guard !== undefined) guard.now = monotonicMs();
    },
    (bytes, remote, role) => {
      const { address, port } = remote;
      if (!source.set(address, port)) return;
      if (tap?.isIdle === false && tap.handleDatagram(role, bytes, endpointOf(address, port))) return;
      sender.prepare(bytes.length);
      const count = core.answer(bytes, 0, bytes.length, source, role);
      if (count !== 0) sender.send(count, remote, role);
    },
    () => sender.flush(),
  );
  for (const [role, socket] of sockets.entries()) {
    socket?.on('message', (bytes, remote) => turn.add(bytes, remote, role as ServerRole));
    // Sends report through their callbacks; a failing receive must not end the server.
    socket?.on('error', () => {
      sender.counts.errors++;
    });
  }
  tap?.attach((role, to, bytes) => sender.sendOwn(role, to, bytes, 'ice'));
  return {
    sender,
    admit: (to, bytes) => admitRelayed(core, guard, to, bytes),
    receiveBufferBytes: () => receiveBufferBytes(sockets[0]!),
    close: () => {
      sender.close();
      return closeAll(sockets);
    },
  };
}

/** Whether an answer that another host asks for may be sent there now. */
export function admitRelayed(
  core: AnswerCore,
  guard: AnswerGuard | undefined,
  { address, port }: Endpoint,
  bytes: number,
): boolean {
  const to = new SourceAddress();
  if (!to.set(address, port)) return false;
  if (guard !== undefined) guard.now = monotonicMs();
  return core.admitRelayed(to, bytes);
}

/** Linux says twice as much as there is, for what it needs itself. */
function receiveBufferBytes(socket: Socket): number {
  const bytes = socket.getRecvBufferSize();
  return process.platform === 'linux' ? bytes / 2 : bytes;
}

/** As Node prints it: an IPv6 zone such as `%eth0` is left out. */
function endpointOf(address: string, port: number): Endpoint {
  return { address: address.split('%')[0]!, port };
}

async function bindSocket(config: FamilyConfig, role: ServerRole): Promise<Socket> {
  const endpoint = config.bound[role]!;
  const socket = createSocket({
    type: config.family === 'ipv4' ? 'udp4' : 'udp6',
    // As told to udp4 it is an error.
    ipv6Only: config.family === 'ipv6',
    recvBufferSize: SOCKET_BUFFER_BYTES,
    sendBufferSize: SOCKET_BUFFER_BYTES,
    // Destinations are the sources of requests, addresses already: sending must not wait for a lookup.
    lookup: (address, _options, callback) => callback(null, address, config.family === 'ipv4' ? 4 : 6),
  });
  try {
    // Heard before it is asked for: with that lookup bind() may report at once.
    const listening = once(socket, 'listening');
    // `exclusive`: not shared with other processes of a cluster.
    socket.bind({ address: endpoint.address, port: endpoint.port, exclusive: true });
    await listening;
    return socket;
  } catch (error) {
    socket.close();
    throw bindError(error, {
      addressFlag: addressFlag(role),
      portFlag: portFlag(role),
      endpoint: `UDP ${formatEndpoint(endpoint)}`,
    });
  }
}

async function closeAll(sockets: readonly (Socket | undefined)[]): Promise<void> {
  await Promise.all(
    sockets.map(async (socket) => {
      if (socket === undefined) return;
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    }),
  );
}
