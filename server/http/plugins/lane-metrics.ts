/** What the lanes have done, in Prometheus' words. They count for themselves, in arrays made for speed. */
import { Gauge, type Registry } from 'prom-client';
import type { Family } from '../../../shared/endpoint.ts';
import type { AnswerCounts } from '../../answer/answer-counters.ts';
import type { FamilyCounts, StreamCounts } from '../../family-counts.ts';
import type { LaneLoad, LaneStatus } from '../../udp/open-udp.ts';
import { counterReader, type Labels, type Sample, sample, samplesOf } from './read-counters.ts';

/** Of the families served. */
export type LaneCounts = readonly (readonly [Family, FamilyCounts])[];

export function countLanes(laneCounts: () => LaneCounts, registers: Registry[]): void {
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
  for (const [name, help, key] of [
    ['messages', 'Messages that came, whatever became of them', 'messages'],
    ['request_bytes', 'Bytes of the messages that came', 'requestBytes'],
    ['answer_bytes', 'Bytes of the answers worked out', 'answerBytes'],
  ] as const) {
    readCounter(`natprobed_${name}_total`, help, ['family', 'transport'], () =>
      eachTransport(({ traffic }, labels) => [sample(labels, traffic[key])]),
    );
  }
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

export function describeLanes(status: () => LaneStatus | undefined, registers: Registry[]): void {
  new Gauge({
    name: 'natprobed_udp_lanes',
    help: 'Threads that answer UDP; 0 where the main one does, by node:dgram',
    registers,
    collect() {
      this.set(status()?.lanes ?? 0);
    },
  });
  const readCounter = counterReader(registers);
  readCounter(
    'natprobed_udp_lane_restarts_total',
    'Threads that answered UDP, died and were started again',
    [],
    () => [sample({}, status()?.restarts ?? 0)],
  );
  for (const [name, help, read] of [
    [
      'busy_seconds',
      'For how long a thread has not been waiting for datagrams',
      ({ busyMs }) => busyMs / 1000,
    ],
    ['datagrams', 'Datagrams that a thread has read', ({ datagrams }) => datagrams],
    [
      'kernel_drops',
      'Datagrams that the kernel dropped before a thread read them',
      ({ kernelDrops }) => kernelDrops,
    ],
  ] as const satisfies readonly (readonly [string, string, (load: LaneLoad) => number])[]) {
    readCounter(`natprobed_udp_lane_${name}_total`, help, ['lane'], () =>
      (status()?.loads ?? []).map((load, index) => sample({ lane: String(index + 1) }, read(load))),
    );
  }
}
