/** The sockets of all lanes, and what the kernel says of them. They are the main thread's: a lane may die, they stay. */
import { parseIpAddress } from '../../../shared/address.ts';
import { type Endpoint, type Family, formatEndpoint } from '../../../shared/endpoint.ts';
import { SERVER_ROLES, type ServerRole } from '../../../shared/role.ts';
import { bindError } from '../../bind-error.ts';
import { type FamilyConfig, addressFlag, portFlag } from '../../config.ts';
import type { SendingSocket } from '../answer-sender.ts';
import { SOCKET_BUFFER_BYTES } from '../socket-buffers.ts';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  type SystemCalls,
  systemError,
} from './system-calls.ts';

/** A lane's file descriptors by role; undefined for roles that there are not. */
export type RoleSockets = readonly (number | undefined)[];

/** Bytes of `struct sockaddr_in` and `sockaddr_in6`. */
export const SOCKADDR_BYTES: Readonly<Record<Family, number>> = { ipv4: 16, ipv6: 28 };
/** Where the port and the address stand in them. */
export const SOCKADDR_PORT_OFFSET = 2;
export const SOCKADDR_ADDRESS_OFFSETS: Readonly<Record<Family, number>> = { ipv4: 4, ipv6: 8 };

/** Which number SO_MEMINFO gives drops as: the last of SK_MEMINFO_* (linux/sock_diag.h). */
const MEMINFO_WORDS = 9;
const MEMINFO_DROPS = 8;

/**
 * Binds a socket for each lane at each of the family's endpoints; the kernel spreads clients over them.
 * Throws as openUdpLane rejects, with all of them closed again.
 */
export function bindLaneSockets(calls: SystemCalls, config: FamilyConfig, lanes: number): RoleSockets[] {
  const opened: (number | undefined)[][] = [];
  try {
    for (let lane = 0; lane < lanes; lane++) {
      const sockets: (number | undefined)[] = [];
      opened.push(sockets);
      for (const role of SERVER_ROLES) sockets.push(bindSocket(calls, config, role, lane > 0));
      if (lane > 0 || lanes === 1) continue;
      // Only now, so that another program's sockets there are noticed, another natprobed's as well.
      for (const socket of sockets) setOption(calls, socket, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    return opened;
  } catch (error) {
    for (const sockets of opened) closeSockets(calls, sockets);
    throw error;
  }
}

export function closeSockets(calls: SystemCalls, sockets: RoleSockets): void {
  for (const socket of sockets) if (socket !== undefined) calls.close(socket);
}

/** How many datagrams the kernel has dropped at this socket, for want of room mostly. */
export function readDrops(calls: SystemCalls, socket: number): number {
  const words = new Uint32Array(MEMINFO_WORDS);
  const length = Uint32Array.of(words.byteLength);
  return calls.getsockopt(socket, SOL_SOCKET, SO_MEMINFO, words, length) < 0 ? 0 : words[MEMINFO_DROPS]!;
}

/** As asked for, or less: the kernel doubles for its own use what net.core.rmem_max allows. */
export function readReceiveBufferBytes(calls: SystemCalls, socket: number): number {
  const bytes = new Uint32Array(1);
  const length = Uint32Array.of(bytes.byteLength);
  return calls.getsockopt(socket, SOL_SOCKET, SO_RCVBUF, bytes, length) < 0 ? 0 : bytes[0]! / 2;
}

/** A lane's socket for what the main thread sends itself: it is taken at once, or not at all. */
export class LaneSocket implements SendingSocket {
  private readonly calls: SystemCalls;
  private readonly socket: number;

  constructor(calls: SystemCalls, socket: number) {
    this.calls = calls;
    this.socket = socket;
  }

  send(bytes: Uint8Array, port: number, address: string, onSent?: (error: Error | null) => void): void {
    const { calls, socket } = this;
    const to = encodeSockaddr({ address, port });
    const sent = calls.sendto(socket, bytes, bytes.length, MSG_DONTWAIT, to, to.length);
    onSent?.(Number(sent) < 0 ? systemError(calls, 'sendto') : null);
  }

  getSendQueueCount(): number {
    return 0;
  }
}

function bindSocket(
  calls: SystemCalls,
  config: FamilyConfig,
  role: ServerRole,
  shared: boolean,
): number | undefined {
  const endpoint = config.bound[role];
  if (endpoint === undefined) return undefined;
  const isIpv6 = config.family === 'ipv6';
  const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const socket = calls.socket(isIpv6 ? AF_INET6 : AF_INET, type, 0);
  try {
    if (socket < 0) throw systemError(calls, 'socket');
    if (shared) setOption(calls, socket, SOL_SOCKET, SO_REUSEPORT, 1);
    if (isIpv6) setOption(calls, socket, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    setOption(calls, socket, SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER_BYTES);
    setOption(calls, socket, SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER_BYTES);
    const address = encodeSockaddr(endpoint);
    if (calls.bind(socket, address, address.length) < 0) throw systemError(calls, 'bind');
    return socket;
  } catch (error) {
    if (socket >= 0) calls.close(socket);
    throw bindError(error, {
      addressFlag: addressFlag(role),
      portFlag: portFlag(role),
      endpoint: `UDP ${formatEndpoint(endpoint)}`,
    });
  }
}

function setOption(
  calls: SystemCalls,
  socket: number | undefined,
  level: number,
  option: number,
  value: number,
): void {
  if (socket === undefined) return;
  const bytes = Int32Array.of(value);
  if (calls.setsockopt(socket, level, option, bytes, bytes.byteLength) < 0)
    throw systemError(calls, 'setsockopt');
}

/** As the system calls take an endpoint. Throws RangeError for what is no address. */
export function encodeSockaddr({ address, port }: Endpoint): Uint8Array {
  const bytes = parseIpAddress(address);
  if (bytes === undefined) throw new RangeError(`${address} is no address`);
  const family = bytes.length === 4 ? 'ipv4' : 'ipv6';
  const sockaddr = new Uint8Array(SOCKADDR_BYTES[family]);
  // The family in the machine's byte order, the port in the network's.
  sockaddr[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  sockaddr[SOCKADDR_PORT_OFFSET] = port >>> 8;
  sockaddr[SOCKADDR_PORT_OFFSET + 1] = port;
  sockaddr.set(bytes, SOCKADDR_ADDRESS_OFFSETS[family]);
  return sockaddr;
}
