import type { FastifyInstance } from 'fastify';
import Type, { type Static } from 'typebox';
import { streamReports } from '../../reports/export-stream.ts';
import { EXPORT_FORMATS } from '../../reports/render-export.ts';
import type { ReportStore } from '../../reports/report-store.ts';
import type { ReaderCheck } from '../plugins/readers.ts';
import { problemResponses } from '../problem.ts';
import { reportFilterQuery } from '../report-schemas.ts';

const ExportQuery = Type.Object({
  ...reportFilterQuery,
  format: Type.Optional(Type.Enum([...EXPORT_FORMATS], { default: 'ndjson' })),
});
type ExportQuery = Static<typeof ExportQuery>;

const CONTENT_TYPES = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8; header=present',
} as const;

/** GET /classify/export: all reports that fit, the oldest first, as `natprobed export` writes them. */
export function exportRoute(app: FastifyInstance, store: ReportStore, checkReader: ReaderCheck): void {
  app.get<{ Querystring: ExportQuery }>(
    '/classify/export',
    {
      onRequest: checkReader,
      schema: {
        summary: 'Export reports',
        description:
          'The oldest first, a report a line as JSON, or flat columns as CSV. For holders of the token, and for ' +
          'the server’s own machine.',
        tags: ['reports'],
        security: [{ token: [] }],
        querystring: ExportQuery,
        response: {
          200: {
            description: 'The reports',
            content: {
              'application/x-ndjson': { schema: Type.String() },
              'text/csv': { schema: Type.String() },
            },
          },
          ...problemResponses(400, 401, 503),
        },
      },
    },
    (request, reply) => {
      const { format = 'ndjson', ...filter } = request.query;
      void reply
        .type(CONTENT_TYPES[format])
        .header('cache-control', 'no-store')
        .header('content-disposition', `attachment; filename="reports.${format}"`);
      return reply.send(streamReports(store.export(filter), format));
    },
  );
}
