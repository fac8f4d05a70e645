/** What is PostgreSQL's own: months, servers that begin at once, and a database that comes and goes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Log, SILENT_LOG } from '../../../../server/log.ts';
import { openReports } from '../../../../server/reports/open.ts';
import { openForReading, openPostgres } from '../../../../server/reports/postgres.ts';
import { readReportSettings } from '../../../../server/reports/settings.ts';
import {
  POSTGRES_PASSWORD,
  type PostgresCluster,
  postgresMissing,
  startPostgres,
} from '../../../support/postgres.ts';
import { describeIf } from '../../../support/requirements.ts';
import { newReport, openTestStore, type TestStore } from './reports.ts';

const DAY_MS = 86_400_000;

describeIf(postgresMissing())('reports in PostgreSQL', () => {
  let cluster: PostgresCluster;
  let url: string;
  beforeAll(async () => {
    cluster = await startPostgres();
  });
  afterAll(() => cluster.remove());
  beforeEach(async () => {
    url = await cluster.createDatabase();
  });

  async function partitions(): Promise<unknown[]> {
    const names = await cluster.query(
      url,
      "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'reports'::regclass order by 1",
    );
    return names.map(({ name }) => name);
  }

  /** A message with which this is refused. */
  async function refusal(opened: Promise<unknown>): Promise<string> {
    const error = await opened.then(
      () => undefined,
      (reason: unknown) => reason as { code: string; message: string },
    );
    expect(error?.code).toBe('ERR_DATABASE');
    expect(error!.message).not.toContain(POSTGRES_PASSWORD);
    expect(error!.message).not.toContain(encodeURIComponent(POSTGRES_PASSWORD));
    return error!.message;
  }

  describe('months', () => {
    let test: TestStore;
    beforeEach(async () => {
      test = await openTestStore(url);
      return () => test.store.close();
    });

    it('have a partition each, made before it is needed, and are dropped once they are too old', async () => {
      await test.store.add(newReport());
      expect(await partitions()).toEqual(['reports_2026_03']);
      test.clock.nowMs = Date.parse('2026-03-28T12:00:00Z');
      await Promise.all([test.store.add(newReport()), test.store.add(newReport())]);
      expect(await partitions()).toEqual(['reports_2026_03', 'reports_2026_04']);
      test.clock.nowMs = Date.parse('2026-05-02T12:00:00Z');
      const { id } = await test.store.add(newReport());
      expect(await test.store.removeBefore('2026-05-01T12:00:00Z')).toBe(3);
      expect(await partitions()).toEqual(['reports_2026_05']);
      expect((await test.store.summarise({})).reports).toBe(1);
      expect((await test.store.list({}, { limit: 5 })).reports.map((report) => report.id)).toEqual([id]);
    });

    it('hold a nonce once in all of them', async () => {
      await test.store.add(newReport({ nonce: 'abc' }));
      test.clock.nowMs += 40 * DAY_MS;
      await expect(test.store.add(newReport({ nonce: 'abc' }))).rejects.toMatchObject({
        code: 'ERR_NONCE_USED',
      });
    });

    it('may be made again by a server that has seen another one drop them', async () => {
      const other = await openTestStore(url);
      await test.store.add(newReport());
      await other.store.removeBefore('2026-04-01');
      other.clock.nowMs -= 1;
      await other.store.add(newReport());
      expect((await other.store.summarise({})).reports).toBe(1);
      await other.store.close();
    });
  });

  it('is brought up to date once, by whichever of eight servers is first', async () => {
    const stores = await Promise.all(Array.from({ length: 8 }, () => openTestStore(url, sharedIds())));
    const added = await Promise.all(
      stores.flatMap(({ store }) =>
        Array.from({ length: 40 }, (_, index) =>
          store.add(newReport({ family: index % 2 === 0 ? 'ipv4' : 'ipv6', nonce: sharedNonce() })),
        ),
      ),
    );
    const { reports, families } = await stores[0]!.store.summarise({});
    expect([reports, added.length]).toEqual([320, 320]);
    expect(families.map(({ count }) => count)).toEqual([160, 160]);
    const removals = stores.map(({ store }) => store.removeBefore('2026-03-02'));
    const removed = (await Promise.all(removals)).reduce((sum, count) => sum + count, 0);
    expect(removed).toBe(320);
    expect((await stores[0]!.store.summarise({})).reports).toBe(0);
    await Promise.all(stores.map(({ store }) => store.close()));
  });

  describe('a database that will not do', () => {
    it('because the password is wrong', async () => {
      const wrong = url.replace(encodeURIComponent(POSTGRES_PASSWORD), 'other');
      expect(await refusal(openPostgres({ url: wrong }, { log: SILENT_LOG }))).toContain(
        'password authentication failed',
      );
    });

    it('because it is not there', async () => {
      expect(await refusal(openPostgres({ url: `${url}0` }, { log: SILENT_LOG }))).toContain(
        'does not exist',
      );
    });

    it('because a newer natprobed has written it', async () => {
      await (await openPostgres({ url }, { log: SILENT_LOG })).database.destroy();
      await cluster.query(url, "insert into kysely_migration values ('0099-later', '2030-01-01T00:00:00Z')");
      expect(await refusal(openPostgres({ url }, { log: SILENT_LOG }))).toContain('step 0099-later');
    });

    it('because there is nothing to read in it', async () => {
      expect(await refusal(openForReading({ url }))).toContain('no natprobed has written it');
    });
  });

  it('takes its password from a file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'natprobe-password-'));
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, `${POSTGRES_PASSWORD}\n`);
    try {
      const bare = url.replace(/:[^:@]*@/, '@');
      const { database } = await openPostgres({ url: bare, passwordFile }, { log: SILENT_LOG });
      await database.destroy();
      const missing = { url: bare, passwordFile: join(folder, 'none') };
      expect(await refusal(openPostgres(missing, { log: SILENT_LOG }))).toContain('--database-password-file');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  describe('an outage', () => {
    it('at the start is waited for, and said', async () => {
      await cluster.kill();
      const logged: string[] = [];
      const log: Log = (_level, message) => logged.push(message);
      const reports = await openReports(readReportSettings({ database: url }), log);
      expect(logged[0]).toContain(`reports: postgres://127.0.0.1:${cluster.port}/`);
      await expect(reports.store.add(newReport())).rejects.toMatchObject({ code: 'ERR_STORE' });
      await cluster.restart();
      const { id } = await reports.store.add(newReport());
      expect((await reports.store.find(id))?.id).toBe(id);
      await reports.close();
      expect(logged.join()).not.toContain(encodeURIComponent(POSTGRES_PASSWORD));
    });

    it('is over once the database is back, whatever was connected', async () => {
      const { store } = await openTestStore(url);
      const kept = await Promise.all(Array.from({ length: 20 }, () => store.add(newReport())));
      await cluster.kill();
      const adding = Array.from({ length: 300 }, () => store.add(newReport()));
      for (const added of await Promise.allSettled(adding)) expect(added.status).toBe('rejected');
      await expect(store.check()).rejects.toMatchObject({ code: 'ERR_STORE' });
      await cluster.restart();
      await store.check();
      await store.add(newReport());
      expect((await store.summarise({})).reports).toBe(21);
      for (const { id } of kept) expect((await store.find(id))?.id).toBe(id);
      await store.close();
    });

    it('of a database that says nothing fails all that wait within a query’s time, and passes', async () => {
      const { store } = await openTestStore(url);
      await store.add(newReport());
      cluster.pause();
      const startedAt = performance.now();
      const adding = Array.from({ length: 300 }, () => store.add(newReport()));
      for (const added of await Promise.allSettled(adding)) expect(added.status).toBe('rejected');
      expect(performance.now() - startedAt).toBeLessThan(20_000);
      cluster.resume();
      await store.add(newReport());
      await store.close();
    });
  });
});

/** Ids that no two stores give. */
function sharedIds(): { randomBytes: (length: number) => Buffer } {
  return { randomBytes: (length) => Buffer.from(sharedNonce().padStart(length, '0')) };
}

let nonces = 0;
function sharedNonce(): string {
  nonces += 1;
  return String(nonces);
}
