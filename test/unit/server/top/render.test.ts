/** What `natprobed top` shows, from two texts of metrics to the lines of a terminal. */
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { cutLine } from '../../../../server/top/cut-line.ts';
import { formatAmount, formatBytes, formatSpan } from '../../../../server/top/numbers.ts';
import { Reading } from '../../../../server/top/readings.ts';
import { COLUMNS, renderTop } from '../../../../server/top/render.ts';
import { readView, type TopView } from '../../../../server/top/view.ts';
import { decideStyle, PLAIN } from '../../../../shared/style.ts';

const COLOURED = decideStyle(true, {}, true);
const STARTED_AT = 1_700_000_000;
const KINDS = ['binding', 'change', 'response-port', 'padding', 'receipt', 'witness', 'unknown-attribute'];
const REASONS = [
  'not-stun',
  'malformed',
  'not-request',
  'port-zero',
  'own-endpoint',
  'rate-limit',
  'amplification',
];

interface World {
  /** Whatever is counted has been counted so often. */
  readonly times: number;
  readonly lanes: number;
  readonly startedAt?: number;
  /** Lines that only some servers have. */
  readonly more?: readonly string[];
}

const NATS = [
  'natprobed_nats_up 1',
  'natprobed_broker_names_up 1',
  'natprobed_broker_bus_requests_total{kind="seek",outcome="answered"} 12',
  'natprobed_broker_bus_requests_total{kind="check",outcome="answered"} 3',
  'natprobed_broker_bus_requests_total{kind="seek",outcome="unanswered"} 1',
];
const PAIR = [
  'natprobed_nats_up 1',
  'natprobed_pair_partner 1',
  'natprobed_pair_round_trip_seconds 0.0021',
  'natprobed_pair_relays_total{direction="asked",outcome="sent"} 4',
  'natprobed_pair_relays_total{direction="served",outcome="sent"} 5',
];
const lost = (lines: readonly string[]): string[] =>
  lines.map((line) => line.replace(/(_up|_partner) 1$/, '$1 0'));

function metricsOf({ times, lanes, startedAt = STARTED_AT, more = [] }: World): string {
  const udp = 'family="ipv4",transport="udp"';
  const lines = [
    'natprobed_info{version="1.2.3"} 1',
    `process_start_time_seconds ${startedAt}`,
    `natprobed_messages_total{${udp}} ${123_456 * times}`,
    `natprobed_messages_total{family="ipv4",transport="tcp"} ${12 * times}`,
    `natprobed_request_bytes_total{${udp}} ${2_600_000 * times}`,
    `natprobed_answer_bytes_total{${udp}} ${8_398_000 * times}`,
    ...KINDS.flatMap((kind, index) =>
      ['PP', 'PA', 'AP', 'AA'].map(
        (role, place) =>
          `natprobed_answers_total{${udp},kind="${kind}",role="${role}"} ${index > 4 ? 0 : times * 10 ** (4 - index - place)}`,
      ),
    ),
    ...REASONS.map(
      (reason, index) => `natprobed_drops_total{${udp},reason="${reason}"} ${index % 2 ? 0 : 70 * times}`,
    ),
    `natprobed_udp_sends_total{family="ipv4",outcome="responses"} ${123_300 * times}`,
    `natprobed_udp_sends_total{family="ipv4",outcome="receipts"} ${100 * times}`,
    `natprobed_udp_sends_total{family="ipv4",outcome="errors"} 0`,
    `natprobed_udp_sends_total{family="ipv4",outcome="queue-full"} 3`,
    `natprobed_udp_kernel_drops_total{family="ipv4"} ${5 * times}`,
    `natprobed_udp_lanes ${lanes}`,
    'natprobed_udp_lane_restarts_total 1',
    ...Array.from({ length: lanes }, (_, lane) => [
      `natprobed_udp_lane_busy_seconds_total{lane="${lane + 1}"} ${(0.43 + 0.24 * (lane % 3)) * times}`,
      `natprobed_udp_lane_datagrams_total{lane="${lane + 1}"} ${61_728 * times}`,
      `natprobed_udp_lane_kernel_drops_total{lane="${lane + 1}"} ${lane === 1 ? 5 * times : 0}`,
    ]).flat(),
    `natprobed_event_loop_busy_seconds_total ${0.12 * times}`,
    'nodejs_eventloop_lag_p99_seconds 0.0102',
    `natprobed_tcp_events_total{family="ipv4",transport="tcp",event="accepted"} ${12 * times}`,
    `natprobed_tcp_events_total{family="ipv4",transport="tcp",event="refused"} 0`,
    `natprobed_http_requests_total{method="POST",route="/classify",status="201"} ${4 * times}`,
    `natprobed_http_requests_total{method="POST",route="/classify",status="429"} ${2 * times}`,
    `natprobed_http_requests_total{method="GET",route="/metrics",status="200"} ${times}`,
    `natprobed_http_request_duration_seconds_sum{method="POST",route="/classify"} ${0.03 * times}`,
    `natprobed_http_request_duration_seconds_count{method="POST",route="/classify"} ${6 * times}`,
    `natprobed_http_request_duration_seconds_sum{method="GET",route="/metrics"} ${9 * times}`,
    `natprobed_http_request_duration_seconds_count{method="GET",route="/metrics"} ${times}`,
    `natprobed_http_rate_limited_total{scope="client"} ${2 * times}`,
    'natprobed_broker_connections 14',
    'natprobed_broker_peers 12',
    `natprobed_broker_events_total{event="joined"} ${12 * times}`,
    'natprobed_broker_events_total{event="lost"} 0',
    `natprobed_punches_total{transport="udp",outcome="open"} ${times}`,
    `natprobed_punches_total{transport="tcp",outcome="open"} ${times}`,
    'natprobed_punches_total{transport="tcp",outcome="failed"} 1',
    `natprobed_reports_total{source="probe",verdict="symmetric"} ${4 * times}`,
    'natprobed_browser_sessions 2',
    `natprobed_browser_sessions_total{event="begun"} ${times}`,
    `process_cpu_seconds_total ${1.2345 * times}`,
    'process_resident_memory_bytes 123456789',
    'nodejs_heap_size_used_bytes 45678901',
    'process_open_fds 48',
    ...more,
  ];
  return `${lines.join('\n')}\n`;
}

function viewOf(before: World | undefined, after: World): TopView {
  const read = (world: World, atMs: number): Reading => Reading.parse(metricsOf(world), atMs)!;
  return readView(before && read(before, 5000), read(after, 7000), STARTED_AT + 270_245);
}

/** Two seconds in which all was counted twice more: rates are those of one. */
const BUSY = viewOf({ times: 10, lanes: 2 }, { times: 12, lanes: 2 });
const at = { server: 'http://127.0.0.1:8478', notice: '', style: PLAIN };

describe('natprobed top', () => {
  it('draws all there is on 24 lines of 79 columns', () => {
    const lines = renderTop(BUSY, at);
    expect(lines.join('\n')).toMatchInlineSnapshot(`
      "natprobed 1.2.3 at http://127.0.0.1:8478      up 3 d 03:04:05, rates over 2.0 s
      UDP      in 123.5k/s  2.600 MB/s  out 123.4k/s  8.398 MB/s  bytes out/in 3.23

      answers/s              PP      PA      AP      AA   no answer         /s    all
      binding            10,000   1,000     100      10   kernel             5     60
      change              1,000     100      10       1   not-stun          70    840
      response-port         100      10       1     0.1   malformed          0      0
      padding                10       1     0.1       0   not-request       70    840
      receipt                 1     0.1       0       0   own-endpoint      70    840
                                                          rate-limit         0      0
                                                          amplification     70    840
                                                          queue-full         0      3

      lane 1   [#########...........]  43 % 61,728/s      0/s lost, 1 restarts
      lane 2   [#############.......]  67 % 61,728/s      5/s lost
      main     [##..................]  12 %  late by 10.2 ms (99 %)
      process  1.23 cores, 123.5 MB resident, 45.68 MB heap, 48 files open
      TCP, TLS 12/s asked; accepted 144
      HTTP     6/s, 5.0 ms each; limited 2/s; 2xx 48, 4xx 24
      broker   peers 12, connections 14; joined 144
      punches  open 24, failed 1
      reports  48, 4/s; browsers 2, begun 12"
    `);
    expect(lines.length).toBeLessThanOrEqual(24);
  });

  it.each([0, 1, 4, 5, 64, 256])('fits with %i lanes, in colours too', (lanes) => {
    const lines = renderTop(viewOf({ times: 1, lanes }, { times: 3, lanes }), { ...at, style: COLOURED });
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(
      lines.map((line) => stripVTControlCharacters(line).length).filter((length) => length > COLUMNS),
    ).toEqual([]);
    const plain = renderTop(viewOf({ times: 1, lanes }, { times: 3, lanes }), at);
    expect(lines.map(stripVTControlCharacters)).toEqual(plain);
  });

  it.each([
    [NATS, 'NATS     connected; names there; asked: answered 15, unanswered 1'],
    [lost(NATS), 'NATS     lost; names lost; asked: answered 15, unanswered 1'],
    [PAIR, 'NATS     connected; partner in 2.1 ms; relays: sent 9'],
    [lost(PAIR), 'NATS     lost; partner lost; relays: sent 9'],
  ])(
    'says in a line how it stands with NATS and the partner, where the empty one is otherwise',
    (more, line) => {
      const lines = renderTop(viewOf(undefined, { times: 1, lanes: 4, more }), at);
      expect(lines.length).toBe(24);
      expect(lines[lines.findIndex((text) => text.startsWith('lane 1')) - 1]).toBe(line);
    },
  );

  it('draws many lanes as a digit each', () => {
    const lines = renderTop(viewOf({ times: 1, lanes: 12 }, { times: 3, lanes: 12 }), at);
    const start = lines.findIndex((line) => line.startsWith('lanes'));
    expect(lines.slice(start, start + 2)).toEqual([
      'lanes    12 in tenths, busiest 3: 91 %, 5/s lost, 1 restarts',
      '4X9469469469',
    ]);
  });

  it('has no rates of one reading, nor of two servers', () => {
    const started = STARTED_AT + 100;
    for (const view of [
      viewOf(undefined, { times: 12, lanes: 2 }),
      viewOf({ times: 10, lanes: 2 }, { times: 12, lanes: 2, startedAt: started }),
    ]) {
      expect(view.udp.messages).toEqual({ total: 12 * 123_456, perSecond: undefined });
      expect(view.lanes.map(({ utilisation }) => utilisation)).toEqual([undefined, undefined]);
      expect(renderTop(view, at)[0]).toMatch(/no rates yet$/);
    }
  });

  it('keeps its place and its terminal whatever a server says', () => {
    const text = metricsOf({ times: 3, lanes: 1 })
      .replace('version="1.2.3"', `version="\u001b[2J\\n${'x'.repeat(200)}"`)
      .replaceAll('kind="binding"', `kind="\u001b[31m${'k'.repeat(99)}"`)
      .replace('event="joined"', 'event="\u009b2J\u0007"');
    const reading = Reading.parse(text, 1000)!;
    const lines = renderTop(readView(undefined, reading, STARTED_AT), at);
    expect(lines.filter((line) => line.length > COLUMNS || /\p{Cc}/u.test(line))).toEqual([]);
  });

  it('is not for metrics of others', () => {
    expect(Reading.parse('up 1\n', 0)).toBeUndefined();
    expect(Reading.parse('<html></html>', 0)).toBeUndefined();
  });

  it('leaves whoever scrapes out of HTTP, and takes roles and transports apart', () => {
    expect(BUSY.http.requests).toEqual({ total: 72, perSecond: 6 });
    expect(BUSY.http.meanSeconds).toBeCloseTo(0.005);
    expect(BUSY.udp.answers['binding']).toMatchObject({ PP: { perSecond: 10_000 }, AA: { perSecond: 10 } });
    expect(BUSY.udp.drops['queue-full']).toEqual({ total: 3, perSecond: 0 });
    expect(BUSY.tcp.messages.perSecond).toBe(12);
  });
});

describe('amounts', () => {
  it('have six columns at most', () => {
    expect(
      [0, 0.04, 0.34, 7, 99.94, 99.96, 12_345.6, 99_999.4, 99_999.6, 123_456, 999_960, 1_234_567, 5e10].map(
        formatAmount,
      ),
    ).toEqual([
      '0',
      '0',
      '0.3',
      '7',
      '99.9',
      '100',
      '12,346',
      '99,999',
      '100.0k',
      '123.5k',
      '1.000M',
      '1.235M',
      '50.00G',
    ]);
    expect([0, 999.4, 999.6, 123_456_789].map(formatBytes)).toEqual(['0 B', '999 B', '1.000 kB', '123.5 MB']);
    expect([7.9, 61, 3600, 14_706, 273_906].map(formatSpan)).toEqual([
      '0:07',
      '1:01',
      '1:00:00',
      '4:05:06',
      '3 d 04:05:06',
    ]);
  });
});

describe('a line that is too long', () => {
  it('is cut by what is seen of it, and ends without colour', () => {
    expect(cutLine(`${COLOURED.bold('abc')}${COLOURED.bad('def')}`, 4)).toBe(
      `${COLOURED.bold('abc')}${COLOURED.bad('d')}`,
    );
    expect(cutLine('😀😀😀', 2)).toBe('😀😀');
  });
});
