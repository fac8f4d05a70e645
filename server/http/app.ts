/** The HTTP side: builds the Fastify app, which tests call with inject() and the server listens with. */
import { type FastifyError, type FastifyInstance, fastify } from 'fastify';
import { PROBLEM_CONTENT_TYPE, problem } from './problem.ts';
import { healthRoute } from './routes/health.ts';
import type { Health } from './status.ts';

export interface AppOptions {
  readonly health: () => Health;
  /** Told of errors that are not the client's. */
  readonly onError?: (error: Error) => void;
}

/** Larger bodies draw 413; a report has some hundred kilobytes at most. */
const MAX_BODY_BYTES = 1 << 20;

export function buildApp(options: AppOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    // A stop must not wait for idle clients.
    forceCloseConnections: true,
    requestTimeout: 10_000,
  });
  app.setNotFoundHandler((request, reply) => {
    const detail = `nothing at ${request.method} ${request.url.split('?')[0]!}`;
    return reply.code(404).type(PROBLEM_CONTENT_TYPE).send(problem(404, detail));
  });
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.onError?.(error);
    // What went wrong inside is nobody else's business.
    const detail = status >= 500 ? undefined : error.message;
    return reply.code(status).type(PROBLEM_CONTENT_TYPE).send(problem(status, detail));
  });
  healthRoute(app, options.health);
  return app;
}
