import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PostedReport } from '../../server/http/routes/post-report.ts';
import { missingReports, startHttpServer } from '../support/http-load.ts';
import { type PostgresCluster, postgresMissing, startPostgres } from '../support/postgres.ts';
import { describeIf } from '../support/requirements.ts';
import type { Problem } from '../../server/http/problem.ts';
import { readSample } from './app.ts';

/** Of each spell that the database is there. */
const ANSWERS = 60;
const CONNECTIONS = 8;
/** Where others use the machine too. */
const TIMEOUT_MS = 240_000;

describeIf(postgresMissing())('natprobed over a PostgreSQL that is killed under load', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgres();
  });
  afterAll(() => cluster.remove());

  it(
    'has every report that it answered with 201, and goes on by itself',
    async () => {
      const server = await startHttpServer(['--database', await cluster.createDatabase(), '--no-rate-limit']);
      const load = new Load(server.api);
      try {
        for (let outage = 0; outage < 2; outage += 1) {
          await load.untilKept(ANSWERS);
          await cluster.kill();
          await load.untilRefused(10);
          const readiness = await fetch(`${server.api}/readyz`);
          expect([readiness.status, ((await readiness.json()) as Problem).code]).toEqual([503, 'ERR_STORE']);
          expect((await fetch(`${server.api}/healthz`)).status).toBe(200);
          await cluster.restart();
        }
        await load.untilKept(ANSWERS);
        expect((await fetch(`${server.api}/readyz`)).status).toBe(200);
        await load.stop();
        expect(load.odd).toEqual([]);
        expect(await missingReports(server.api, load.ids)).toEqual([]);
        const { reports } = (await (await fetch(`${server.api}/stats`)).json()) as { reports: number };
        expect(reports).toBeGreaterThanOrEqual(load.ids.length);
      } finally {
        await load.stop();
        await server.kill();
      }
    },
    TIMEOUT_MS,
  );
});

/** Posts one report after the other, on several connections. */
class Load {
  readonly ids: string[] = [];
  /** Answers that are neither 201 nor 503 with Retry-After. */
  readonly odd: string[] = [];
  #refused = 0;
  #isRunning = true;
  readonly #posting: Promise<unknown>;

  constructor(api: string) {
    const body = JSON.stringify(readSample('udp-blocked'));
    this.#posting = Promise.allSettled(Array.from({ length: CONNECTIONS }, () => this.#post(api, body)));
  }

  async untilKept(more: number): Promise<void> {
    const wanted = this.ids.length + more;
    while (this.ids.length < wanted) await sleep(10);
  }

  async untilRefused(more: number): Promise<void> {
    const wanted = this.#refused + more;
    while (this.#refused < wanted) await sleep(10);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#posting;
  }

  async #post(api: string, body: string): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    while (this.#isRunning) {
      const response = await fetch(`${api}/classify`, { method: 'POST', headers, body });
      const answer = (await response.json()) as PostedReport & Problem;
      if (response.status === 201) this.ids.push(answer.id);
      else if (response.status === 503 && response.headers.get('retry-after') === '5') {
        this.#refused += 1;
        await sleep(20);
      } else this.odd.push(`${response.status} ${JSON.stringify(answer)}`);
    }
  }
}
