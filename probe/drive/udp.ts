import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { familyOf, type Endpoint, type Family } from '../../shared/endpoint.ts';

/** Why a datagram could not be delivered, as far as this machine was told. */
export type Refusal = 'port-unreachable' | 'unreachable';

export interface UdpHandlers {
  onDatagram(from: Endpoint, bytes: Uint8Array): void;
  onRefused(to: Endpoint, reason: Refusal): void;
}

/** An open UDP socket. */
export interface UdpSocket {
  /** The address that the kernel sends from towards the server, never a wildcard. */
  readonly local: Endpoint;
  readonly raw: Socket;
  /** `ttl` (IPv6: the hop limit) in place of the system's holds for this datagram alone. */
  send(to: Endpoint, bytes: Uint8Array, ttl?: number): void;
  close(): void;
}

/**
 * Binds `port` (0: chosen by the system) of `localAddress`, or of the wildcard of `family` where there
 * is none, for traffic with any endpoint. Rejects with the system's error, also when there is no
 * route `towards` the server.
 */
export async function openUdpSocket(
  family: Family,
  port: number,
  towards: Endpoint,
  handlers: UdpHandlers,
  localAddress?: string,
): Promise<UdpSocket> {
  const socket = newSocket(family);
  try {
    // Bound before the other is opened, which might be given the port that is asked for here.
    const [, address] = await Promise.all([
      bound(socket, port, localAddress),
      localAddress ?? localAddressTowards(towards),
    ]);
    return attach(socket, { address, port: socket.address().port }, handlers);
  } catch (error) {
    socket.close();
    throw error;
  }
}

/**
 * Uses a bound socket of the caller: it is listened on until `close`, which leaves it open.
 * Whatever else arrives on it is handed over too; the classifier ignores it.
 */
export async function adoptUdpSocket(
  socket: Socket,
  towards: Endpoint,
  handlers: UdpHandlers,
): Promise<UdpSocket> {
  const address = await localAddressTowards(towards);
  return attach(socket, { address, port: socket.address().port }, handlers, { keepOpen: true });
}

/** Connects a fresh socket to `to` alone, so that ICMP errors reach `onRefused`. */
export async function openConnectedUdpSocket(to: Endpoint, handlers: UdpHandlers): Promise<UdpSocket> {
  const socket = await connected(to);
  const { address, port } = socket.address();
  return attach(socket, { address: withoutZone(address), port }, handlers, { connectedTo: to });
}

/**
 * The local address that the kernel would send from to `to`: a throwaway socket is connected, which
 * sends nothing. Rejects with the system's error where there is no route.
 */
export async function localAddressTowards(to: Endpoint): Promise<string> {
  const socket = await connected(to);
  const { address } = socket.address();
  socket.close();
  return withoutZone(address);
}

/** The system's word for "no route", or undefined if there is one. */
export async function findNoRoute(to: Endpoint): Promise<string | undefined> {
  try {
    await localAddressTowards(to);
    return undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (NO_ROUTE_CODES.has(code)) return code;
    throw error;
  }
}

/** System errors of a send or a connect that mean "no way to there from here". */
export const NO_ROUTE_CODES: ReadonlySet<string> = new Set([
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
]);

/** The `code` of a system error, else its name. */
export function systemErrorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

interface Attachment {
  readonly connectedTo?: Endpoint;
  readonly keepOpen?: boolean;
}

function attach(
  socket: Socket,
  local: Endpoint,
  handlers: UdpHandlers,
  { connectedTo, keepOpen = false }: Attachment = {},
): UdpSocket {
  let closed = false;
  let isTtlLow = false;

  function handleMessage(bytes: Buffer, { address, port }: RemoteInfo): void {
    handlers.onDatagram({ address: withoutZone(address), port }, bytes);
  }

  function handleError(error: Error, to: Endpoint | undefined = connectedTo): void {
    if (closed || to === undefined) return;
    const code = systemErrorCode(error);
    if (code === 'ECONNREFUSED') handlers.onRefused(to, 'port-unreachable');
    else if (NO_ROUTE_CODES.has(code)) handlers.onRefused(to, 'unreachable');
    // Anything else (a full buffer, a local rule that drops: ENOBUFS, EPERM) is a lost datagram.
  }

  function handleSocketError(error: Error): void {
    handleError(error);
  }

  function handleClose(): void {
    closed = true;
  }

  socket.on('message', handleMessage);
  // Whoever uses the socket itself may have closed it.
  socket.on('close', handleClose);
  // The errors of a caller's socket are the caller's.
  if (!keepOpen) socket.on('error', handleSocketError);

  function send(to: Endpoint, bytes: Uint8Array): void {
    const sent = (error: Error | null): void => {
      restoreTtl();
      if (error !== null) handleError(error, to);
    };
    if (connectedTo === undefined) socket.send(bytes, to.port, to.address, sent);
    else socket.send(bytes, sent);
  }

  /**
   * A send to a literal address is one system call, made before it returns. If the kernel's buffer was
   * full, libuv has queued the datagram, which leaves with the TTL of then: it stays low until the queue is
   * empty, and what else is in there is lost rather than let a packet through that should have died.
   */
  function restoreTtl(): void {
    if (!isTtlLow || closed || socket.getSendQueueCount() > 0) return;
    isTtlLow = false;
    socket.setTTL(SYSTEM_TTL);
  }

  return {
    local,
    raw: socket,
    send(to, bytes, ttl) {
      if (closed) return;
      if (ttl === undefined) {
        send(to, bytes);
        return;
      }
      // Behind datagrams that are to go further a low one would take them down with it.
      if (!isTtlLow && socket.getSendQueueCount() > 0) return;
      isTtlLow = true;
      socket.setTTL(ttl);
      send(to, bytes);
      restoreTtl();
    },
    close() {
      if (closed) return;
      closed = true;
      socket.off('message', handleMessage);
      socket.off('close', handleClose);
      if (!keepOpen) socket.close();
    },
  };
}

/** Node can't ask for it; these are the systems' own defaults, of which a TTL that was set can't be given back. */
const SYSTEM_TTL = process.platform === 'win32' ? 128 : 64;

function newSocket(family: Family): Socket {
  // Addresses only come as literals here. Without a lookup of our own each send would take a turn
  // through the resolver's, and so be late by a tick.
  const options = {
    lookup: (
      address: string,
      _options: unknown,
      done: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
    ) => done(null, address, family === 'ipv4' ? 4 : 6),
  };
  return family === 'ipv4'
    ? createSocket({ ...options, type: 'udp4' })
    : createSocket({ ...options, type: 'udp6', ipv6Only: true });
}

function bound(socket: Socket, port: number, address: string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ port, exclusive: true, ...(address === undefined ? {} : { address }) }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

function connected(to: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = newSocket(familyOf(to.address));
    socket.once('error', fail);
    // The types omit it, but the callback of a failed connect gets the error.
    socket.connect(to.port, to.address, (error?: Error) => {
      if (error instanceof Error) {
        fail(error);
        return;
      }
      socket.off('error', fail);
      resolve(socket);
    });

    function fail(error: Error): void {
      socket.close();
      reject(error);
    }
  });
}

/** A link-local address as Node prints it has the interface behind a percent sign. */
export function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent === -1 ? address : address.slice(0, percent);
}
