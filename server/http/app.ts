/** The HTTP side: builds the Fastify app, which tests call with inject() and the server listens with. */
import { type FastifyInstance, fastify } from 'fastify';
import { takeJsonBodies } from './plugins/json-body.ts';
import { describeByOpenApi } from './plugins/openapi.ts';
import { answerClientError, answerFrameworkError, answerWithProblems } from './plugins/problems.ts';
import { createReaderCheck } from './plugins/readers.ts';
import { validateBySchema } from './plugins/validation.ts';
import { healthRoute } from './routes/health.ts';
import { postReportRoute, type PostReportOptions } from './routes/post-report.ts';
import { readReportsRoutes } from './routes/read-reports.ts';
import type { Health } from './status.ts';

export interface AppOptions {
  readonly health: () => Health;
  /** Reports are taken and shown only with them. */
  readonly reports?: ReportOptions;
  /** Told of errors that are not the client's. */
  readonly onError?: (error: Error) => void;
}

export interface ReportOptions extends PostReportOptions {
  /** Whoever sends it may list reports from anywhere. */
  readonly readToken?: string;
}

/** Larger bodies draw 413; a report has some hundred kilobytes at most. */
const MAX_BODY_BYTES = 1 << 20;

export function buildApp(options: AppOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    // A stop must not wait for idle clients.
    forceCloseConnections: true,
    requestTimeout: 10_000,
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
  });
  answerWithProblems(app, options.onError);
  takeJsonBodies(app);
  validateBySchema(app);
  app.register(async (routes) => {
    // First, since it describes the routes that come after it.
    await describeByOpenApi(routes);
    healthRoute(routes, options.health);
    if (options.reports !== undefined) {
      postReportRoute(routes, options.reports);
      readReportsRoutes(routes, options.reports.store, createReaderCheck(options.reports));
    }
  });
  return app;
}
