/**
 * The store of reports with a million of them, in a directory or with --database in a PostgreSQL of its own: each query's median beside a full scan
 * for the same answer, then what sharing commits is worth. Ends in 1 if a median is above 100 ms. The
 * CPU time of a query is what it would take on a machine with nothing else to do.
 *
 *     npm run bench:reports -- [--database] [--reports 1000000] [--runs 15]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DatabaseSync } from 'node:sqlite';
import type { Kysely } from 'kysely';
import { SILENT_LOG } from '../../server/log.ts';
import { encodeDocument } from '../../server/reports/document.ts';
import { openPostgres } from '../../server/reports/postgres.ts';
import type { NewReport, ReportFilter } from '../../server/reports/report-store.ts';
import { SqlReportStore, type SqlReportStoreOptions } from '../../server/reports/sql-report-store.ts';
import { DATABASE_FILE, openSqlite } from '../../server/reports/sqlite.ts';
import { DAY_MS, dayOf } from '../../server/reports/statistics.ts';
import { FILTERINGS, MAPPINGS, natTypeOf } from '../../shared/nat/behaviour.ts';
import type { ReportDatabase } from '../../server/reports/tables.ts';
import { Random } from '../sim/random.ts';
import { FLAG, number, readArguments } from '../support/arguments.ts';
import { fillPostgres } from './reports-postgres.ts';
import { newReport } from '../unit/server/reports/reports.ts';

const { reports, runs, database } = readArguments('bench:reports', {
  reports: number(1_000_000, { least: 1000 }),
  runs: number(15, { least: 1 }),
  database: FLAG,
});

const LIMIT_MS = 100;
const DAYS = 90;
const END_MS = Date.parse('2026-04-01');
const START_MS = END_MS - DAYS * DAY_MS;
const PAGE = 50;

const LISTS: readonly ReportFilter[] = [
  {},
  { type: 'port-restricted-cone' },
  { type: 'full-cone' },
  { mapping: 'endpoint-independent' },
  { filtering: 'address-dependent' },
  { family: 'ipv6' },
  { source: 'browser' },
  { type: 'symmetric', family: 'ipv6' },
  { mapping: 'dependent', source: 'browser' },
  { type: 'open', mapping: 'address-dependent' },
  { since: '2026-02-01T10:20:30Z', until: '2026-02-03T05:00:00Z' },
  { since: '2026-01-05', until: '2026-03-20', filtering: 'address-dependent' },
];
const SUMMARIES: readonly ReportFilter[] = [
  {},
  { type: 'symmetric' },
  { family: 'ipv6', source: 'browser' },
  { since: '2026-02-01', until: '2026-03-01' },
  { since: '2026-01-20T10:20:30Z', until: '2026-03-25T05:00:00Z' },
  { since: '2026-01-20T10:20:30Z', type: 'port-restricted-cone' },
];

const startedAt = performance.now();
const filled = database ? await openInPostgres() : await openInDirectory();
try {
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${reports} reports of ${DAYS} days, ${filled.megabytes.toFixed(0)} MB, made in ${seconds.toFixed(0)} s ` +
      `(${(reports / seconds).toFixed(0)} a second)\n`,
  );
  const isFast = await measureQueries(filled);
  console.log('');
  await measureAdding(filled);
  process.exitCode = isFast ? 0 : 1;
} finally {
  await filled.close();
}

/** A database with all the reports in it. */
interface Filled {
  readonly megabytes: number;
  openStore(): Promise<SqlReportStore>;
  /** A query that reads the whole table; resolves with the milliseconds that it took. */
  scan(text: string): Promise<number>;
  close(): Promise<void>;
}

async function openInPostgres(): Promise<Filled> {
  const postgres = await fillPostgres({ reports, startMs: START_MS, endMs: END_MS, kinds: listKinds() });
  return {
    ...postgres,
    async openStore() {
      const { database, partitions } = await openPostgres({ url: postgres.url }, { log: SILENT_LOG });
      return storeOver(database, { partitions });
    },
  };
}

async function openInDirectory(): Promise<Filled> {
  const directory = mkdtempSync(join(tmpdir(), 'natprobe-bench-reports-'));
  await (await openSqlite(directory)).destroy();
  fill(directory);
  const native = new DatabaseSync(join(directory, DATABASE_FILE), { readOnly: true });
  return {
    megabytes: statSync(join(directory, DATABASE_FILE)).size / 1e6,
    openStore: async () => storeOver(await openSqlite(directory)),
    scan(text) {
      const scanStartedAt = performance.now();
      native.prepare(text.replace('from reports', 'from reports not indexed')).all();
      return Promise.resolve(performance.now() - scanStartedAt);
    },
    close() {
      native.close();
      rmSync(directory, { recursive: true });
      return Promise.resolve();
    },
  };
}

/** Straight into the tables, in the order of time. Some kinds are a hundred times as frequent as others. */
function fill(where: string): void {
  const native = new DatabaseSync(join(where, DATABASE_FILE));
  // Nobody minds if this is cut off.
  native.exec('PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -500000; begin');
  const kinds = insertKinds(native);
  const document = encodeDocument(newReport());
  const insert = native.prepare(
    `insert into reports (id, received_at, kind, confidence, judge_version, endpoints_witnessed, claims_follow, document)
     values (?, ?, ?, 0.9995, 1, 2, 1, ?)`,
  );
  const random = new Random(1);
  const counts = new Map<string, number>();
  for (let index = 0; index < reports; index += 1) {
    const receivedAt = START_MS + Math.floor((index * DAYS * DAY_MS) / reports);
    // The square of a uniform number prefers the first kinds.
    const kind = kinds[Math.floor(kinds.length * (random.integer(0, 9999) / 10_000) ** 2)]!;
    insert.run(randomBytes(16).toString('base64url'), receivedAt, kind, document);
    const key = `${dayOf(receivedAt)} ${kind}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const count = native.prepare('insert into report_counts values (?, ?, ?)');
  for (const [key, number] of counts) {
    const [day, kind] = key.split(' ');
    count.run(day!, Number(kind), number);
  }
  native.exec('commit');
  native.close();
}

/** Every combination that a judge can come to, and both sources and families of it. */
function insertKinds(native: DatabaseSync): number[] {
  const insert = native.prepare(
    'insert into kinds (type, mapping, filtering, family, source) values (?, ?, ?, ?, ?) returning id',
  );
  return listKinds().map((kind) => insert.get(...kind)!['id'] as number);
}

function listKinds(): [type: string, mapping: string, filtering: string, family: string, source: string][] {
  return MAPPINGS.flatMap((mapping) =>
    FILTERINGS.flatMap((filtering) =>
      ['probe', 'browser'].flatMap((source) =>
        ['ipv4', 'ipv6'].map((family): [string, string, string, string, string] => [
          natTypeOf(mapping, filtering),
          mapping,
          filtering,
          family,
          source,
        ]),
      ),
    ),
  );
}

async function measureQueries(where: Filled): Promise<boolean> {
  const store = await where.openStore();
  console.log(
    `${'query'.padEnd(80)}${'median ms'.padStart(10)}${'CPU ms'.padStart(8)}${'scan ms'.padStart(10)}${'ratio'.padStart(8)}`,
  );
  let slowest = 0;
  const compare = async (name: string, query: () => Promise<unknown>, scan: string): Promise<void> => {
    const { medianMs, cpuMs } = await measure(query);
    slowest = Math.max(slowest, medianMs);
    const scanMs = await where.scan(scan);
    console.log(
      name.padEnd(80) +
        medianMs.toFixed(2).padStart(10) +
        cpuMs.toFixed(1).padStart(8) +
        scanMs.toFixed(0).padStart(10) +
        (scanMs / medianMs).toFixed(0).padStart(8),
    );
  };
  for (const filter of LISTS) {
    const scan = `select reports.id ${scanOf(filter)} order by received_at desc, seq desc limit ${PAGE}`;
    await compare(`list ${JSON.stringify(filter)}`, () => store.list(filter, { limit: PAGE }), scan);
  }
  const middle = new Date((START_MS + END_MS) / 2).toISOString();
  const after = (await store.list({ family: 'ipv4', until: middle }, { limit: 1 })).next!;
  const scan = `select reports.id ${scanOf({ family: 'ipv4' })} order by received_at desc, seq desc limit ${PAGE} offset ${reports >> 2}`;
  await compare(
    'list {"family":"ipv4"}, a page half-way',
    () => store.list({ family: 'ipv4' }, { limit: PAGE, after }),
    scan,
  );
  for (const filter of SUMMARIES) {
    const groups = 'type, mapping, filtering, family, source';
    const scan = `select ${groups}, received_at / ${DAY_MS}, count(*) ${scanOf(filter)} group by ${groups}, received_at / ${DAY_MS}`;
    await compare(`summarise ${JSON.stringify(filter)}`, () => store.summarise(filter), scan);
  }
  await store.close();
  console.log(`slowest median ${slowest.toFixed(1)} ms, limit ${LIMIT_MS} ms`);
  return slowest <= LIMIT_MS;
}

/** `from` and `where` of a filter, for a scan of the whole table. */
function scanOf({ since, until, ...kind }: ReportFilter): string {
  const conditions = [
    ...Object.entries(kind).map(([column, value]) => `${column} = '${value}'`),
    ...(since === undefined ? [] : [`received_at >= ${Date.parse(since)}`]),
    ...(until === undefined ? [] : [`received_at < ${Date.parse(until)}`]),
  ];
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`;
  return `from reports join kinds on kinds.id = reports.kind ${where}`;
}

/** Reports added, answered as kept one after the other, and many at the same time. */
async function measureAdding(where: Filled): Promise<void> {
  console.log(
    `${'added at a time'.padEnd(20)}${'a second'.padStart(10)}${'ratio'.padStart(8)}${'longest stall ms'.padStart(20)}`,
  );
  const store = await where.openStore();
  let alone = 0;
  for (const lanes of [1, 8, 64]) {
    const each = lanes === 1 ? 300 : 2000;
    const stalls = monitorEventLoopDelay({ resolution: 1 });
    stalls.enable();
    const startedAt = performance.now();
    let left = each;
    const addInTurn = async (): Promise<void> => {
      while (left-- > 0) await store.add(newReport() satisfies NewReport);
    };
    await Promise.all(Array.from({ length: lanes }, addInTurn));
    const aSecond = (each * 1000) / (performance.now() - startedAt);
    stalls.disable();
    alone ||= aSecond;
    console.log(
      String(lanes).padEnd(20) +
        aSecond.toFixed(0).padStart(10) +
        (aSecond / alone).toFixed(1).padStart(8) +
        (stalls.max / 1e6).toFixed(1).padStart(20),
    );
  }
  await store.close();
}

function storeOver(
  database: Kysely<ReportDatabase>,
  more: Partial<SqlReportStoreOptions> = {},
): SqlReportStore {
  const conceal = (report: NewReport): NewReport => report;
  return new SqlReportStore(database, { now: Date.now, randomBytes, conceal, ...more });
}

/** `cpuMs` is the mean. */
async function measure(query: () => Promise<unknown>): Promise<{ medianMs: number; cpuMs: number }> {
  const timesMs: number[] = [];
  const cpuBefore = process.cpuUsage();
  for (let run = 0; run < runs; run += 1) {
    const startedAt = performance.now();
    await query();
    timesMs.push(performance.now() - startedAt);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  timesMs.sort((a, b) => a - b);
  return { medianMs: timesMs[runs >> 1]!, cpuMs: (user + system) / 1000 / runs };
}
