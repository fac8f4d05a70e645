/** All that is SQLite's own: how a database is opened, and what it calls its types. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely';
import { NatprobeError } from '../../shared/errors.ts';
import { checkVersion, migrateTables, type ReportDatabase, type SqlDialect } from './tables.ts';

/** In the directory that --data names. */
export const DATABASE_FILE = 'reports.sqlite';

export interface SqliteOptions {
  /** For a reader beside the server; then the database has to be there. */
  readonly readOnly?: boolean;
}

const DIALECT: SqlDialect = {
  flag: '--data',
  isPartitioned: false,
  bytes: 'blob',
  serialType: 'integer',
  serial: (column) => column.primaryKey().autoIncrement(),
};

const NOT_CURRENT = 'an older natprobed has written it: start this one with it once';

/** How long another process may hold the database before a query fails. */
const BUSY_TIMEOUT_MS = 5000;
const CACHE_KIB = 32 * 1024;

/**
 * Opens the database in `directory`, which is made if it isn't there, or a new one in memory.
 * Throws ERR_DATA, which names --data.
 */
export async function openSqlite(
  directory: string | undefined,
  options: SqliteOptions = {},
): Promise<Kysely<ReportDatabase>> {
  try {
    const file = directory === undefined ? ':memory:' : join(directory, DATABASE_FILE);
    if (directory !== undefined && options.readOnly !== true)
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    return await openFile(file, options);
  } catch (error) {
    if (error instanceof NatprobeError || directory === undefined) throw error;
    throw new NatprobeError('ERR_DATA', '--data', `${directory}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Whether the tables in `directory` are up to date; undefined if there are none yet. Changes nothing.
 * Throws ERR_DATA, also for those of a newer natprobed.
 */
export async function inspectSqlite(directory: string): Promise<boolean | undefined> {
  const file = join(directory, DATABASE_FILE);
  if (!existsSync(file)) return undefined;
  try {
    const native = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
    const database = kyselyOver(native);
    try {
      return await checkVersion(database, DIALECT);
    } finally {
      await database.destroy();
    }
  } catch (error) {
    if (error instanceof NatprobeError) throw error;
    throw new NatprobeError('ERR_DATA', '--data', `${directory}: ${reasonOf(error)}`, { cause: error });
  }
}

function kyselyOver(native: DatabaseSync): Kysely<ReportDatabase> {
  return new Kysely<ReportDatabase>({
    dialect: new SqliteDialect({ database: new NodeSqlite(native) }),
  });
}

async function openFile(file: string, { readOnly = false }: SqliteOptions): Promise<Kysely<ReportDatabase>> {
  const native = new DatabaseSync(file, { readOnly, timeout: BUSY_TIMEOUT_MS });
  try {
    native.exec(`PRAGMA cache_size = -${CACHE_KIB}; PRAGMA temp_store = memory`);
    // FULL: what was committed is on the disk, also after a loss of power (sqlite.org/pragma.html).
    if (!readOnly) native.exec('PRAGMA journal_mode = wal; PRAGMA synchronous = full');
    const database = kyselyOver(native);
    const isCurrent = await checkVersion(database, DIALECT);
    if (!readOnly) await migrateTables(database, DIALECT);
    else if (!isCurrent) throw new NatprobeError('ERR_DATA', '--data', NOT_CURRENT);
    return database;
  } catch (error) {
    native.close();
    throw error;
  }
}

/** node:sqlite behind the few methods that Kysely's dialect calls. Each statement is prepared once. */
class NodeSqlite implements SqliteDatabase {
  readonly #native: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(native: DatabaseSync) {
    this.#native = native;
  }

  prepare(sql: string): SqliteStatement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
      statement = adaptStatement(this.#native.prepare(sql));
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#native.close();
  }
}

/** Lists of different lengths make different statements; more than these are prepared anew. */
const MAX_STATEMENTS = 500;

function adaptStatement(statement: StatementSync): SqliteStatement {
  // Kysely hands over what its queries were built from: numbers, strings, null and bytes here.
  const bind = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...bind(parameters)),
    run: (parameters) => statement.run(...bind(parameters)),
    iterate: (parameters) => statement.iterate(...bind(parameters)),
  };
}

/** What a person can do something about, in words; `error.message` for the rest. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof code === 'string' && code in SYSTEM_REASONS) return SYSTEM_REASONS[code]!;
  // Extended codes have the primary one in their lowest byte (sqlite.org/rescode.html).
  if (typeof errcode === 'number') return SQLITE_REASONS[errcode & 0xff] ?? error.message;
  return error.message;
}

const SYSTEM_REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'it is not a directory',
  ENOTDIR: 'part of the path is not a directory',
  ENOENT: 'it cannot be made there',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

const SQLITE_REASONS: Readonly<Record<number, string>> = {
  5: 'another process holds the database',
  8: 'this user may not write there',
  11: `${DATABASE_FILE} is damaged`,
  13: 'the disk is full',
  14: `${DATABASE_FILE} is not there, or this user may not open it`,
  26: `${DATABASE_FILE} is not a database of natprobed`,
};
