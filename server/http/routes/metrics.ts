import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Metrics } from '../plugins/metrics.ts';
import type { ReaderCheck } from '../plugins/readers.ts';
import { problemResponses } from '../problem.ts';

/** GET /metrics, for Prometheus; without a check for everybody. */
export function metricsRoute(app: FastifyInstance, { registry }: Metrics, checkReader?: ReaderCheck): void {
  app.get(
    '/metrics',
    {
      ...(checkReader && { onRequest: checkReader }),
      schema: {
        summary: 'Counters for Prometheus',
        tags: ['operations'],
        ...(checkReader && { security: [{ token: [] }] }),
        response: {
          200: {
            description: 'Text exposition format',
            content: { 'text/plain': { schema: Type.String() } },
          },
          ...(checkReader && problemResponses(401)),
        },
      },
    },
    async (_request, reply) => {
      void reply.type(registry.contentType).header('cache-control', 'no-store');
      return registry.metrics();
    },
  );
}
