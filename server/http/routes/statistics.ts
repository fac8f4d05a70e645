import type { FastifyInstance } from 'fastify';
import type { ReportFilter, ReportStatistics, ReportStore } from '../../reports/report-store.ts';
import { renderStatsPage } from '../pages/stats-page.ts';
import { problemResponses } from '../problem.ts';
import { ReportFilterSchema, ReportStatisticsSchema } from '../report-schemas.ts';
import { prefersPage, sendPage, varyBy, webAssets } from '../send-page.ts';

/** GET /stats: how many reports of what kind, for everybody. */
export function statisticsRoute(app: FastifyInstance, store: ReportStore): void {
  app.get<{ Querystring: ReportFilter; Reply: ReportStatistics }>(
    '/stats',
    {
      schema: {
        summary: 'Count reports by kind',
        description: 'As JSON, or as a page for who prefers `text/html`.',
        tags: ['reports'],
        querystring: ReportFilterSchema,
        response: { 200: ReportStatisticsSchema, ...problemResponses(400, 503) },
      },
    },
    async (request, reply) => {
      void reply.header('cache-control', 'no-cache');
      const statistics = await store.summarise(request.query);
      if (prefersPage(request)) return sendPage(reply, renderStatsPage(statistics, await webAssets()));
      varyBy(reply, 'accept');
      return statistics;
    },
  );
}
