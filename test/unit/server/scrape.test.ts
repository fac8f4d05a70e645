/** A scrape of a running server's metrics says what it was sent, number by number. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { roleEndpoints } from '../../../server/config.ts';
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { createCertificate, createCertificateDirectory } from '../../support/certificates.ts';
import { askHttps, type HttpsAnswer } from '../../support/https.ts';
import { describeIf } from '../../support/requirements.ts';
import { missingPrograms } from '../../support/system-programs.ts';
import { readSample } from '../../http/app.ts';
import { request } from '../answer/exchange.ts';
import { findFreePorts, type LoopbackServer, startOnLoopback, UdpClient } from './loopback.ts';

describeIf(missingPrograms('openssl'))('the metrics of a running server', () => {
  const directory = createCertificateDirectory();
  let running: LoopbackServer;
  let tls: Endpoint;
  let ca: string;
  beforeAll(async () => {
    const { certFile, keyFile, cert } = createCertificate(directory.path, 'scraped');
    ca = cert;
    const [port, alternatePort] = await findFreePorts('127.0.0.1', '127.0.0.2');
    const bound = roleEndpoints('127.0.0.1', '127.0.0.2', port, alternatePort);
    [tls] = bound;
    running = await startOnLoopback({
      http: { host: '127.0.0.1', port: 0, required: true },
      tls: { certFile, keyFile, families: [{ family: 'ipv4', bound, advertised: bound }] },
    });
  });
  afterAll(async () => {
    await running.server.stop();
    directory.remove();
  });

  function ask(path: string, body?: string): Promise<HttpsAnswer> {
    return askHttps(running.server.http!, ca, path, body);
  }

  /** Counters by name and labels. */
  async function scrape(): Promise<Map<string, number>> {
    const { body } = await ask('/metrics');
    const lines = body
      .split('\n')
      .filter((line) => /^natprobed_\w+_(total|count)[ {]/.test(line) && !line.includes('_busy_seconds_'));
    return new Map(
      lines.map((line) => {
        const space = line.lastIndexOf(' ');
        return [line.slice(0, space), Number(line.slice(space + 1))];
      }),
    );
  }

  it('rise by what was sent, and nothing else does', async () => {
    const before = await scrape();
    const [pp, , ap] = running.endpoints;
    const client = await UdpClient.open();
    for (let i = 0; i < 3; i++) client.send(request(), pp!);
    client.send(request([CHANGE_REQUEST.of({ address: true, port: true })]), ap!);
    client.send(Buffer.from('hello'), pp!);
    await client.hear(4);
    client.close();
    await askStream(connect(pp!.port, pp!.address), 2);
    await askStream(connectTls({ host: tls.address, port: tls.port, ca }), 1);
    expect((await ask('/classify', JSON.stringify(readSample('symmetric')))).status).toBe(201);
    expect((await ask('/classify', '{}')).status).toBe(400);
    expect((await ask('/classify/none')).status).toBe(404);
    expect((await ask('/none')).status).toBe(404);

    const after = await scrape();
    const rises = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
    expect(Object.fromEntries(rises.filter(([, rise]) => rise !== 0))).toEqual({
      'natprobed_answers_total{family="ipv4",transport="udp",kind="binding",role="PP"}': 3,
      'natprobed_answers_total{family="ipv4",transport="udp",kind="change",role="AP"}': 1,
      'natprobed_answers_total{family="ipv4",transport="tcp",kind="binding",role="PP"}': 2,
      'natprobed_answers_total{family="ipv4",transport="tls",kind="binding",role="PP"}': 1,
      'natprobed_drops_total{family="ipv4",transport="udp",reason="not-stun"}': 1,
      // 20 bytes a request, 28 with CHANGE-REQUEST, 5 of something else; 68 an answer.
      'natprobed_messages_total{family="ipv4",transport="udp"}': 5,
      'natprobed_messages_total{family="ipv4",transport="tcp"}': 2,
      'natprobed_messages_total{family="ipv4",transport="tls"}': 1,
      'natprobed_request_bytes_total{family="ipv4",transport="udp"}': 93,
      'natprobed_request_bytes_total{family="ipv4",transport="tcp"}': 40,
      'natprobed_request_bytes_total{family="ipv4",transport="tls"}': 20,
      'natprobed_answer_bytes_total{family="ipv4",transport="udp"}': 272,
      'natprobed_answer_bytes_total{family="ipv4",transport="tcp"}': 136,
      'natprobed_answer_bytes_total{family="ipv4",transport="tls"}': 68,
      'natprobed_udp_sends_total{family="ipv4",outcome="responses"}': 4,
      'natprobed_tcp_events_total{family="ipv4",transport="tcp",event="accepted"}': 1,
      'natprobed_tcp_events_total{family="ipv4",transport="tcp",event="answers"}': 2,
      'natprobed_tcp_events_total{family="ipv4",transport="tls",event="accepted"}': 1,
      'natprobed_tcp_events_total{family="ipv4",transport="tls",event="answers"}': 1,
      'natprobed_reports_total{source="probe",verdict="symmetric"}': 1,
      'natprobed_http_requests_total{method="GET",route="/metrics",status="200"}': 1,
      'natprobed_http_requests_total{method="POST",route="/classify",status="201"}': 1,
      'natprobed_http_requests_total{method="POST",route="/classify",status="400"}': 1,
      'natprobed_http_requests_total{method="GET",route="/classify/:id",status="404"}': 1,
      'natprobed_http_requests_total{method="any",route="none",status="404"}': 1,
      'natprobed_http_request_duration_seconds_count{method="GET",route="/metrics"}': 1,
      'natprobed_http_request_duration_seconds_count{method="POST",route="/classify"}': 2,
      'natprobed_http_request_duration_seconds_count{method="GET",route="/classify/:id"}': 1,
      'natprobed_http_request_duration_seconds_count{method="any",route="none"}': 1,
    });
  });

  it('tell of the process, and of what there is none yet of', async () => {
    const { body } = await ask('/metrics');
    for (const name of [
      'nodejs_eventloop_lag_seconds',
      'process_resident_memory_bytes',
      'natprobed_browser_sessions',
      'natprobed_broker_connections',
      'natprobed_broker_peers',
    ]) {
      expect(body).toMatch(new RegExp(`^${name} [\\d.e-]+$`, 'm'));
    }
    for (const event of ['begun', 'refused', 'measured', 'abandoned']) {
      expect(body).toContain(`natprobed_browser_sessions_total{event="${event}"} 0\n`);
    }
    for (const event of ['joined', 'resumed', 'lost', 'left', 'refused', 'planned', 'punched']) {
      expect(body).toContain(`natprobed_broker_events_total{event="${event}"} 0\n`);
    }
  });
});

describeIf(batchedLanesMissing)('the metrics of batched lanes', () => {
  it('say of each how busy it was, and what it read', async () => {
    const { server, endpoints } = await startOnLoopback({
      http: { host: '127.0.0.1', port: 0, required: true },
      lanes: 2,
    });
    const clients = await Promise.all(Array.from({ length: 12 }, () => UdpClient.open()));
    for (const client of clients) client.send(request(), endpoints[0]!);
    await Promise.all(clients.map((client) => client.hear(1)));
    for (const client of clients) client.close();
    const values = async (name: string): Promise<number[]> => {
      const body = await (await fetch(`http://${formatEndpoint(server.http!)}/metrics`)).text();
      return ['1', '2'].map((lane) => {
        const line = body.split('\n').find((text) => text.startsWith(`${name}{lane="${lane}"} `));
        return Number(line?.split(' ')[1]);
      });
    };
    const [first = 0, second = 0] = await values('natprobed_udp_lane_datagrams_total');
    expect(first + second).toBe(12);
    expect(await values('natprobed_udp_lane_kernel_drops_total')).toEqual([0, 0]);
    const before = await values('natprobed_udp_lane_busy_seconds_total');
    const beforeMs = performance.now();
    await setTimeout(1000);
    const after = await values('natprobed_udp_lane_busy_seconds_total');
    const passedMs = performance.now() - beforeMs;
    for (const [lane, seconds] of before.entries()) {
      expect(seconds).toBeGreaterThan(0);
      // Nobody asks meanwhile.
      expect(1000 * (after[lane]! - seconds)).toBeLessThan(passedMs / 2);
    }
    await server.stop();
  });
});

async function askStream(socket: Socket, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    socket.write(request());
    await once(socket, 'data');
  }
  socket.end();
  await once(socket, 'close');
}
