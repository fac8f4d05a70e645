/** Bounds on connections: how many there may be, how long a request may take to come, and how they end in a stop. */
import type { Server as HttpServer } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { ConnectionCount } from '../../tcp/connection-limits.ts';
import { networkOf } from '../client-address.ts';
import { ProblemError } from '../problem.ts';

export interface HttpConnectionLimits {
  readonly total: number;
  /** From one IPv4 address, or one IPv6 /56. */
  readonly perSource: number;
}

export const DEFAULT_HTTP_CONNECTION_LIMITS: HttpConnectionLimits = { total: 2048, perSource: 64 };
const SOURCE = { ipv4: 32, ipv6: 56 } as const;

/** For whoever sends slowly: all headers, and the whole request. */
const HEADERS_TIMEOUT_MS = 5000;
export const REQUEST_TIMEOUT_MS = 10_000;
/** How often those are looked at. */
export const TIMEOUT_CHECK_MS = 1000;
/** For whoever reads slowly: without a byte for that long, a connection ends. */
export const STALL_TIMEOUT_MS = 30_000;
export const MAX_REQUESTS_PER_SOCKET = 1000;

export interface ConnectionOptions {
  readonly limits?: HttpConnectionLimits;
  /** Whether an address, IPv4 never wrapped in IPv6, may have as many as it likes. */
  readonly isExempt: (address: string) => boolean;
  readonly countRefused: () => void;
}

/** By the ends of its TCP connection, which those of TLS over it have too. */
export type HandOver = (socket: Pick<Socket, 'remoteAddress' | 'remotePort'>) => void;

/** Returns what takes a connection out of the count, for whoever counts it from then on. */
export function limitConnections(
  app: FastifyInstance,
  { limits = DEFAULT_HTTP_CONNECTION_LIMITS, isExempt, countRefused }: ConnectionOptions,
): HandOver {
  const server: HttpServer = app.server;
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  const open = new ConnectionCount(limits);
  const releases = new Map<string, () => void>();
  server.prependListener('connection', (socket: Socket) => {
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
    if (isExempt(address)) return;
    const source = networkOf(address, SOURCE);
    if (!open.admit(source)) {
      countRefused();
      socket.resetAndDestroy();
      return;
    }
    const name = nameOf(socket);
    const release = (): void => {
      if (releases.delete(name)) open.release(source);
    };
    releases.set(name, release);
    socket.once('close', release);
  });
  return (socket) => releases.get(nameOf(socket))?.();
}

function nameOf({ remoteAddress, remotePort }: Parameters<HandOver>[0]): string {
  return `${remoteAddress ?? ''} ${remotePort ?? ''}`;
}

/** In a stop, how long there may be no answer before the connections that are left are cut. */
const DRAIN_STALL_MS = 5000;

/**
 * In a stop, requests under way are finished, and what else comes on their connections draws 503.
 * Connections that no request has come on are cut; those that are idle Node closes itself.
 */
export function drainOnClose(app: FastifyInstance, isTls: boolean): void {
  const unasked = new Set<Socket>();
  app.server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    unasked.add(socket);
    socket.once('close', () => unasked.delete(socket));
  });
  app.server.on('request', ({ socket }) => unasked.delete(socket));
  // A WebSocket is closed by whoever talks over it.
  app.server.on('upgrade', ({ socket }) => unasked.delete(socket));
  let cutOff: NodeJS.Timeout | undefined;
  app.addHook('preClose', (done) => {
    for (const socket of unasked) socket.destroy();
    cutOff = setTimeout(() => app.server.closeAllConnections(), DRAIN_STALL_MS);
    done();
  });
  app.addHook('onRequest', (_request, reply, done) => {
    if (cutOff === undefined) {
      done();
      return;
    }
    void reply.header('connection', 'close');
    done(new ProblemError('ERR_NOT_READY', 'it is stopping'));
  });
  app.addHook('onResponse', (_request, _reply, done) => {
    cutOff?.refresh();
    done();
  });
  app.addHook('onClose', (_instance, done) => {
    clearTimeout(cutOff);
    done();
  });
}
