import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  ReportFilter,
  ReportStatistics,
  StoredReport,
} from '../../../../server/reports/report-store.ts';
import { DATABASE_FILE, openSqlite } from '../../../../server/reports/sqlite.ts';
import { type PostgresCluster, postgresMissing, startPostgres } from '../../../support/postgres.ts';
import { describeIf } from '../../../support/requirements.ts';
import { measuredReport, newReport, openTestStore, type ReportTraits, type TestStore } from './reports.ts';

const DAY_MS = 86_400_000;

let test: TestStore;

/** Where a store with nothing in it can be opened; undefined is in memory. */
type FreshPlace = () => Promise<string | undefined>;

const folders: string[] = [];
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true })));
function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-store-'));
  folders.push(folder);
  return folder;
}

/** Adds reports one after the other, `everyMs` apart, and returns their ids. */
async function addInTurn(traits: readonly ReportTraits[], everyMs: number): Promise<string[]> {
  const ids: string[] = [];
  for (const one of traits) {
    ids.push((await test.store.add(newReport(one))).id);
    test.clock.nowMs += everyMs;
  }
  return ids;
}

/** Every page of a list. */
async function listAll(filter: ReportFilter, limit: number): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | undefined; ;) {
    const { reports, next } = await test.store.list(filter, { limit, ...(after !== undefined && { after }) });
    ids.push(...reports.map(({ id }) => id));
    expect(reports.length).toBe(next === undefined ? reports.length : limit);
    if (next === undefined) return ids;
    after = next;
  }
}

async function exportAll(filter: ReportFilter): Promise<StoredReport[]> {
  const reports: StoredReport[] = [];
  for await (const report of test.store.export(filter)) reports.push(report);
  return reports;
}

const MIXED: readonly ReportTraits[] = Array.from({ length: 60 }, (_, index) => ({
  mapping: (['none', 'endpoint-independent', 'address-dependent'] as const)[index % 3]!,
  filtering: (['endpoint-independent', 'address-dependent'] as const)[index % 2]!,
  family: index % 5 === 0 ? 'ipv6' : 'ipv4',
  source: index % 7 === 0 ? 'browser' : 'probe',
}));

const FILTERS: readonly ReportFilter[] = [
  {},
  { type: 'symmetric' },
  { mapping: 'none' },
  { filtering: 'address-dependent' },
  { family: 'ipv6' },
  { source: 'browser' },
  { type: 'open', source: 'browser' },
  { mapping: 'endpoint-independent', family: 'ipv4' },
  { type: 'open', mapping: 'address-dependent' },
  { type: 'udp-blocked' },
  { since: '2026-03-02', until: '2026-03-04' },
  { since: '2026-03-01T14:00:00Z', until: '2026-03-01T17:00:01+00:00', type: 'full-cone' },
  { since: '2026-03-01T20:00:00Z', until: '2026-03-02T03:30:00Z' },
  { until: '1960-01-01' },
  { since: '2999-01-01' },
  { since: '2026-03-04', until: '2026-03-02' },
];

/** What a filter means, by the book. */
function passes(report: StoredReport, filter: ReportFilter): boolean {
  const { type, mapping, filtering } = report.verdict;
  const values = { type, mapping, filtering, family: report.family, source: report.source };
  const time = Date.parse(report.receivedAt);
  return (
    Object.entries(values).every(([name, value]) =>
      [undefined, value].includes(filter[name as keyof typeof values]),
    ) &&
    time >= Date.parse(filter.since ?? '0000-01-01') &&
    time < Date.parse(filter.until ?? '9999-01-01')
  );
}

function countBy(
  reports: readonly StoredReport[],
  keyOf: (report: StoredReport) => string,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const report of reports) counts[keyOf(report)] = (counts[keyOf(report)] ?? 0) + 1;
  return counts;
}

/** That these statistics say what a count of the reports themselves says. */
function expectStatistics(statistics: ReportStatistics, reports: readonly StoredReport[]): void {
  const { types, cells, families, sources, days } = statistics;
  expect(statistics.reports).toBe(reports.length);
  const named = <Counted extends { count: number }>(
    list: readonly Counted[],
    keyOf: (one: Counted) => string,
  ) => Object.fromEntries(list.map((one) => [keyOf(one), one.count]));
  expect(named(types, ({ type }) => type)).toEqual(countBy(reports, ({ verdict }) => verdict.type));
  expect(named(cells, ({ mapping, filtering }) => `${mapping} ${filtering}`)).toEqual(
    countBy(reports, ({ verdict }) => `${verdict.mapping} ${verdict.filtering}`),
  );
  expect(named(families, ({ family }) => family)).toEqual(countBy(reports, ({ family }) => family));
  expect(named(sources, ({ source }) => source)).toEqual(countBy(reports, ({ source }) => source));
  expect(named(days, ({ day, type }) => `${day} ${type}`)).toEqual(
    countBy(reports, ({ receivedAt, verdict }) => `${receivedAt.slice(0, 10)} ${verdict.type}`),
  );
  for (const list of [types, cells, families, sources]) {
    const counts = list.map(({ count }) => count);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
  }
  expect(days.map(({ day }) => day)).toEqual(days.map(({ day }) => day).sort());
}

/** What holds of a store, whatever database it is in. */
function describeStore(freshPlace: FreshPlace): void {
  beforeEach(async () => {
    test = await openTestStore(await freshPlace());
  });
  afterEach(() => test.store.close());

  describe('a report', () => {
    it('comes back as it was added', async () => {
      const report = newReport({ nonce: 'abc' });
      const stored = await test.store.add(report);
      const { nonce, ...kept } = report;
      expect(nonce).toBe('abc');
      expect(stored).toEqual({ ...kept, id: stored.id, receivedAt: '2026-03-01T12:00:00.000Z' });
      expect(await test.store.find(stored.id)).toEqual(stored);
    });

    it('comes back as it was added where its top level repeats no family, or says more', async () => {
      const report = measuredReport();
      const odd = { ...report, timing: { totalMs: 1 }, more: { of: 'this' } };
      const { id } = await test.store.add({ ...newReport(), verdict: report.verdict, report: odd });
      expect((await test.store.find(id))?.report).toEqual(odd);
    });

    it('has 128 random bits for an id, and is not found by another', async () => {
      const { id } = await test.store.add(newReport());
      expect(Buffer.from(id, 'base64url')).toHaveLength(16);
      expect(await test.store.find(`${id.slice(0, -1)}_`)).toBeUndefined();
      expect(await test.store.find("' or 1=1 --")).toBeUndefined();
    });

    it('is refused if its nonce has been used, and the others of its commit are kept', async () => {
      await test.store.add(newReport({ nonce: 'first' }));
      const added = await Promise.allSettled(
        ['first', 'second', 'second', undefined, undefined].map((nonce) =>
          test.store.add(newReport({ ...(nonce !== undefined && { nonce }) })),
        ),
      );
      expect(
        added.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'kept')),
      ).toEqual(['ERR_NONCE_USED', 'kept', 'ERR_NONCE_USED', 'kept', 'kept']);
      expect((await test.store.summarise({})).reports).toBe(4);
      expect((await test.store.list({}, { limit: 10 })).reports).toHaveLength(4);
    });

    it('can use a nonce again once the report that used it is gone', async () => {
      await test.store.add(newReport({ nonce: 'first' }));
      test.clock.nowMs += DAY_MS;
      await test.store.removeBefore(new Date(test.clock.nowMs).toISOString());
      await expect(test.store.add(newReport({ nonce: 'first' }))).resolves.toBeDefined();
    });

    it('is concealed before it is kept', async () => {
      const concealing = await openTestStore(await freshPlace(), {
        conceal: (report) => ({ ...report, verdict: { ...report.verdict, reasons: [] } }),
      });
      const { id, verdict } = await concealing.store.add(newReport());
      expect(verdict.reasons).toEqual([]);
      expect((await concealing.store.find(id))?.verdict.reasons).toEqual([]);
      await concealing.store.close();
    });
  });

  describe('lists, exports and statistics', () => {
    it.each(FILTERS)('say the same of %j', async (filter) => {
      await addInTurn(MIXED, 3_600_000);
      const all = await exportAll({});
      const wanted = all.filter((report) => passes(report, filter));
      expect(await exportAll(filter)).toEqual(wanted);
      expect(await listAll(filter, 7)).toEqual(wanted.map(({ id }) => id).reverse());
      expectStatistics(await test.store.summarise(filter), wanted);
    });

    it('keep reports of one millisecond apart and in order, over all pages', async () => {
      const ids = await addInTurn(MIXED, 0);
      expect(await listAll({}, 7)).toEqual(ids.toReversed());
      expect(await listAll({ family: 'ipv4' }, 7)).toHaveLength(48);
      expect((await exportAll({})).map(({ id }) => id)).toEqual(ids);
    });

    it('export more than is read at a time', async () => {
      const added = await Promise.all(Array.from({ length: 250 }, () => test.store.add(newReport())));
      expect((await exportAll({ type: 'port-restricted-cone' })).map(({ id }) => id)).toEqual(
        added.map(({ id }) => id),
      );
    });

    it('list without evidence and reasons', async () => {
      const { id } = await test.store.add(newReport());
      const { reports } = await test.store.list({}, { limit: 1 });
      expect(reports).toEqual([
        {
          id,
          receivedAt: '2026-03-01T12:00:00.000Z',
          source: 'probe',
          family: 'ipv4',
          judgeVersion: newReport().judgeVersion,
          endpointsWitnessed: 'partly',
          claimsFollow: false,
          verdict: {
            type: 'port-restricted-cone',
            mapping: 'endpoint-independent',
            filtering: 'address-and-port-dependent',
            confidence: 0.9995,
          },
        },
      ]);
    });

    it('say what is no page and no time', async () => {
      await expect(test.store.list({}, { limit: 5, after: 'x' })).rejects.toMatchObject({ code: 'ERR_PAGE' });
      await expect(test.store.list({ since: 'yesterday' }, { limit: 5 })).rejects.toMatchObject({
        code: 'ERR_TIME',
      });
      await expect(test.store.summarise({ until: 'soon' })).rejects.toMatchObject({ code: 'ERR_TIME' });
    });
  });

  describe('retention', () => {
    it('removes what is older, and keeps the counts right', async () => {
      await addInTurn(MIXED, 3_600_000);
      const all = await exportAll({});
      expect(await test.store.removeBefore('2026-03-02T12:00:00Z')).toBe(24);
      expect(await exportAll({})).toEqual(all.slice(24));
      expectStatistics(await test.store.summarise({}), all.slice(24));
      expect(await test.store.removeBefore('2026-03-02T12:00:00Z')).toBe(0);
    });

    it('removes more than it takes at a time, while reports are added', async () => {
      await Promise.all(Array.from({ length: 450 }, () => test.store.add(newReport())));
      test.clock.nowMs += DAY_MS;
      const removed = test.store.removeBefore('2026-03-02');
      await Promise.all(Array.from({ length: 50 }, () => test.store.add(newReport({ family: 'ipv6' }))));
      expect(await removed).toBe(450);
      expectStatistics(await test.store.summarise({}), await exportAll({}));
      expect((await test.store.summarise({})).reports).toBe(50);
    });
  });

  describe('a closed store', () => {
    it('has kept what was on the way, and takes no more', async () => {
      const place = (await freshPlace()) ?? freshFolder();
      const first = await openTestStore(place);
      const adding = Promise.all(Array.from({ length: 300 }, () => first.store.add(newReport())));
      await first.store.close();
      const ids = (await adding).map(({ id }) => id);
      await expect(first.store.add(newReport())).rejects.toMatchObject({ code: 'ERR_STORE' });
      await expect(first.store.check()).rejects.toMatchObject({ code: 'ERR_STORE' });
      const again = await openTestStore(place);
      expect((await again.store.find(ids[299]!))?.id).toBe(ids[299]);
      expect((await again.store.summarise({})).reports).toBe(300);
      await again.store.close();
    });
  });
}

describe('a store in SQLite', () => describeStore(() => Promise.resolve(undefined)));

describeIf(postgresMissing())('a store in PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgres();
  });
  afterAll(() => cluster.remove());

  describeStore(() => cluster.createDatabase());
});

describe('a directory that will not do', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'natprobe-data-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  async function reasonOf(opened: Promise<unknown>): Promise<string> {
    const error = await opened.then(
      () => undefined,
      (reason: unknown) => reason as { code: string; message: string },
    );
    expect(error?.code).toBe('ERR_DATA');
    return error!.message;
  }

  it('because it is a file', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect(await reasonOf(openSqlite(file))).toContain(
      `--data: that directory cannot be used for reports (${file}: it is not a directory)`,
    );
    expect(await reasonOf(openSqlite(join(file, 'in')))).toContain('part of the path is not a directory');
  });

  it('because another program’s file is in the way', async () => {
    writeFileSync(
      join(directory, DATABASE_FILE),
      'something else, and long enough to be looked at '.repeat(40),
    );
    expect(await reasonOf(openSqlite(directory))).toContain('is not a database of natprobed');
  });

  it('because a newer natprobed has written it', async () => {
    await (await openSqlite(directory)).destroy();
    const native = new DatabaseSync(join(directory, DATABASE_FILE));
    native.exec("insert into kysely_migration values ('0099-later', '2030-01-01T00:00:00Z')");
    native.close();
    expect(await reasonOf(openSqlite(directory))).toContain(
      'a newer natprobed has written it: step 0099-later',
    );
  });

  it('because there is nothing to read in it', async () => {
    expect(await reasonOf(openSqlite(directory, { readOnly: true }))).toContain('is not there');
  });
});
