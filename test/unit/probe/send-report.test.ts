/** Reports handed to a server by the library, which serves STUN and HTTP on loopback. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classify, isSent, type Report, sendReport } from '../../../probe/index.ts';
import { findApi } from '../../../probe/drive/find-api.ts';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import { storedReports } from '../../http/app.ts';
import { type ReportService, startReportService } from '../../support/report-service.ts';
import { type LoopbackServer, startOnLoopback } from '../server/loopback.ts';

let service: ReportService;
let stun: LoopbackServer;
let server: string;
beforeAll(async () => {
  service = await startReportService();
  stun = await startOnLoopback({
    witnessKeyFile: service.keyFile,
    service: { scheme: 'http', port: service.port },
  });
  server = formatEndpoint(stun.endpoints[0]!);
});
afterAll(async () => {
  await Promise.all([stun.server.stop(), service.stop()]);
});

function sentOf({ report }: Report) {
  if (report === undefined || !isSent(report)) throw new Error(`not sent: ${JSON.stringify(report)}`);
  return report;
}

describe('classify({ report })', () => {
  it('hands the report over, and its public endpoints are witnessed', async () => {
    const report = await classify({ server, report: true });
    const sent = sentOf(report);
    expect(sent).toMatchObject({ endpointsWitnessed: true, claimsFollow: true });
    expect(sent.url).toBe(`${service.url}classify/${sent.id}`);
    const read = (await (await fetch(sent.url)).json()) as { verdict: unknown };
    expect(read.verdict).toEqual(report.verdict);
  });

  it('shows and leaves no witness anywhere', async () => {
    const report = await classify({ server, report: true });
    for (const text of [
      JSON.stringify(report),
      JSON.stringify(await service.store.find(sentOf(report).id)),
    ]) {
      expect(text).not.toMatch(/"(witnesses|nonce|mac|keyId)"/);
    }
  });

  it('asks for nothing more, and says nothing of it, where no report is wanted', async () => {
    const counted = () => stun.server.counts()[0]!.udp.answers.witness.PP;
    const before = counted();
    expect(await classify({ server })).not.toHaveProperty('report');
    expect(await classify({ server, report: false })).not.toHaveProperty('report');
    expect(counted()).toBe(before);
    const stored = (await storedReports(service.store)).length;
    const kept = await classify({ server, report: { when: ({ verdict }) => verdict.type === 'symmetric' } });
    expect(kept).not.toHaveProperty('report');
    expect(await storedReports(service.store)).toHaveLength(stored);
  });

  it('keeps the verdict where the report cannot be handed over, and says why', async () => {
    const report = await classify({ server, report: { api: 'http://127.0.0.1:1/' } });
    expect(report.verdict.type).toBe('open');
    expect(report.report).toMatchObject({ failed: { code: 'ERR_API_UNREACHABLE' } });
    const quiet = await startOnLoopback();
    const nowhere = await classify({ server: formatEndpoint(quiet.endpoints[0]!), report: true });
    expect(nowhere.verdict.type).toBe('open');
    expect(nowhere.report).toMatchObject({ failed: { code: 'ERR_NO_API' } });
    await quiet.server.stop();
  });

  it('refuses an API that is no address before it measures', async () => {
    await expect(classify({ server, report: { api: 'here' } })).rejects.toMatchObject({ code: 'ERR_URL' });
  });

  it('is not believed by a server that did not make the witnesses', async () => {
    const other = await startReportService();
    const report = await classify({ server, report: { api: other.url } });
    expect(sentOf(report)).toMatchObject({ endpointsWitnessed: false, claimsFollow: true });
    await other.stop();
  });
});

describe('sendReport', () => {
  it('asks the report’s server where its API is, and sends no witnesses', async () => {
    const report = await classify({ server });
    const sent = await sendReport(report);
    expect(sent).toMatchObject({ endpointsWitnessed: false, claimsFollow: true });
    expect((await sendReport({ ...report, report: sent }, { api: service.url })).id).not.toBe(sent.id);
  });

  it('rejects with what the server says', async () => {
    const report = await classify({ server });
    const broken = { ...report, evidence: undefined } as unknown as Report;
    await expect(sendReport(broken)).rejects.toMatchObject({
      code: 'ERR_FIELD',
      message: expect.stringContaining('/evidence') as string,
    });
    const elsewhere = { ...report, server: { ...report.server, asked: ['127.0.0.1:9'] } };
    await expect(sendReport(elsewhere)).rejects.toMatchObject({ code: 'ERR_NO_API' });
  });
});

describe('findApi', () => {
  it('goes by the first server that names one, on the host as it was given', async () => {
    const quiet = await startOnLoopback();
    const hosts = [quiet.endpoints[0]!, stun.endpoints[0]!].map(({ port }) => ({ host: 'localhost', port }));
    expect((await findApi(hosts)).href).toBe(`http://localhost:${service.port}/`);
    await quiet.server.stop();
  });
});
