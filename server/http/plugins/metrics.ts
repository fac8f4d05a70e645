/** What the server has done since its start, in Prometheus' words. Each app has a registry of its own. */
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Family } from '../../../shared/endpoint.ts';
import type { NatType } from '../../../shared/nat/behaviour.ts';
import { VERSION } from '../../../shared/version.ts';
import type { AnswerCounts } from '../../answer/answer-counters.ts';
import type { FamilyCounts, StreamCounts } from '../../family-counts.ts';
import type { LaneStatus } from '../../udp/open-udp.ts';
import type { BrowserCounts } from '../../udp/browser-classifier.ts';
import type { ReportSource } from '../../reports/report-store.ts';
import type { BrokerCounts } from '../broker-service.ts';
import type { LimitScope } from './rate-limits.ts';
import { onRequestEnd } from './request-end.ts';

/** Of the families served. */
export type LaneCounts = readonly (readonly [Family, FamilyCounts])[];

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
}

export function createMetrics(sources: MetricsSources): Metrics {
  const { laneCounts, laneStatus, browserCounts, brokerCounts } = sources;
  const registry = new Registry();
  const registers = [registry];
  new Gauge({ name: 'natprobed_info', help: 'Always 1', labelNames: ['version'], registers }).set(
    { version: VERSION },
    1,
  );
  // Of the process: CPU, memory, garbage collection, and by how much the event loop lags.
  collectDefaultMetrics({ register: registry });
  countLanes(laneCounts, registers);
  if (laneStatus !== undefined) describeLanes(laneStatus, registers);
  if (browserCounts !== undefined) countBrowsers(browserCounts, registers);
  if (brokerCounts !== undefined) countBroker(brokerCounts, registers);
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

/** The lanes count for themselves, in arrays made for speed: they are read when somebody asks. */
function countLanes(laneCounts: () => LaneCounts, registers: Registry[]): void {
  const readCounter = counterReader(registers);
  readCounter(
    'natprobed_answers_total',
    'STUN answers worked out',
    ['family', 'transport', 'kind', 'role'],
    () =>
      eachTransport(({ answers }, labels) =>
        Object.entries(answers).flatMap(([kind, roles]) =>
          Object.entries(roles).map(([role, count]) => sample({ ...labels, kind, role }, count)),
        ),
      ),
  );
  readCounter('natprobed_drops_total', 'Messages that drew nothing', ['family', 'transport', 'reason'], () =>
    eachTransport(({ drops }, labels) =>
      Object.entries(drops).map(([reason, count]) => sample({ ...labels, reason }, count)),
    ),
  );
  readCounter('natprobed_udp_sends_total', 'Datagrams, and what became of them', ['family', 'outcome'], () =>
    laneCounts().flatMap(([family, { udp }]) => samplesOf({ family }, 'outcome', udp.sends)),
  );
  readCounter(
    'natprobed_udp_kernel_drops_total',
    'Datagrams that the kernel dropped before they were read',
    ['family'],
    () =>
      laneCounts().flatMap(([family, { udp }]) =>
        udp.kernelDrops === undefined ? [] : [sample({ family }, udp.kernelDrops)],
      ),
  );
  readCounter(
    'natprobed_tcp_events_total',
    'STUN connections, and what became of them',
    ['family', 'transport', 'event'],
    () => eachStream(({ connections }, labels) => samplesOf(labels, 'event', connections)),
  );
  readCounter(
    'natprobed_tcp_dials_total',
    'Dial-backs, by how they ended',
    ['family', 'transport', 'outcome'],
    () => eachStream(({ dials }, labels) => samplesOf(labels, 'outcome', dials)),
  );

  function eachTransport(read: (counts: AnswerCounts, labels: Labels) => Sample[]): Sample[] {
    return [
      ...laneCounts().flatMap(([family, { udp }]) => read(udp, { family, transport: 'udp' })),
      ...eachStream(read),
    ];
  }

  function eachStream(read: (counts: StreamCounts, labels: Labels) => Sample[]): Sample[] {
    return laneCounts().flatMap(([family, { tcp, tls }]) => [
      ...read(tcp, { family, transport: 'tcp' }),
      ...(tls === undefined ? [] : read(tls, { family, transport: 'tls' })),
    ]);
  }
}

function describeLanes(status: () => LaneStatus | undefined, registers: Registry[]): void {
  new Gauge({
    name: 'natprobed_udp_lanes',
    help: 'Threads that answer UDP; 0 where the main one does, by node:dgram',
    registers,
    collect() {
      this.set(status()?.lanes ?? 0);
    },
  });
  counterReader(registers)(
    'natprobed_udp_lane_restarts_total',
    'Threads that answered UDP, died and were started again',
    [],
    () => [sample({}, status()?.restarts ?? 0)],
  );
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
  counterReader(registers)(
    'natprobed_broker_events_total',
    'What befell peers of the broker, and their introductions',
    ['event'],
    () => samplesOf({}, 'event', counts().events),
  );
}

type ReadCounter = (name: string, help: string, labelNames: string[], read: () => Sample[]) => void;

/** Adds counters whose values are read when somebody asks. */
function counterReader(registers: Registry[]): ReadCounter {
  return (name, help, labelNames, read) => {
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { labels, count } of read()) this.inc(labels, count);
      },
    });
  };
}

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly labels: Labels;
  readonly count: number;
}

function sample(labels: Labels, count: number): Sample {
  return { labels, count };
}

/** `queueFull` becomes `queue-full`, as labels are written elsewhere. */
function samplesOf(labels: Labels, label: string, counts: object): Sample[] {
  return Object.entries(counts as Record<string, number>).map(([name, count]) =>
    sample({ ...labels, [label]: name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`) }, count),
  );
}
