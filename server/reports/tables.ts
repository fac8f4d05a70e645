/** The tables, in SQL that SQLite and PostgreSQL both understand, and how they came to be. */
import { type ColumnDefinitionBuilder, type Generated, type Kysely, sql } from 'kysely';
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from 'kysely/migration';
import type { Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';
import type { ReportSource } from './report-store.ts';

export interface ReportDatabase {
  readonly kinds: KindTable;
  readonly reports: ReportTable;
  readonly report_counts: ReportCountTable;
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

/** What databases call differently. */
export interface ColumnTypes {
  readonly bytes: 'blob' | 'bytea';
  /** An integer key that the database numbers itself. */
  readonly serial: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  readonly serialType: 'integer' | 'bigserial';
}

/** Whether the tables are up to date. Throws ERR_DATA, naming `place`, if a newer natprobed has been here. */
export async function checkVersion(database: Kysely<ReportDatabase>, place: string): Promise<boolean> {
  const tables = await database.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return false;
  const done = await sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)}`.execute(
    database,
  );
  const unknown = done.rows.find(({ name }) => !(name in MIGRATIONS));
  if (unknown === undefined) return done.rows.length === Object.keys(MIGRATIONS).length;
  throw new NatprobeError('ERR_DATA', place, `a newer natprobed has written it: step ${unknown.name}`);
}

/** Brings the tables up to date. */
export async function migrateTables(database: Kysely<ReportDatabase>, types: ColumnTypes): Promise<void> {
  const migrations = Object.entries(MIGRATIONS).map(([name, up]): [string, Migration] => [
    name,
    { up: (db: Kysely<unknown>) => up(db, types) },
  ]);
  const provider = { getMigrations: () => Promise.resolve(Object.fromEntries(migrations)) };
  const { error } = await new Migrator({ db: database, provider }).migrateToLatest();
  if (error !== undefined) throw error as Error;
}

const MIGRATIONS: Readonly<Record<string, (db: Kysely<unknown>, types: ColumnTypes) => Promise<void>>> = {
  '0001-reports': createReportTables,
};

async function createReportTables({ schema }: Kysely<unknown>, types: ColumnTypes): Promise<void> {
  const required = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder => column.notNull();
  const toKind = (column: ColumnDefinitionBuilder): ColumnDefinitionBuilder =>
    column.notNull().references('kinds.id');
  await schema
    .createTable('kinds')
    .addColumn('id', types.serialType, types.serial)
    .addColumn('type', 'text', required)
    .addColumn('mapping', 'text', required)
    .addColumn('filtering', 'text', required)
    .addColumn('family', 'text', required)
    .addColumn('source', 'text', required)
    .addUniqueConstraint('kinds_differ', ['type', 'mapping', 'filtering', 'family', 'source'])
    .execute();
  await schema
    .createTable('reports')
    .addColumn('seq', types.serialType, types.serial)
    .addColumn('id', 'text', (column) => column.notNull().unique())
    .addColumn('received_at', 'bigint', required)
    .addColumn('kind', 'bigint', toKind)
    .addColumn('confidence', 'double precision', required)
    .addColumn('judge_version', 'integer', required)
    .addColumn('endpoints_witnessed', 'integer', required)
    .addColumn('claims_follow', 'integer', required)
    .addColumn('nonce', 'text', (column) => column.unique())
    .addColumn('document', sql.raw(types.bytes), required)
    .execute();
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
