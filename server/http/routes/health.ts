import type { FastifyInstance } from 'fastify';
import { Health } from '../status.ts';

/** GET /healthz: 200 while the server answers. */
export function healthRoute(app: FastifyInstance, health: () => Health): void {
  app.get('/healthz', { schema: { response: { 200: Health } } }, (_request, reply) => {
    void reply.header('cache-control', 'no-store');
    return health();
  });
}
