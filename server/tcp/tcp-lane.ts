/** Answers over TCP on a family's endpoints, the same ones as over UDP, or over TLS on others. */
import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { formatEndpoint } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { AnswerCore } from '../answer/answer-core.ts';
import { customerKey, SourceAddress } from '../answer/source-address.ts';
import { bindError } from '../bind-error.ts';
import { type FamilyConfig, addressFlag, portFlag } from '../config.ts';
import { LISTEN_BACKLOG } from '../listen-backlog.ts';
import { answerMessage } from './answer-message.ts';
import type { ConnectionCount, ConnectionLimits } from './connection-limits.ts';
import { DialBacks, type DialCounts, type DialLimits, createDialCounts } from './dial-back.ts';
import { dial } from './dial.ts';
import { type TcpCounts, answerConnection } from './stun-connection.ts';

export interface TcpLane {
  readonly counts: TcpCounts;
  readonly dials: DialCounts;
  /** Ends all connections; resolves when everything is closed. */
  close(): Promise<void>;
}

/** What bounds a lane. The counts may be shared with other lanes. */
export interface TcpLaneLimits {
  readonly connections: ConnectionLimits;
  readonly connectionCount: ConnectionCount;
  readonly dials: DialLimits;
  readonly dialCount: ConnectionCount;
}

/** What new connections are secured with. */
export type CurrentContext = () => SecureContext;

/**
 * Listens on the endpoints of `config`, answers, and dials back whom it is asked to; over TLS
 * (RFC 8489 §6.2.3) where there is a context for it.
 * Rejects with ERR_PORT_IN_USE, ERR_PORT_FORBIDDEN, ERR_ADDRESS_NOT_LOCAL or ERR_SOCKET.
 */
export async function openTcpLane(
  config: FamilyConfig,
  core: AnswerCore,
  limits: TcpLaneLimits,
  secureContext?: CurrentContext,
): Promise<TcpLane> {
  const connections = limits.connectionCount;
  const counts: TcpCounts = { accepted: 0, refused: 0, answers: 0, failed: 0, timedOut: 0, errors: 0 };
  const dials = createDialCounts();
  const dialContext = { config, limits: limits.dials, underWay: limits.dialCount, counts: dials, dial };
  const servers: Server[] = [];
  const sockets = new Set<Socket>();

  function handleConnection(socket: Socket, role: ServerRole): void {
    const source = new SourceAddress();
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined || !source.set(remoteAddress, remotePort)) {
      // Gone already.
      socket.destroy();
      return;
    }
    const key = customerKey(source);
    if (!connections.admit(key)) {
      counts.refused++;
      socket.resetAndDestroy();
      return;
    }
    counts.accepted++;
    sockets.add(socket);
    socket.setNoDelay(true);
    // An end of the connection is told by `close`.
    socket.on('error', () => undefined);
    const stream =
      secureContext === undefined
        ? socket
        : new TLSSocket(socket, { isServer: true, secureContext: secureContext() });
    const dialBacks = new DialBacks(dialContext, {
      remote: { address: remoteAddress, port: remotePort },
      arrival: role,
      source: key,
      send: (indication) => void stream.write(indication),
    });
    socket.on('close', () => {
      sockets.delete(socket);
      connections.release(key);
      dialBacks.close();
    });
    const answer = (message: Uint8Array): readonly Uint8Array[] =>
      answerMessage(message, core, source, role, dialBacks);
    answerConnection(stream, answer, limits.connections, counts, () => socket.resetAndDestroy());
  }

  async function close(): Promise<void> {
    const closing = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of sockets) socket.destroy();
    await Promise.all(closing);
  }

  try {
    for (const [role, endpoint] of config.bound.entries()) {
      if (endpoint === undefined) continue;
      const server = await listen(config, role as ServerRole, secureContext === undefined ? 'TCP' : 'TLS');
      server.on('connection', (socket) => handleConnection(socket, role as ServerRole));
      server.on('error', () => {
        counts.errors++;
      });
      servers.push(server);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { counts, dials, close };
}

async function listen(config: FamilyConfig, role: ServerRole, transport: 'TCP' | 'TLS'): Promise<Server> {
  const endpoint = config.bound[role]!;
  const server = createServer();
  try {
    server.listen({
      host: endpoint.address,
      port: endpoint.port,
      backlog: LISTEN_BACKLOG,
      ipv6Only: true,
      exclusive: true,
    });
    await once(server, 'listening');
    return server;
  } catch (error) {
    throw bindError(error, {
      addressFlag: addressFlag(role),
      portFlag: transport === 'TLS' ? '--tls-port' : portFlag(role),
      endpoint: `${transport} ${formatEndpoint(endpoint)}`,
    });
  }
}
