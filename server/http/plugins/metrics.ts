/** What the server has done since its start, in Prometheus' words. Each app has a registry of its own. */
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NatType } from '../../../shared/nat/behaviour.ts';
import { VERSION } from '../../../shared/version.ts';
import type { BusStatus } from '../../nats/broker-bus.ts';
import type { PairStatus } from '../../nats/open-pair.ts';
import type { LaneStatus } from '../../udp/open-udp.ts';
import type { BrowserCounts } from '../../udp/browser-classifier.ts';
import type { ReportSource } from '../../reports/report-store.ts';
import type { BrokerCounts } from '../broker-service.ts';
import { countLanes, describeLanes, type LaneCounts } from './lane-metrics.ts';
import { describeBus, describeNats } from './nats-metrics.ts';
import { describePair } from './pair-metrics.ts';
import type { LimitScope } from './rate-limits.ts';
import { counterReader, sample, samplesOf } from './read-counters.ts';
import { onRequestEnd } from './request-end.ts';

export interface Metrics {
  readonly registry: Registry;
  /** A report was kept. */
  readonly countReport: (source: ReportSource, verdict: NatType) => void;
  /** A request was refused, since its client, or that one's network, had asked too often. */
  readonly countRateLimited: (scope: LimitScope) => void;
  /** A connection was refused, since there were too many. */
  readonly countRefusedConnection: () => void;
}

/** Who counts, and is asked when somebody wants to know. */
export interface MetricsSources {
  readonly laneCounts: () => LaneCounts;
  readonly laneStatus?: (() => LaneStatus | undefined) | undefined;
  readonly browserCounts?: (() => BrowserCounts) | undefined;
  readonly brokerCounts?: (() => BrokerCounts) | undefined;
  readonly pairStatus?: (() => PairStatus) | undefined;
  readonly isNatsUp?: (() => boolean) | undefined;
  readonly busStatus?: (() => BusStatus) | undefined;
}

export function createMetrics(sources: MetricsSources): Metrics {
  const { laneCounts, laneStatus, browserCounts, brokerCounts, pairStatus, isNatsUp, busStatus } = sources;
  const registry = new Registry();
  const registers = [registry];
  new Gauge({ name: 'natprobed_info', help: 'Always 1', labelNames: ['version'], registers }).set(
    { version: VERSION },
    1,
  );
  // Of the process: CPU, memory, garbage collection, and by how much the event loop lags.
  collectDefaultMetrics({ register: registry });
  counterReader(registers)(
    'natprobed_event_loop_busy_seconds_total',
    'For how long the main thread has not been waiting; it answers all but what lanes do',
    [],
    () => [sample({}, performance.eventLoopUtilization().active / 1000)],
  );
  countLanes(laneCounts, registers);
  if (laneStatus !== undefined) describeLanes(laneStatus, registers);
  if (browserCounts !== undefined) countBrowsers(browserCounts, registers);
  if (brokerCounts !== undefined) countBroker(brokerCounts, registers);
  if (pairStatus !== undefined) describePair(pairStatus, registers);
  if (isNatsUp !== undefined) describeNats(isNatsUp, registers);
  if (busStatus !== undefined) describeBus(busStatus, registers);
  const reports = new Counter({
    name: 'natprobed_reports_total',
    help: 'Reports kept, by who measured and the verdict on their evidence',
    labelNames: ['source', 'verdict'],
    registers,
  });
  const rateLimited = new Counter({
    name: 'natprobed_http_rate_limited_total',
    help: 'Requests refused, since their client or its network had asked too often',
    labelNames: ['scope'],
    registers,
  });
  const refused = new Counter({
    name: 'natprobed_http_connections_refused_total',
    help: 'Connections refused, since there were too many',
    registers,
  });
  return {
    registry,
    countReport: (source, verdict) => reports.inc({ source, verdict }),
    countRateLimited: (scope) => rateLimited.inc({ scope }),
    countRefusedConnection: () => refused.inc(),
  };
}

/** Counts the requests of `app`, by route and status; to be called before the routes are added. */
export function countRequests(app: FastifyInstance, { registry }: Metrics): void {
  const labelNames = ['method', 'route', 'status'] as const;
  const registers = [registry];
  const requests = new Counter({
    name: 'natprobed_http_requests_total',
    help: 'HTTP requests, by the status of their answer, or aborted by the client before it was whole',
    labelNames,
    registers,
  });
  const seconds = new Histogram({
    name: 'natprobed_http_request_duration_seconds',
    help: 'From a request’s headers to the end of its answer',
    labelNames: ['method', 'route'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
    registers,
  });
  onRequestEnd(app, (request, reply, status) => {
    // Paths that are no route are anybody's to invent.
    const { url: route = 'none' } = request.routeOptions;
    const method = route === 'none' ? 'any' : request.method;
    requests.inc({ method, route, status });
    seconds.observe({ method, route }, reply.elapsedTime / 1000);
  });
}

function countBrowsers(counts: () => BrowserCounts, registers: Registry[]): void {
  const readCounter = counterReader(registers);
  new Gauge({
    name: 'natprobed_browser_sessions',
    help: 'Browsers that are being measured',
    registers,
    collect() {
      this.set(counts().live);
    },
  });
  readCounter(
    'natprobed_browser_sessions_total',
    'Measurings of browsers, and what became of them',
    ['event'],
    () => samplesOf({}, 'event', counts().sessions),
  );
  readCounter(
    'natprobed_browser_datagrams_total',
    'Datagrams that measured browsers, taken from them and sent to them',
    ['direction'],
    () => samplesOf({}, 'direction', counts().datagrams),
  );
}

function countBroker(counts: () => BrokerCounts, registers: Registry[]): void {
  for (const [name, help] of [
    ['connections', 'Connections to the broker'],
    ['peers', 'Names that the broker holds'],
  ] as const) {
    new Gauge({
      name: `natprobed_broker_${name}`,
      help,
      registers,
      collect() {
        this.set(counts()[name]);
      },
    });
  }
  const readCounter = counterReader(registers);
  readCounter(
    'natprobed_broker_events_total',
    'What befell peers of the broker, and their introductions',
    ['event'],
    () => samplesOf({}, 'event', counts().events),
  );
  readCounter(
    'natprobed_punches_total',
    'Punches that were planned, by what the peers have reported of them',
    ['transport', 'outcome'],
    () =>
      Object.entries(counts().punches).flatMap(([transport, outcomes]) =>
        samplesOf({ transport }, 'outcome', outcomes),
      ),
  );
}
