/** The HTTP side: builds the Fastify app, which tests call with inject() and the server listens with. */
import { type FastifyInstance, fastify } from 'fastify';
import { takeJsonBodies } from './plugins/json-body.ts';
import { countRequests, createMetrics, type LaneCounts } from './plugins/metrics.ts';
import { describeByOpenApi } from './plugins/openapi.ts';
import { answerClientError, answerFrameworkError, answerWithProblems } from './plugins/problems.ts';
import { createReaderCheck } from './plugins/readers.ts';
import { validateBySchema } from './plugins/validation.ts';
import { type BrowserMeasurer, browserRoutes } from './routes/browser.ts';
import { type HealthOptions, healthRoutes } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';
import { pageRoutes } from './routes/page.ts';
import { postReportRoute, type PostReportOptions } from './routes/post-report.ts';
import { preflightRoute, type PreflightOptions } from './routes/preflight.ts';
import { predictRoute } from './routes/predict.ts';
import { readReportsRoutes } from './routes/read-reports.ts';
import { statisticsRoute } from './routes/statistics.ts';

export interface AppOptions extends HealthOptions {
  readonly laneCounts: () => LaneCounts;
  readonly reports: ReportOptions;
  /** Measures browsers; without it there is no page that does. */
  readonly browsers?: BrowserMeasurer;
  /** Told of errors that are not the client's. */
  readonly onError?: (error: Error) => void;
}

export interface ReportOptions extends Omit<PostReportOptions, 'countReport'>, PreflightOptions {
  /** Whoever sends it may list reports from anywhere. */
  readonly readToken?: string;
}

/** Larger bodies draw 413; a report has some hundred kilobytes at most. */
const MAX_BODY_BYTES = 2 << 20;

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
  const metrics = createMetrics(options.laneCounts);
  countRequests(app, metrics);
  app.register(async (routes) => {
    // First, since it describes the routes that come after it.
    await describeByOpenApi(routes);
    healthRoutes(routes, options);
    metricsRoute(routes, metrics);
    predictRoute(routes);
    postReportRoute(routes, { ...options.reports, countReport: metrics.countReport });
    if (options.browsers !== undefined) {
      const { browsers, reports } = options;
      browserRoutes(routes, { ...reports, browsers, countReport: metrics.countReport });
      pageRoutes(routes);
    }
    readReportsRoutes(routes, options.reports.store, createReaderCheck(options.reports));
    preflightRoute(routes, options.reports);
    statisticsRoute(routes, options.reports.store);
  });
  return app;
}
