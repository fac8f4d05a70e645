import type { FastifyInstance } from 'fastify';
import type { ReportFilter, ReportStatistics, ReportStore } from '../../reports/report-store.ts';
import { problemResponses } from '../problem.ts';
import { ReportFilterSchema, ReportStatisticsSchema } from '../report-schemas.ts';

/** GET /stats: how many reports of what kind, for everybody. */
export function statisticsRoute(app: FastifyInstance, store: ReportStore): void {
  app.get<{ Querystring: ReportFilter; Reply: ReportStatistics }>(
    '/stats',
    {
      schema: {
        summary: 'Count reports by kind',
        tags: ['reports'],
        querystring: ReportFilterSchema,
        response: { 200: ReportStatisticsSchema, ...problemResponses(400, 503) },
      },
    },
    async (request, reply) => {
      void reply.header('cache-control', 'no-cache');
      return store.summarise(request.query);
    },
  );
}
