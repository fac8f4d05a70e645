/** The tables, in SQL that SQLite and PostgreSQL both understand, and how they came to be. */
import { type ColumnDefinitionBuilder, type Generated, type Kysely, sql } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration';
import type { Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';
import type { Transport } from '../../shared/punch/plan.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';
import type { ReportSource } from './report-store.ts';

export interface ReportDatabase {
  readonly kinds: KindTable;
  readonly reports: ReportTable;
  readonly report_counts: ReportCountTable;
  readonly punches: PunchTable;
  readonly punch_counts: PunchCountTable;
}

/** Each combination of what reports are filtered by, once: some dozens of rows. */
interface KindTable {
  readonly id: Generated<number>;
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  readonly family: Family;
  readonly source: ReportSource;
}

interface ReportTable {
  /** Orders reports of the same millisecond. */
  readonly seq: Generated<number>;
  readonly id: string;
  /** Milliseconds since 1970, by the server's clock. */
  readonly received_at: number;
  readonly kind: number;
  readonly confidence: number;
  readonly judge_version: number;
  /** 2 all, 1 partly, 0 none. */
  readonly endpoints_witnessed: number;
  /** 1 or 0. */
  readonly claims_follow: number;
  readonly nonce: string | null;
  /** As document.ts has it. */
  readonly document: Uint8Array;
}

/** How many reports of a kind came on a day (UTC, `2026-01-31`); changed in one transaction with the reports. */
interface ReportCountTable {
  readonly day: string;
  readonly kind: number;
  readonly count: number;
}

/** One attempt of a punch that the broker planned: behaviours, prediction and outcome, and nobody's name or address. */
interface PunchTable {
  readonly seq: Generated<number>;
  /** Milliseconds since 1970, by the server's clock. */
  readonly ended_at: number;
  /** The behaviours in short, in the order of the alphabet. */
  readonly a: string;
  readonly b: string;
  readonly transport: Transport;
  readonly attempt: number;
  /** What was predicted. */
  readonly strategy: StrategyName;
  readonly probability: number;
  /** As each side has it; null where it said nothing. */
  readonly outcome_a: 'open' | 'failed' | null;
  readonly outcome_b: 'open' | 'failed' | null;
  readonly opened_by: StrategyName | null;
  readonly path: string | null;
  /** Of both sides. */
  readonly packets: number;
  readonly time_ms: number;
  /** 1 if it is among those that teach, else 0. */
  readonly counts: number;
}

/** Punches by day, pair and what was predicted, in tenths; changed in one transaction with the punches. */
interface PunchCountTable {
  readonly day: string;
  readonly transport: Transport;
  readonly a: string;
  readonly b: string;
  readonly bin: number;
  readonly ended: number;
  /** Those that teach, how many of them opened, and the sum of what was predicted of them. */
  readonly punches: number;
  readonly open: number;
  readonly predicted: number;
}

/** What databases call differently. */
export interface SqlDialect {
  /** What errors name: the flag that led to it. */
  readonly flag: '--data' | '--database';
  readonly bytes: 'blob' | 'bytea';
  /** An integer key that the database numbers itself. */
  readonly serial: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  readonly serialType: 'integer' | 'bigserial';
  /** Whether `reports` is parted by months (partitions.ts), each with its own unique ids and nonces. */
  readonly isPartitioned: boolean;
}

/** Whether the tables are up to date. Throws ERR_DATA or ERR_DATABASE if a newer natprobed has been here. */
export async function checkVersion(
  database: Kysely<ReportDatabase>,
  { flag }: Pick<SqlDialect, 'flag'>,
): Promise<boolean> {
  const tables = await database.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return false;
  const done = await sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)}`.execute(
    database,
  );
  const unknown = done.rows.find(({ name }) => !(name in MIGRATIONS));
  if (unknown === undefined) return done.rows.length === Object.keys(MIGRATIONS).length;
  const code = flag === '--data' ? 'ERR_DATA' : 'ERR_DATABASE';
  throw new NatprobeError(code, flag, `a newer natprobed has written it: step ${unknown.name}`);
}

/** Brings the tables up to date; of several servers that begin at once, one does, and the others wait. */
export async function migrateTables(database: Kysely<ReportDatabase>, dialect: SqlDialect): Promise<void> {
  const migrations = Object.entries(MIGRATIONS).map(([name, up]): [string, Migration] => [
    name,
    { up: (db: Kysely<unknown>) => up(db, dialect) },
  ]);
  const provider = { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) };
  const { error } = await new Migrator({ db: database, provider }).migrateToLatest();
  if (error !== undefined) throw error as Error;
}

const MIGRATIONS: Readonly<Record<string, (db: Kysely<unknown>, dialect: SqlDialect) => Promise<void>>> = {
  '0001-reports': createReportTables,
  '0002-punches': createPunchTables,
};

async function createReportTables(db: Kysely<unknown>, dialect: SqlDialect): Promise<void> {
  const { schema } = db;
  const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull();
  const toKind = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder =>
    column.notNull().references('kinds.id');
  await schema
    .createTable('kinds')
    .addColumn('id', dialect.serialType, dialect.serial)
    .addColumn('type', 'text', required)
    .addColumn('mapping', 'text', required)
    .addColumn('filtering', 'text', required)
    .addColumn('family', 'text', required)
    .addColumn('source', 'text', required)
    .addUniqueConstraint('kinds_differ', ['type', 'mapping', 'filtering', 'family', 'source'])
    .execute();
  // A key of a partitioned table has to have what it is parted by, and kinds are never removed.
  const unique = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder =>
    dialect.isPartitioned ? column : column.unique();
  const reports = schema
    .createTable('reports')
    .addColumn('seq', dialect.serialType, dialect.isPartitioned ? required : dialect.serial)
    .addColumn('id', 'text', (column) => unique(column.notNull()))
    .addColumn('received_at', 'bigint', required)
    .addColumn('kind', 'bigint', dialect.isPartitioned ? required : toKind)
    .addColumn('confidence', 'double precision', required)
    .addColumn('judge_version', 'integer', required)
    .addColumn('endpoints_witnessed', 'integer', required)
    .addColumn('claims_follow', 'integer', required)
    .addColumn('nonce', 'text', unique)
    .addColumn('document', sql.raw(dialect.bytes), required);
  if (dialect.isPartitioned) {
    await reports
      .addPrimaryKeyConstraint('reports_key', ['seq', 'received_at'])
      .modifyEnd(sql`partition by range (received_at)`)
      .execute();
    // It is deflated already.
    await sql`alter table reports alter column document set storage external`.execute(db);
  } else await reports.execute();
  // Each holds all that its queries need, so that they don't touch the documents.
  await schema.createIndex('reports_by_time').on('reports').columns(['received_at', 'seq', 'kind']).execute();
  await schema.createIndex('reports_by_kind').on('reports').columns(['kind', 'received_at', 'seq']).execute();
  await schema
    .createTable('report_counts')
    .addColumn('day', 'text', required)
    .addColumn('kind', 'bigint', toKind)
    .addColumn('count', 'bigint', required)
    .addPrimaryKeyConstraint('report_counts_key', ['day', 'kind'])
    .execute();
}

async function createPunchTables({ schema }: Kysely<unknown>, dialect: SqlDialect): Promise<void> {
  const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull();
  await schema
    .createTable('punches')
    .addColumn('seq', dialect.serialType, dialect.serial)
    .addColumn('ended_at', 'bigint', required)
    .addColumn('a', 'text', required)
    .addColumn('b', 'text', required)
    .addColumn('transport', 'text', required)
    .addColumn('attempt', 'integer', required)
    .addColumn('strategy', 'text', required)
    .addColumn('probability', 'double precision', required)
    .addColumn('outcome_a', 'text')
    .addColumn('outcome_b', 'text')
    .addColumn('opened_by', 'text')
    .addColumn('path', 'text')
    .addColumn('packets', 'bigint', required)
    .addColumn('time_ms', 'double precision', required)
    .addColumn('counts', 'integer', required)
    .execute();
  await schema.createIndex('punches_by_time').on('punches').column('ended_at').execute();
  await schema
    .createTable('punch_counts')
    .addColumn('day', 'text', required)
    .addColumn('transport', 'text', required)
    .addColumn('a', 'text', required)
    .addColumn('b', 'text', required)
    .addColumn('bin', 'integer', required)
    .addColumn('ended', 'bigint', required)
    .addColumn('punches', 'bigint', required)
    .addColumn('open', 'bigint', required)
    .addColumn('predicted', 'double precision', required)
    .addPrimaryKeyConstraint('punch_counts_key', ['day', 'transport', 'a', 'b', 'bin'])
    .execute();
}
