/** The HTTP side: builds the Fastify app, which tests call with inject() and the server listens with. */
import type { IncomingMessage } from 'node:http';
import type { SecureContextOptions } from 'node:tls';
import { type FastifyInstance, fastify } from 'fastify';
import type { NatType } from '../../shared/nat/behaviour.ts';
import { type Log, SILENT_LOG } from '../log.ts';
import { isLoopback } from '../local-addresses.ts';
import type { BusStatus } from '../nats/broker-bus.ts';
import type { PairStatus } from '../nats/open-pair.ts';
import type { PunchStore } from '../punches/punch-store.ts';
import type { LaneStatus } from '../udp/open-udp.ts';
import type { BrowserCounts } from '../udp/browser-classifier.ts';
import {
  type HttpConnectionLimits,
  limitConnections,
  MAX_REQUESTS_PER_SOCKET,
  drainOnClose,
  REQUEST_TIMEOUT_MS,
  STALL_TIMEOUT_MS,
  TIMEOUT_CHECK_MS,
} from './plugins/connections.ts';
import { allowOrigins } from './plugins/cors.ts';
import { takeJsonBodies } from './plugins/json-body.ts';
import type { LaneCounts } from './plugins/lane-metrics.ts';
import { logRequests } from './plugins/log-requests.ts';
import { countRequests, createMetrics } from './plugins/metrics.ts';
import { describeByOpenApi } from './plugins/openapi.ts';
import { answerClientError, answerFrameworkError, answerWithProblems } from './plugins/problems.ts';
import { limitRates } from './plugins/rate-limits.ts';
import { createReaderCheck } from './plugins/readers.ts';
import { setSecurityHeaders } from './plugins/security-headers.ts';
import { validateBySchema } from './plugins/validation.ts';
import type { BrokerService } from './broker-service.ts';
import { BROKER_PATH, brokerRoute } from './routes/broker.ts';
import { type BrowserMeasurer, browserRoutes } from './routes/browser.ts';
import { exportRoute } from './routes/export.ts';
import { type HealthOptions, healthRoutes } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';
import { assetRoutes, pageRoutes } from './routes/page.ts';
import { postReportRoute, type PostReportOptions } from './routes/post-report.ts';
import { preflightRoute, type PreflightOptions } from './routes/preflight.ts';
import { predictRoute } from './routes/predict.ts';
import { readReportsRoutes } from './routes/read-reports.ts';
import { statisticsRoute } from './routes/statistics.ts';
import { type AccessSettings, readAccessSettings } from './settings.ts';

export interface AppOptions extends HealthOptions {
  readonly laneCounts: () => LaneCounts;
  /** What answers UDP, once something does. */
  readonly laneStatus?: () => LaneStatus | undefined;
  /** How it stands with the host that this one is paired with. */
  readonly pairStatus?: () => PairStatus;
  /** Whether NATS is connected. */
  readonly isNatsUp?: () => boolean;
  /** Of the bus between brokers. */
  readonly busStatus?: () => BusStatus;
  readonly reports: ReportOptions;
  /** Measures browsers; without it there is no page that does. */
  readonly browsers?: BrowserMeasurer;
  readonly browserCounts?: () => BrowserCounts;
  /** Introduces peers to each other; the app closes it. */
  readonly broker?: BrokerService;
  /** Whose statistics are shown. */
  readonly punches?: PunchStore;
  /** Who may ask, and how often; by default as natprobed without flags. */
  readonly access?: AccessSettings;
  readonly connectionLimits?: HttpConnectionLimits;
  /** Whoever sends one may read all reports, and the metrics, from anywhere. */
  readonly tokens?: readonly string[];
  /** Serves HTTPS. */
  readonly tls?: SecureContextOptions;
  /** Told of each request. */
  readonly log?: Log;
  /** Told of errors that are not the client's. */
  readonly onError?: (error: Error) => void;
}

export type ReportOptions = Omit<PostReportOptions, 'countReport'> & PreflightOptions;

/** Larger bodies draw 413; a report has some hundred kilobytes at most. */
const MAX_BODY_BYTES = 2 << 20;

export function buildApp(options: AppOptions): FastifyInstance {
  const { access = readAccessSettings({}), reports, tls } = options;
  const { isTrustedProxy, rateLimits } = access;
  const http = {
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    // Elsewhere an offer to upgrade is no reason not to answer.
    shouldUpgradeCallback: ({ url = '' }: IncomingMessage) =>
      options.broker !== undefined && url.split('?')[0] === BROKER_PATH,
  };
  const app = fastify({
    bodyLimit: MAX_BODY_BYTES,
    // A stop waits for the requests under way, but not for idle clients.
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    connectionTimeout: STALL_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    maxRequestsPerSocket: MAX_REQUESTS_PER_SOCKET,
    trustProxy: isTrustedProxy ?? false,
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
    ...(tls === undefined ? { http } : { https: { ...http, ...tls } }),
    // Both kinds of server are used alike.
  }) as unknown as FastifyInstance;
  const { browsers, broker } = options;
  const metrics = createMetrics({ ...options, brokerCounts: broker && (() => broker.counts()) });
  const handOver = limitConnections(app, {
    isExempt: (address) => isLoopback(address) || isTrustedProxy?.(address) === true,
    countRefused: metrics.countRefusedConnection,
    ...(options.connectionLimits && { limits: options.connectionLimits }),
  });
  answerWithProblems(app, options.onError);
  takeJsonBodies(app);
  validateBySchema(app);
  countRequests(app, metrics);
  logRequests(app, options.log ?? SILENT_LOG, access.loggedAddresses);
  setSecurityHeaders(app, { tls: tls !== undefined });
  allowOrigins(app, access.corsOrigins);
  drainOnClose(app, tls !== undefined);
  const checkReader = createReaderCheck({
    tokens: options.tokens ?? [],
    ...(isTrustedProxy && { isTrustedProxy }),
    ...(reports.publicUrl !== undefined && { publicUrl: reports.publicUrl }),
  });
  app.register(async (routes) => {
    // First, since it describes the routes that come after it.
    await describeByOpenApi(routes);
    if (rateLimits) limitRates(routes, { limits: rateLimits, countLimited: metrics.countRateLimited });
    healthRoutes(routes, options);
    metricsRoute(routes, metrics, access.metricsPublic ? undefined : checkReader);
    predictRoute(routes);
    const countReport = (type: NatType): void => metrics.countReport('probe', type);
    postReportRoute(routes, { ...reports, countReport });
    if (browsers !== undefined) {
      const countBrowser = (type: NatType): void => metrics.countReport('browser', type);
      browserRoutes(routes, { ...reports, browsers, countReport: countBrowser });
      pageRoutes(routes, { ...options, ...reports });
    }
    assetRoutes(routes);
    readReportsRoutes(routes, reports.store, checkReader);
    exportRoute(routes, reports.store, checkReader);
    preflightRoute(routes, reports);
    statisticsRoute(routes, reports.store, options.punches);
    if (broker !== undefined) brokerRoute(routes, { broker, origins: access.corsOrigins, handOver });
  });
  return app;
}
