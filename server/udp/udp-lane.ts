/** Answers over UDP: one socket for each of a family's endpoints, all fed to one answer core. */
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { AnswerCore } from '../answer/answer-core.ts';
import type { AnswerGuard } from '../answer/answer-guard.ts';
import { SourceAddress } from '../answer/source-address.ts';
import { bindError } from '../bind-error.ts';
import { type FamilyConfig, addressFlag, portFlag } from '../config.ts';
import { AnswerSender, type SendCounts } from './answer-sender.ts';
import { monotonicMs } from './limits.ts';
import { SOCKET_BUFFER_BYTES } from './socket-buffers.ts';

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

export interface UdpLaneOptions {
  readonly tap?: DatagramTap;
  /** The core's, which is told the time. */
  readonly guard?: AnswerGuard;
}

export interface UdpLane {
  readonly counts: SendCounts;
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
  { tap, guard }: UdpLaneOptions = {},
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
  const sender = new AnswerSender(core, sockets);
  const source = new SourceAddress();
  for (const [role, socket] of sockets.entries()) {
    socket?.on('message', (bytes, { address, port }) => {
      if (!source.set(address, port)) return;
      if (tap?.isIdle === false && tap.handleDatagram(role as ServerRole, bytes, endpointOf(address, port)))
        return;
      if (guard !== undefined) guard.now = monotonicMs();
      const count = core.answer(bytes, 0, bytes.length, source, role as ServerRole);
      if (count !== 0) sender.send(count, address);
    });
    // Sends report through their callbacks; a failing receive must not end the server.
    socket?.on('error', () => {
      sender.counts.errors++;
    });
  }
  tap?.attach((role, { address, port }, bytes) => sender.sendOwn(role, address, port, bytes));
  return {
    counts: sender.counts,
    receiveBufferBytes: () => receiveBufferBytes(sockets[0]!),
    close: () => {
      sender.close();
      return closeAll(sockets);
    },
  };
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
