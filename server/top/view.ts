/** What `natprobed top` shows, in numbers: `--json` prints it, render.ts draws it. */
import { SERVER_ROLE_NAMES, type ServerRoleName } from '../../shared/role.ts';
import { Change, type Count, type LabelSet, type Reading, type Where } from './readings.ts';

export interface LaneView {
  readonly lane: string;
  /** The share of time in which it did not wait, 0 to 1. */
  readonly utilisation: number | undefined;
  readonly datagrams: Count;
  readonly kernelDrops: Count;
}

/** How it stands with NATS, and with the brokers of other servers over it. */
export interface NatsView {
  readonly isUp: boolean;
  /** Whether names can be claimed; undefined where the broker shares none. */
  readonly hasNames: boolean | undefined;
  /** Questions to other brokers, by what became of them. */
  readonly requests: Counts;
}

/** The host that has the other address. */
export interface PairView {
  readonly isThere: boolean;
  readonly roundTripSeconds: number;
  /** Answers for it to send, and from it, by what became of them. */
  readonly relays: Counts;
}

export type Counts = Readonly<Record<string, Count>>;

export interface TopView {
  readonly schema: 'natprobed/top@1';
  readonly version: string;
  readonly upSeconds: number | undefined;
  /** Between the two readings that the rates are of; undefined with one. */
  readonly intervalSeconds: number | undefined;
  readonly udp: {
    readonly messages: Count;
    readonly requestBytes: Count;
    readonly answerBytes: Count;
    /** Datagrams that the system took. */
    readonly sent: Count;
    /** By kind, then by the role that the request came in on. */
    readonly answers: Readonly<Record<string, Readonly<Record<ServerRoleName, Count>>>>;
    /** By reason: what drew no answer, or whose answer was not sent. `kernel` is absent where it doesn't tell. */
    readonly drops: Counts;
  };
  /** None where the main thread answers UDP. */
  readonly lanes: readonly LaneView[];
  readonly laneRestarts: Count;
  readonly mainThread: { readonly utilisation: number | undefined; readonly lagSeconds: number | undefined };
  /** STUN over TCP and TLS. */
  readonly tcp: {
    readonly messages: Count;
    readonly drops: Count;
    readonly events: Counts;
    readonly dials: Count;
  };
  /** But for /metrics. */
  readonly http: {
    readonly requests: Count;
    /** By the hundreds of their status, 4xx say, or aborted. */
    readonly statuses: Counts;
    readonly meanSeconds: number | undefined;
    readonly rateLimited: Count;
    readonly refusedConnections: Count;
  };
  readonly broker: {
    readonly connections: number;
    readonly peers: number;
    readonly events: Counts;
    /** By how they ended. */
    readonly punches: Counts;
  };
  /** With --nats. */
  readonly nats?: NatsView;
  /** With --pair. */
  readonly pair?: PairView;
  readonly browsers: { readonly live: number; readonly events: Counts };
  readonly reports: Count;
  readonly process: {
    /** Seconds of CPU time a second. */
    readonly cpu: number | undefined;
    readonly residentBytes: number | undefined;
    readonly heapBytes: number | undefined;
    readonly openFiles: number | undefined;
  };
}

const isUdp: Where = (labels) => labels.get('transport') === 'udp';
const isStream: Where = (labels) => !isUdp(labels);
/** Whoever looks at metrics would see themselves. */
const isNoScrape: Where = (labels) => labels.get('route') !== '/metrics';
/** Outcomes of datagrams that the system took. */
const SENT: readonly string[] = ['responses', 'receipts', 'ice'];
const isSent: Where = (labels) => SENT.includes(labels.get('outcome') ?? '');

/** `nowSeconds` since 1970, by this machine's clock. */
export function readView(before: Reading | undefined, after: Reading, nowSeconds: number): TopView {
  const change = new Change(before, after);
  const { startedAt } = after;
  return {
    schema: 'natprobed/top@1',
    version: after.version ?? '',
    upSeconds: startedAt === undefined ? undefined : Math.max(0, nowSeconds - startedAt),
    intervalSeconds: change.seconds,
    udp: readUdp(change),
    lanes: readLanes(change),
    laneRestarts: change.count('natprobed_udp_lane_restarts_total'),
    mainThread: {
      utilisation: shareOf(change.count('natprobed_event_loop_busy_seconds_total')),
      lagSeconds: after.value('nodejs_eventloop_lag_p99_seconds'),
    },
    tcp: {
      messages: change.count('natprobed_messages_total', isStream),
      drops: change.count('natprobed_drops_total', isStream),
      events: countsBy(change, 'natprobed_tcp_events_total', 'event'),
      dials: change.count('natprobed_tcp_dials_total'),
    },
    http: readHttp(change),
    broker: {
      connections: after.value('natprobed_broker_connections') ?? 0,
      peers: after.value('natprobed_broker_peers') ?? 0,
      events: countsBy(change, 'natprobed_broker_events_total', 'event'),
      punches: countsBy(change, 'natprobed_punches_total', 'outcome'),
    },
    ...readTogether(change),
    browsers: {
      live: after.value('natprobed_browser_sessions') ?? 0,
      events: countsBy(change, 'natprobed_browser_sessions_total', 'event'),
    },
    reports: change.count('natprobed_reports_total'),
    process: {
      cpu: change.count('process_cpu_seconds_total').perSecond,
      residentBytes: after.value('process_resident_memory_bytes'),
      heapBytes: after.value('nodejs_heap_size_used_bytes'),
      openFiles: after.value('process_open_fds'),
    },
  };
}

function readUdp(change: Change): TopView['udp'] {
  const answers = 'natprobed_answers_total';
  const kinds = change.countBy(answers, valueOf('kind'), isUdp).keys();
  const byRole = (kind: string): Record<ServerRoleName, Count> => {
    const isOf =
      (role: string): Where =>
      (labels) =>
        isUdp(labels) && labels.get('kind') === kind && labels.get('role') === role;
    const roles = SERVER_ROLE_NAMES.map((role) => [role, change.count(answers, isOf(role))]);
    return Object.fromEntries(roles) as Record<ServerRoleName, Count>;
  };
  const kernel = 'natprobed_udp_kernel_drops_total';
  const unsent = change.countBy(
    'natprobed_udp_sends_total',
    (labels) => (labels.get('outcome') === 'errors' ? 'send-errors' : (labels.get('outcome') ?? '')),
    (labels) => !isSent(labels),
  );
  return {
    messages: change.count('natprobed_messages_total', isUdp),
    requestBytes: change.count('natprobed_request_bytes_total', isUdp),
    answerBytes: change.count('natprobed_answer_bytes_total', isUdp),
    sent: change.count('natprobed_udp_sends_total', isSent),
    answers: Object.fromEntries(Array.from(kinds, (kind) => [kind, byRole(kind)])),
    drops: {
      ...(change.after.find(kernel).length > 0 && { kernel: change.count(kernel) }),
      ...countsBy(change, 'natprobed_drops_total', 'reason', isUdp),
      ...Object.fromEntries(unsent),
    },
  };
}

function readLanes(change: Change): LaneView[] {
  const busy = change.countBy('natprobed_udp_lane_busy_seconds_total', valueOf('lane'));
  return Array.from(busy, ([lane, seconds]) => {
    const isOf: Where = (labels) => labels.get('lane') === lane;
    return {
      lane,
      utilisation: shareOf(seconds),
      datagrams: change.count('natprobed_udp_lane_datagrams_total', isOf),
      kernelDrops: change.count('natprobed_udp_lane_kernel_drops_total', isOf),
    };
  });
}

/** Seconds a second; the clocks of both ends are read at moments of their own, so that it may come out above 1. */
function shareOf({ perSecond }: Count): number | undefined {
  return perSecond === undefined ? undefined : Math.min(1, perSecond);
}

function readHttp(change: Change): TopView['http'] {
  const duration = 'natprobed_http_request_duration_seconds';
  const { perSecond: took } = change.count(`${duration}_sum`, isNoScrape);
  const { perSecond: ended } = change.count(`${duration}_count`, isNoScrape);
  const statuses = change.countBy('natprobed_http_requests_total', statusClass, isNoScrape);
  return {
    requests: change.count('natprobed_http_requests_total', isNoScrape),
    statuses: Object.fromEntries([...statuses].sort(([a], [b]) => a.localeCompare(b))),
    meanSeconds: took === undefined || ended === undefined || ended === 0 ? undefined : took / ended,
    rateLimited: change.count('natprobed_http_rate_limited_total'),
    refusedConnections: change.count('natprobed_http_connections_refused_total'),
  };
}

function readTogether(change: Change): Pick<TopView, 'nats' | 'pair'> {
  const { after } = change;
  const isUp = after.value('natprobed_nats_up');
  const names = after.value('natprobed_broker_names_up');
  const partner = after.value('natprobed_pair_partner');
  return {
    ...(isUp !== undefined && {
      nats: {
        isUp: isUp === 1,
        hasNames: names === undefined ? undefined : names === 1,
        requests: countsBy(change, 'natprobed_broker_bus_requests_total', 'outcome'),
      },
    }),
    ...(partner !== undefined && {
      pair: {
        isThere: partner === 1,
        roundTripSeconds: after.value('natprobed_pair_round_trip_seconds') ?? 0,
        relays: countsBy(change, 'natprobed_pair_relays_total', 'outcome'),
      },
    }),
  };
}

/** `404` is one of the `4xx`. */
function statusClass(labels: LabelSet): string {
  const status = labels.get('status') ?? '';
  return /^\d{3}$/.test(status) ? `${status[0]!}xx` : status;
}

function valueOf(label: string): (labels: LabelSet) => string {
  return (labels) => labels.get(label) ?? '';
}

function countsBy(change: Change, name: string, label: string, where?: Where): Counts {
  return Object.fromEntries(change.countBy(name, valueOf(label), where));
}
