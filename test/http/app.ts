/** An app on a store of its own, and sample reports, for tests of the HTTP API. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { buildApp, type AppOptions } from '../../server/http/app.ts';
import type { ReportOptions } from '../../server/http/app.ts';
import type { Problem } from '../../server/http/problem.ts';
import { SILENT_LOG } from '../../server/log.ts';
import { openReports } from '../../server/reports/open.ts';
import type { ReportStore, StoredReport } from '../../server/reports/report-store.ts';
import { readReportSettings } from '../../server/reports/settings.ts';
import type { Health } from '../../server/http/status.ts';
import type { Report } from '../../shared/report/report.ts';

export const HEALTH: Health = { status: 'ok', version: '1.2.3', uptimeMs: 1234, families: [] };

/** As natprobe wrote them, behind NATs of the kernel lab. */
export const SAMPLE_NAMES = ['port-restricted-cone', 'symmetric', 'udp-blocked'] as const;
export type SampleName = (typeof SAMPLE_NAMES)[number];

export function readSample(name: SampleName): Report {
  const file = new URL(`../vectors/reports/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Report;
}

export interface TestApp {
  readonly app: FastifyInstance;
  readonly store: ReportStore;
  /** What the operator was told. */
  readonly errors: readonly Error[];
  readonly close: () => Promise<void>;
}

/** Its store is in memory, and keeps addresses as they are. */
export async function openTestApp(
  reports: Partial<ReportOptions> = {},
  more: Partial<AppOptions> = {},
): Promise<TestApp> {
  const opened = await openReports(readReportSettings({ addresses: 'full' }), SILENT_LOG);
  const { store } = opened;
  const errors: Error[] = [];
  const app = buildApp({
    health: () => HEALTH,
    findFault: () => Promise.resolve(undefined),
    laneCounts: () => [],
    onError: (error) => errors.push(error),
    reports: { store, keepsAddresses: true, checkWitnesses: () => false, ...reports },
    ...more,
  });
  const close = async (): Promise<void> => {
    await app.close();
    await opened.close();
  };
  return { app, store, errors, close };
}

export async function storedReports(store: ReportStore): Promise<StoredReport[]> {
  const reports: StoredReport[] = [];
  for await (const report of store.export({})) reports.push(report);
  return reports;
}

export function post(
  app: FastifyInstance,
  url: string,
  payload: string | Buffer | object,
  headers: Readonly<Record<string, string>> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', ...headers },
    payload,
  });
}

/** The problem that an answer is; throws if it is none. */
export function problemOf(response: LightMyRequestResponse): Problem {
  if (response.headers['content-type'] !== 'application/problem+json; charset=utf-8') {
    throw new Error(`no problem, but ${response.statusCode} ${response.body.slice(0, 200)}`);
  }
  const problem = response.json<Problem>();
  if (problem.status !== response.statusCode)
    throw new Error('a problem with another status than its answer');
  return problem;
}
