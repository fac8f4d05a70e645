import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import type { ReportPage, ReportStore } from '../../reports/report-store.ts';
import { renderReportPage } from '../pages/report-page.ts';
import { ProblemError, problemResponses } from '../problem.ts';
import type { ReaderCheck } from '../plugins/readers.ts';
import { assessPunchability } from '../punchability.ts';
import {
  reportFilterQuery,
  ReportPageSchema,
  type ShownReport,
  ShownReportSchema,
} from '../report-schemas.ts';
import { prefersPage, sendPage, varyBy, webAssets } from '../send-page.ts';

const ReadQuery = Type.Object({
  format: Type.Optional(Type.Literal('json', { description: 'JSON, whatever is preferred' })),
});

const DEFAULT_PAGE = 50;
const MAX_PAGE = 500;

const ListQuery = Type.Object({
  ...reportFilterQuery,
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE })),
  after: Type.Optional(Type.String({ maxLength: 200, description: 'The `next` of the page before' })),
});
type ListQuery = Static<typeof ListQuery>;

/** GET /classify/:id for whoever knows the id, and GET /classify for those who may read them all. */
export function readReportsRoutes(app: FastifyInstance, store: ReportStore, checkReader: ReaderCheck): void {
  app.get<{ Params: { id: string }; Querystring: Static<typeof ReadQuery>; Reply: ShownReport }>(
    '/classify/:id',
    {
      schema: {
        summary: 'Read a report',
        description: 'As JSON, or as a page for who prefers `text/html`.',
        tags: ['reports'],
        params: Type.Object({ id: Type.String({ description: 'As POST /classify answered' }) }),
        querystring: ReadQuery,
        response: { 200: ShownReportSchema, ...problemResponses(404, 503) },
      },
    },
    async (request, reply) => {
      const stored = await store.find(request.params.id);
      if (stored === undefined) throw new ProblemError('ERR_NO_REPORT');
      // Who knows the id may read it; search engines and shared caches need not.
      void reply.header('cache-control', 'private, no-cache').header('x-robots-tag', 'noindex');
      const shown = { ...stored, punchability: assessPunchability(stored.report) };
      if (request.query.format !== 'json' && prefersPage(request))
        return sendPage(reply, renderReportPage(shown, await webAssets()));
      varyBy(reply, 'accept');
      return shown;
    },
  );
  app.get<{ Querystring: ListQuery; Reply: ReportPage }>(
    '/classify',
    {
      onRequest: checkReader,
      schema: {
        summary: 'List reports',
        description: 'The newest first. For holders of the token, and for the server’s own machine.',
        tags: ['reports'],
        security: [{ token: [] }],
        querystring: ListQuery,
        response: { 200: ReportPageSchema, ...problemResponses(400, 401, 503) },
      },
    },
    async (request, reply) => {
      const { limit = DEFAULT_PAGE, after, ...filter } = request.query;
      void reply.header('cache-control', 'no-store');
      return store.list(filter, { limit, ...(after !== undefined && { after }) });
    },
  );
}
