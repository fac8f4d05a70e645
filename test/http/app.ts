/** An app on a store of its own, and sample reports, for tests of the HTTP API. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { buildApp, type AppOptions } from '../../server/http/app.ts';
import type { ReportOptions } from '../../server/http/app.ts';
import type { Problem } from '../../server/http/problem.ts';
import type { Health } from '../../server/http/status.ts';
import type { Report } from '../../shared/report/report.ts';
import { createMemoryStore, type MemoryStore } from '../support/memory-store.ts';

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
  readonly store: MemoryStore;
  /** What the operator was told. */
  readonly errors: readonly Error[];
}

export function createTestApp(reports: Partial<ReportOptions> = {}, more: Partial<AppOptions> = {}): TestApp {
  const store = createMemoryStore();
  const errors: Error[] = [];
  const app = buildApp({
    health: () => HEALTH,
    onError: (error) => errors.push(error),
    reports: { store, checkWitnesses: () => false, ...reports },
    ...more,
  });
  return { app, store, errors };
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
