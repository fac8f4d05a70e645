/**
 * All that is PostgreSQL's own: how a database is reached, and what it calls its types. While it can't be
 * reached, queries fail soon, and each tries anew; what was connected to a server that is gone is let go of.
 */
import { readFileSync } from 'node:fs';
import {
  HandleEmptyInListsPlugin,
  Kysely,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  replaceWithNoncontingentExpression,
  sql,
} from 'kysely';
import pg from 'pg';
import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';
import { MonthlyPartitions } from './partitions.ts';
import type { PostgresSettings } from './settings.ts';
import { checkVersion, migrateTables, type ReportDatabase, type SqlDialect } from './tables.ts';

/** Of one server; PostgreSQL allows a hundred in all unless told otherwise. */
const MOST_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 3000;
/** For each query; then its connection is taken for dead. */
const QUERY_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 60_000;

export interface OpenPostgres {
  readonly database: Kysely<ReportDatabase>;
  readonly partitions: MonthlyPartitions;
}

export interface PostgresOptions {
  readonly log: Log;
  /** Called once the tables are up to date. */
  readonly onReached?: () => void;
}

const DIALECT: SqlDialect = {
  flag: '--database',
  isPartitioned: true,
  bytes: 'bytea',
  serialType: 'bigserial',
  serial: (column) => column.primaryKey(),
};

/**
 * Opens the database and brings its tables up to date; if it can't be reached now, that is logged, and done
 * once it can. Throws ERR_DATABASE for what waiting does not mend.
 */
export async function openPostgres(
  settings: PostgresSettings,
  { log, onReached = () => undefined }: PostgresOptions,
): Promise<OpenPostgres> {
  const config = configOf(settings);
  const connections = new Connections(config, async () => {
    await migrate(config);
    // Not before whoever waits for this goes on.
    setImmediate(onReached);
  });
  const place = placeOf(settings);
  try {
    await connections.prepare();
  } catch (error) {
    if (!isOutage(error)) {
      await connections.end();
      throw databaseError(error, place);
    }
    log(
      'warning',
      `reports: ${place} cannot be reached: ${messagesOf(error)}; until it can, they are refused`,
    );
  }
  const database = kyselyOver(connections);
  return { database, partitions: new MonthlyPartitions(database) };
}

/** For a reader beside the servers. Throws ERR_DATABASE. */
export async function openForReading(settings: PostgresSettings): Promise<Kysely<ReportDatabase>> {
  const database = kyselyOver(new Connections(configOf(settings), () => Promise.resolve()));
  try {
    if (await checkVersion(database, DIALECT)) return database;
    throw new NatprobeError('ERR_DATABASE', '--database', NOT_CURRENT);
  } catch (error) {
    await database.destroy();
    throw databaseError(error, placeOf(settings));
  }
}

export interface PostgresState {
  /** Without user, password and options. */
  readonly place: string;
  readonly version: string;
  /** Whether its tables are up to date. */
  readonly isCurrent: boolean;
  /** Whether this user may make tables. */
  readonly mayCreate: boolean;
  /** Its clock's, since 1970. */
  readonly clockMs: number;
}

/** How the database is now; changes nothing. Throws ERR_DATABASE, also for tables of a newer natprobed. */
export async function inspectPostgres(settings: PostgresSettings): Promise<PostgresState> {
  const place = placeOf(settings);
  const database = kyselyOver(new Connections(configOf(settings), () => Promise.resolve()));
  try {
    const { rows } = await sql<Pick<PostgresState, 'version' | 'mayCreate' | 'clockMs'>>`
      select current_setting('server_version') as "version",
        has_schema_privilege(current_schema(), 'create') as "mayCreate",
        (extract(epoch from clock_timestamp()) * 1000)::bigint as "clockMs"`.execute(database);
    return { place, ...rows[0]!, isCurrent: await checkVersion(database, DIALECT) };
  } catch (error) {
    throw databaseError(error, place);
  } finally {
    await database.destroy();
  }
}

const NOT_CURRENT = 'no natprobed has written it, or an older one: start a server with it once';

function kyselyOver(pool: PostgresPool): Kysely<ReportDatabase> {
  return new Kysely<ReportDatabase>({
    dialect: new PostgresDialect({ pool }),
    // `in ()`, which SQLite takes.
    plugins: [new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })],
  });
}

/** What a Kysely takes its connections from. */
class Connections implements PostgresPool {
  /** Kysely's to copy where it cancels queries, which nothing here does. */
  readonly options = {};
  readonly #pool: pg.Pool;
  readonly #prepare: () => Promise<void>;
  #prepared: Promise<void> | undefined;

  /** `prepare` is done before the first connection is given, and again if it failed. */
  constructor(config: pg.PoolConfig, prepare: () => Promise<void>) {
    this.#prepare = prepare;
    this.#pool = new pg.Pool({
      ...config,
      max: MOST_CONNECTIONS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      statement_timeout: QUERY_TIMEOUT_MS,
      idle_in_transaction_session_timeout: QUERY_TIMEOUT_MS,
    });
    ignoreLosses(this.#pool);
  }

  prepare(): Promise<void> {
    this.#prepared ??= this.#prepare().catch((error: unknown) => {
      this.#prepared = undefined;
      throw error;
    });
    return this.#prepared;
  }

  async connect(): Promise<PostgresPoolClient> {
    await this.prepare();
    const client = await this.#pool.connect();
    let lost: Error | undefined;
    const query = async (text: string, values: readonly unknown[]): Promise<pg.QueryResult> => {
      if (lost !== undefined) throw lost;
      try {
        return await client.query(text, [...values]);
      } catch (error) {
        // What PostgreSQL itself says leaves the connection as it is, but for its good-bye.
        if (!(error instanceof pg.DatabaseError) || isOutage(error)) lost = error as Error;
        throw error;
      }
    };
    return {
      query: query as unknown as PostgresPoolClient['query'],
      release: (discard = false) => client.release(lost ?? discard),
    };
  }

  async end(): Promise<void> {
    await this.#pool.end();
  }
}

/** A connection that is lost while nothing is asked of it would end the process; the next query meets the loss. */
function ignoreLosses(pool: pg.Pool): void {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
}

/** On a connection of its own, which may wait for other servers that do the same, and for long changes. */
async function migrate(config: pg.PoolConfig): Promise<void> {
  const pool = new pg.Pool({ ...config, max: 1 });
  ignoreLosses(pool);
  const database = kyselyOver(pool);
  try {
    if (!(await checkVersion(database, DIALECT))) await migrateTables(database, DIALECT);
  } finally {
    await database.destroy();
  }
}

/** Throws ERR_DATABASE if the file of the password can't be read. */
function configOf({ url, passwordFile }: PostgresSettings): pg.PoolConfig {
  const address = new URL(url);
  if (passwordFile !== undefined) {
    try {
      address.password = encodeURIComponent(readFileSync(passwordFile, 'utf8').split(/\r?\n/)[0]!);
    } catch (error) {
      throw new NatprobeError('ERR_DATABASE', '--database-password-file', messageOf(error), { cause: error });
    }
  }
  return {
    connectionString: address.href,
    application_name: 'natprobed',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  };
}

/** Counts and times in milliseconds stay far below 2^53. */
function parserOf(type: TypeId, format?: 'text'): (value: string) => unknown {
  if (type === pg.types.builtins.INT8) return Number;
  return pg.types.getTypeParser(type, format) as (value: string) => unknown;
}
type TypeId = Parameters<typeof pg.types.getTypeParser>[0];

/** Without user, password and options. */
function placeOf({ url }: PostgresSettings): string {
  const { host, pathname } = new URL(url);
  return `postgres://${host}${pathname}`;
}

function databaseError(error: unknown, place: string): NatprobeError {
  if (error instanceof NatprobeError) return error;
  return new NatprobeError('ERR_DATABASE', '--database', `${place}: ${messagesOf(error)}`, { cause: error });
}

/** Whether it may pass by itself: nobody answers, or the server starts, stops or is full. */
function isOutage(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  if (error instanceof pg.DatabaseError) return OUTAGE_STATES.test(error.code ?? '');
  if (typeof code === 'string') return OUTAGE_CODES.has(code);
  return error instanceof Error && /timeout|terminated/i.test(error.message);
}

/** Connection lost, too few resources, and an administrator who stops it (PostgreSQL's Appendix A). */
const OUTAGE_STATES = /^(08|53|57P)/;
const OUTAGE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** Of each address that was tried. */
function messagesOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messagesOf).join('; ') : messageOf(error);
}
