import websocket from '@fastify/websocket';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MAX_FRAME_BYTES } from '../../../shared/broker/messages.ts';
import type { BrokerService } from '../broker-service.ts';
import { clientAddress, networkOf } from '../client-address.ts';
import type { HandOver } from '../plugins/connections.ts';
import { ProblemError } from '../problem.ts';

export const BROKER_PATH = '/broker';

export interface BrokerRouteOptions {
  readonly broker: BrokerService;
  /** Whose pages may connect besides this server's own; `*` for everybody's. */
  readonly origins: readonly string[];
  /** The broker counts its connections itself: those of HTTP are fewer, and short. */
  readonly handOver: HandOver;
}

/** What one customer gets (RFC 6177 §2), as for other connections. */
const CLIENT = { ipv4: 32, ipv6: 56 } as const;
/** For a goodbye to be answered. */
const CLOSE_TIMEOUT_MS = 1000;

/** The WebSocket /broker (shared/broker/messages.ts has what is said there). */
export function brokerRoute(app: FastifyInstance, { broker, origins, handOver }: BrokerRouteOptions): void {
  app.register(async (scope) => {
    await scope.register(websocket, {
      options: {
        maxPayload: MAX_FRAME_BYTES,
        perMessageDeflate: false,
        closeTimeout: CLOSE_TIMEOUT_MS,
      } as NonNullable<websocket.WebsocketPluginOptions['options']>,
      // A frame that breaks the protocol has been answered with its close code; a broken connection is one that ends.
      errorHandler: () => undefined,
      preClose: (done: () => void) => void broker.close().then(done),
    });
    scope.route({
      method: 'GET',
      url: BROKER_PATH,
      schema: { hide: true },
      onRequest: (request, _reply, done) => {
        const isForeign = !isAllowedOrigin(request, origins);
        done(
          isForeign
            ? new ProblemError('ERR_REQUEST', 'a page of another origin', { status: 403 })
            : undefined,
        );
      },
      handler: (_request, reply) => {
        void reply.header('upgrade', 'websocket');
        throw new ProblemError('ERR_REQUEST', 'this is a WebSocket', { status: 426 });
      },
      wsHandler: (socket, request) => {
        handOver(request.socket);
        broker.accept(socket, networkOf(clientAddress(request), CLIENT));
      },
    });
  });
}

/** Programs name no origin; browsers always do, whatever page it is that connects. */
function isAllowedOrigin({ headers, host }: FastifyRequest, origins: readonly string[]): boolean {
  const { origin } = headers;
  if (origin === undefined || origins.includes('*') || origins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
