import type { FastifyInstance } from 'fastify';
import type { PunchStore } from '../../punches/punch-store.ts';
import type { ReportFilter, ReportStore } from '../../reports/report-store.ts';
import { renderStatsPage } from '../pages/stats-page.ts';
import { problemResponses } from '../problem.ts';
import { ReportFilterSchema, type Statistics, StatisticsSchema } from '../report-schemas.ts';
import { prefersPage, sendPage, varyBy, webAssets } from '../send-page.ts';

/** GET /stats: how many reports of what kind, and what became of punches, for everybody. */
export function statisticsRoute(app: FastifyInstance, store: ReportStore, punches?: PunchStore): void {
  app.get<{ Querystring: ReportFilter; Reply: Statistics }>(
    '/stats',
    {
      schema: {
        summary: 'Count reports by kind, and punches by what was predicted',
        description:
          'As JSON, or as a page for who prefers `text/html`. Of the filters, punches follow the times alone, by whole days (UTC).',
        tags: ['reports'],
        querystring: ReportFilterSchema,
        response: { 200: StatisticsSchema, ...problemResponses(400, 503) },
      },
    },
    async (request, reply) => {
      void reply.header('cache-control', 'no-cache');
      const { since, until } = request.query;
      const statistics: Statistics = {
        ...(await store.summarise(request.query)),
        ...(punches && {
          punches: await punches.summarise({ ...(since && { since }), ...(until && { until }) }),
        }),
      };
      if (prefersPage(request)) return sendPage(reply, renderStatsPage(statistics, await webAssets()));
      varyBy(reply, 'accept');
      return statistics;
    },
  );
}
