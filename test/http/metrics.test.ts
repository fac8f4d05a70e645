import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { AnswerCounters } from '../../server/answer/answer-counters.ts';
import type { FamilyCounts } from '../../server/family-counts.ts';
import { createDialCounts } from '../../server/tcp/dial-back.ts';
import { BrokerService } from '../../server/http/broker-service.ts';
import type { BusStatus } from '../../server/nats/broker-bus.ts';
import type { PairStatus } from '../../server/nats/open-pair.ts';
import type { BrowserCounts } from '../../server/udp/browser-classifier.ts';
import type { LaneStatus } from '../../server/udp/open-udp.ts';
import { checkBrokerWitness } from '../../server/witness/check-witnesses.ts';
import { WitnessKeys } from '../../server/witness/witness-keys.ts';
import { BROKER_KEY } from '../support/broker.ts';
import { openTestApp, post, readSample } from './app.ts';

const counters = new AnswerCounters();
const counts = (): FamilyCounts => ({
  udp: {
    ...counters.snapshot(),
    sends: { responses: 3, receipts: 0, ice: 0, errors: 0, withheldReceipts: 0, queueFull: 2 },
    kernelDrops: 7,
  },
  tcp: {
    ...new AnswerCounters().snapshot(),
    connections: { accepted: 5, refused: 0, answers: 0, failed: 0, timedOut: 0, errors: 0 },
    dials: { ...createDialCounts(), connected: 4 },
  },
});

function pairOf(partner: PairStatus['partner']): PairStatus {
  const asked = { sent: 1, failed: 2, limited: 3, unacknowledged: 4, refused: 5 };
  return {
    name: 'nat-1',
    partner,
    roundTripMs: partner && 2,
    counts: { asked, served: { sent: 6, failed: 7, limited: 8 } },
  };
}

function busOf(hasNames: boolean): BusStatus {
  const seek = { answered: 1, nobody: 2, unanswered: 3 };
  const check = { answered: 4, nobody: 5, unanswered: 6 };
  return {
    hasNames,
    counts: { asked: { seek, check }, claims: { new: 7, resumed: 8, refused: 9, undecided: 10 } },
  };
}

const { app, close } = await openTestApp(
  {},
  {
    laneCounts: () => [['ipv4', counts()]],
    laneStatus: () => ({
      kind: 'batched',
      lanes: 2,
      restarts: 1,
      loads: [
        { busyMs: 2500, datagrams: 3, kernelDrops: 7 },
        { busyMs: 0, datagrams: 0, kernelDrops: 0 },
      ],
    }),
  },
);
afterAll(close);

async function metrics(): Promise<string[]> {
  const response = await app.inject('/metrics');
  expect(response.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  return response.body.split('\n');
}

it('GET /metrics tells what the lanes have done', async () => {
  counters.countAnswer('binding', 0, 60);
  counters.countDrop('not-stun');
  const lines = await metrics();
  expect(lines).toContain(
    'natprobed_answers_total{family="ipv4",transport="udp",kind="binding",role="PP"} 1',
  );
  expect(lines).toContain('natprobed_drops_total{family="ipv4",transport="udp",reason="not-stun"} 1');
  expect(lines).toContain('natprobed_udp_sends_total{family="ipv4",outcome="queue-full"} 2');
  expect(lines).toContain('natprobed_udp_kernel_drops_total{family="ipv4"} 7');
  expect(lines).toContain('natprobed_udp_lanes 2');
  expect(lines).toContain('natprobed_udp_lane_restarts_total 1');
  expect(lines).toContain('natprobed_udp_lane_busy_seconds_total{lane="1"} 2.5');
  expect(lines).toContain('natprobed_udp_lane_datagrams_total{lane="1"} 3');
  expect(lines).toContain('natprobed_udp_lane_kernel_drops_total{lane="2"} 0');
  expect(lines).toContain('natprobed_tcp_events_total{family="ipv4",transport="tcp",event="accepted"} 5');
  expect(lines).toContain('natprobed_tcp_dials_total{family="ipv4",transport="tcp",outcome="connected"} 4');
  counters.countAnswer('binding', 0, 60);
  expect(await metrics()).toContain(
    'natprobed_answers_total{family="ipv4",transport="udp",kind="binding",role="PP"} 2',
  );
});

it('GET /metrics tells what was asked over HTTP, and the verdicts of reports', async () => {
  await post(app, '/classify', readSample('symmetric'));
  await post(app, '/classify', '{}');
  await app.inject('/classify/unknown');
  await app.inject('/an/invented/path');
  const lines = await metrics();
  expect(lines).toContain('natprobed_reports_total{source="probe",verdict="symmetric"} 1');
  expect(lines).toContain('natprobed_http_requests_total{method="POST",route="/classify",status="201"} 1');
  expect(lines).toContain('natprobed_http_requests_total{method="POST",route="/classify",status="400"} 1');
  expect(lines).toContain('natprobed_http_requests_total{method="GET",route="/classify/:id",status="404"} 1');
  expect(lines).toContain('natprobed_http_requests_total{method="any",route="none",status="404"} 1');
  expect(lines.join('\n')).not.toContain('invented');
});

it('GET /metrics tells whether the partner is there, and what it was asked', async () => {
  let status = pairOf({});
  const { app: paired, close: closeIt } = await openTestApp({}, { pairStatus: () => status });
  const read = async (): Promise<string[]> => (await paired.inject('/metrics')).body.split('\n');
  const there = await read();
  expect(there).toContain('natprobed_pair_partner 1');
  expect(there).toContain('natprobed_pair_round_trip_seconds 0.002');
  expect(there).toContain('natprobed_pair_relays_total{direction="asked",outcome="unacknowledged"} 4');
  expect(there).toContain('natprobed_pair_relays_total{direction="served",outcome="sent"} 6');
  status = pairOf(undefined);
  const lost = await read();
  expect(lost).toContain('natprobed_pair_partner 0');
  expect(lost).toContain('natprobed_pair_round_trip_seconds 0');
  await closeIt();
});

it('GET /metrics tells whether NATS and the names of peers are there, and what brokers ask of each other', async () => {
  let isThere = true;
  const { app: joint, close: closeIt } = await openTestApp(
    {},
    { isNatsUp: () => isThere, busStatus: () => busOf(isThere) },
  );
  const read = async (): Promise<string[]> => (await joint.inject('/metrics')).body.split('\n');
  const there = await read();
  expect(there).toContain('natprobed_nats_up 1');
  expect(there).toContain('natprobed_broker_names_up 1');
  expect(there).toContain('natprobed_broker_bus_requests_total{kind="seek",outcome="unanswered"} 3');
  expect(there).toContain('natprobed_broker_bus_requests_total{kind="check",outcome="answered"} 4');
  expect(there).toContain('natprobed_broker_claims_total{outcome="undecided"} 10');
  isThere = false;
  const lost = await read();
  expect(lost).toContain('natprobed_nats_up 0');
  expect(lost).toContain('natprobed_broker_names_up 0');
  await closeIt();
  // Nothing of it where no NATS is used.
  expect((await metrics()).join('\n')).not.toMatch(/natprobed_(nats|broker_(names|bus|claims))_/);
});

it('documents every metric, with its type and labels', async () => {
  const keys = new WitnessKeys(BROKER_KEY);
  const broker = new BrokerService({
    checkWitness: (witness, nonce) => checkBrokerWitness(witness, nonce, keys, Date.now()),
  });
  const browserCounts = (): BrowserCounts => ({
    live: 0,
    sessions: { begun: 0, refused: 0, measured: 0, abandoned: 0 },
    datagrams: { taken: 0, sent: 0 },
  });
  const laneStatus = (): LaneStatus => ({
    kind: 'batched',
    lanes: 1,
    restarts: 0,
    loads: [{ busyMs: 0, datagrams: 0, kernelDrops: 0 }],
  });
  const pairStatus = (): PairStatus => pairOf(undefined);
  const { app: whole, close: closeIt } = await openTestApp(
    {},
    {
      ...{ laneCounts: () => [['ipv4', counts()]], laneStatus, broker, browserCounts, pairStatus },
      ...{ isNatsUp: () => true, busStatus: () => busOf(true) },
    },
  );
  const { body } = await whole.inject('/metrics');
  await closeIt();
  const types = [...body.matchAll(/^# TYPE (natprobed_\w+) (\w+)$/gm)].map(
    ([, name, type]) => `${name} ${type}`,
  );
  const table = readFileSync(new URL('../../deploy/METRICS.md', import.meta.url), 'utf8');
  const rows = [...table.matchAll(/^\| `(natprobed_\w+)` \| (\w+) \| ([\w, ]*)\|/gm)];
  expect(rows.map(([, name, type]) => `${name} ${type}`).sort()).toEqual(types.sort());
  const labels = new Map(rows.map(([, name, , list]) => [name, list!.trim()]));
  for (const [, name, list] of body.matchAll(/^(natprobed_\w+)\{(.*)\} /gm)) {
    const histogram = name!.replace(/_(bucket|sum|count)$/, '');
    if (labels.get(histogram) !== undefined && histogram !== name) continue;
    const used = [...list!.matchAll(/(\w+)="/g)].map((match) => match[1]);
    expect([name, used.join(', ')]).toEqual([name, labels.get(name)]);
  }
});

it('counts for each server by itself', async () => {
  const { app: other, close: closeIt } = await openTestApp();
  expect((await other.inject('/metrics')).body).not.toContain('natprobed_reports_total{');
  await closeIt();
});
