import type { FastifyInstance } from 'fastify';
import { ProblemError, problemResponses } from '../problem.ts';
import { Health, Readiness } from '../status.ts';

export interface HealthOptions {
  readonly health: () => Health;
  /** Rejects, or says what is amiss, while the server can't do its work. */
  readonly findFault: () => Promise<string | undefined>;
}

/** GET /healthz: 200 while the server answers. GET /readyz: 200 while it can do its work. */
export function healthRoutes(app: FastifyInstance, { health, findFault }: HealthOptions): void {
  app.get(
    '/healthz',
    {
      schema: {
        summary: 'Tell whether the server runs, and what it serves',
        tags: ['operations'],
        response: { 200: Health },
      },
    },
    (_request, reply) => {
      void reply.header('cache-control', 'no-store');
      return health();
    },
  );
  app.get<{ Reply: Readiness }>(
    '/readyz',
    {
      schema: {
        summary: 'Tell whether the server can do its work',
        description:
          'Its STUN sockets are open and have answered its own test, and the store of reports answers.',
        tags: ['operations'],
        response: { 200: Readiness, ...problemResponses(503) },
      },
    },
    async (_request, reply) => {
      const fault = await findFault();
      if (fault !== undefined) throw new ProblemError('ERR_NOT_READY', fault);
      void reply.header('cache-control', 'no-store');
      return { status: 'ready' };
    },
  );
}
