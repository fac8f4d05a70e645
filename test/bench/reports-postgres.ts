/** A PostgreSQL of the benchmark's own, which fills its tables itself. */
import pg from 'pg';
import { SILENT_LOG } from '../../server/log.ts';
import { encodeDocument } from '../../server/reports/document.ts';
import { openPostgres } from '../../server/reports/postgres.ts';
import { DAY_MS } from '../../server/reports/statistics.ts';
import { type PostgresCluster, startPostgres } from '../support/postgres.ts';
import { newReport } from '../unit/server/reports/reports.ts';

/** Kept small enough to show how it goes. */
const AT_ONCE = 100_000;

export interface FilledPostgres {
  readonly cluster: PostgresCluster;
  readonly url: string;
  readonly megabytes: number;
  /** A query for which no index may be used; resolves with the milliseconds that it took. */
  scan(text: string): Promise<number>;
  close(): Promise<void>;
}

export interface Filling {
  readonly reports: number;
  /** Of the first report, and of the end of the last day; milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  readonly kinds: readonly (readonly [
    type: string,
    mapping: string,
    filtering: string,
    family: string,
    source: string,
  ])[];
}

/** In the order of time, with all indexes in place, as a server adds them. */
export async function fillPostgres({ reports, startMs, endMs, kinds }: Filling): Promise<FilledPostgres> {
  const cluster = await startPostgres([
    'shared_buffers=1GB',
    'max_wal_size=8GB',
    'maintenance_work_mem=256MB',
  ]);
  const url = await cluster.createDatabase();
  const { database, partitions } = await openPostgres({ url }, { log: SILENT_LOG });
  for (let time = startMs; time < endMs; time += DAY_MS) await partitions.ensure([time]);
  const rows = kinds.map(([type, mapping, filtering, family, source]) => ({
    type,
    mapping,
    filtering,
    family,
    source,
  }));
  await database
    .insertInto('kinds')
    .values(rows as never)
    .execute();
  await database.destroy();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  for (let first = 0; first < reports; first += AT_ONCE) {
    await client.query(FILL, [
      first,
      Math.min(first + AT_ONCE, reports) - 1,
      startMs,
      (endMs - startMs) / reports,
      kinds.length,
      encodeDocument(newReport()),
    ]);
  }
  await client.query(`insert into report_counts select ${DAY}, kind, count(*) from reports group by 1, 2`);
  await client.query('vacuum analyze');
  const size = await client.query<{ bytes: string }>('select pg_database_size(current_database()) as bytes');
  for (const path of ['indexscan', 'indexonlyscan', 'bitmapscan'])
    await client.query(`set enable_${path} = off`);
  return {
    cluster,
    url,
    megabytes: Number(size.rows[0]!.bytes) / 1e6,
    async scan(text) {
      const startedAt = performance.now();
      await client.query(text);
      return performance.now() - startedAt;
    },
    async close() {
      await client.end();
      await cluster.remove();
    },
  };
}

const DAY = "to_char(to_timestamp(received_at / 1000) at time zone 'UTC', 'YYYY-MM-DD')";

/** The square of a uniform number prefers the first kinds. */
const FILL = `
  insert into reports (id, received_at, kind, confidence, judge_version, endpoints_witnessed, claims_follow, document)
  select substr(translate(encode(decode(md5(i::text), 'hex'), 'base64'), '+/', '-_'), 1, 22),
    $3::bigint + floor(i * $4::double precision)::bigint, 1 + floor($5::integer * random() ^ 2)::integer,
    0.9995, 1, 2, 1, $6::bytea
  from generate_series($1::bigint, $2::bigint) as i`;
