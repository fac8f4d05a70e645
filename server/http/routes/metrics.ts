import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { Metrics } from '../plugins/metrics.ts';

/** GET /metrics, for Prometheus. */
export function metricsRoute(app: FastifyInstance, { registry }: Metrics): void {
  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Counters for Prometheus',
        tags: ['operations'],
        response: {
          200: {
            description: 'Text exposition format',
            content: { 'text/plain': { schema: Type.String() } },
          },
        },
      },
    },
    async (_request, reply) => {
      void reply.type(registry.contentType).header('cache-control', 'no-store');
      return registry.metrics();
    },
  );
}
