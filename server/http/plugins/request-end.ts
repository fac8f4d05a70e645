import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** How a request ended: with a whole answer of this status, or with the client's going before it. */
export type RequestOutcome = number | 'aborted';

/** Tells of each request once, at its end; to be called before the routes are added. */
export function onRequestEnd(
  app: FastifyInstance,
  tell: (request: FastifyRequest, reply: FastifyReply, outcome: RequestOutcome) => void,
): void {
  const ended = new WeakSet<FastifyRequest>();
  const end = (request: FastifyRequest, reply: FastifyReply): void => {
    if (ended.has(request)) return;
    ended.add(request);
    tell(request, reply, reply.raw.writableEnded ? reply.statusCode : 'aborted');
  };
  // That comes for whole answers alone.
  app.addHook('onResponse', (request, reply, done) => {
    end(request, reply);
    done();
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.raw.once('close', () => end(request, reply));
    done();
  });
}
