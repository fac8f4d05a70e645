/**
 * PostgreSQL keeps reports by months (UTC), each in a partition of `reports`: what is too old goes with its
 * month, at no cost, and an index is no larger than a month. Ids and nonces are unique within one.
 */
import { type Kysely, sql, type Transaction } from 'kysely';
import { DAY_MS, dayOf } from './statistics.ts';
import type { ReportDatabase } from './tables.ts';

/** Makes and drops the partitions; its times are in milliseconds since 1970. */
export class MonthlyPartitions {
  readonly #database: Kysely<ReportDatabase>;
  readonly #known = new Set<string>();

  constructor(database: Kysely<ReportDatabase>) {
    this.#database = database;
  }

  /** Resolves once there is a partition for each of these times, and for what follows within days. */
  async ensure(times: readonly number[]): Promise<void> {
    const months = new Set(times.flatMap((time) => [monthOf(time), monthOf(time + AHEAD_MS)]));
    for (const month of months) {
      const { name } = month;
      if (this.#known.has(name)) continue;
      await this.#database.transaction().execute(async (transaction) => {
        await this.lock(transaction);
        if (!(await listPartitions(transaction)).includes(name)) await createPartition(transaction, month);
      });
      this.#known.add(name);
    }
  }

  /** Drops the months that were over by then; returns how many reports went. */
  async dropBefore(time: number): Promise<number> {
    const names = await listPartitions(this.#database);
    let total = 0;
    for (const name of names) {
      const month = monthNamed(name);
      if (month === undefined || month.until > time) continue;
      this.#known.delete(name);
      total += await this.#database.transaction().execute((transaction) => this.#drop(transaction, month));
    }
    return total;
  }

  /** Keeps other servers from making, dropping and removing until the transaction ends. */
  async lock(transaction: Transaction<ReportDatabase>): Promise<void> {
    await sql`select pg_advisory_xact_lock(${sql.lit(LOCK)})`.execute(transaction);
  }

  async #drop(transaction: Transaction<ReportDatabase>, { name, since, until }: Month): Promise<number> {
    await this.lock(transaction);
    if (!(await listPartitions(transaction)).includes(name)) return 0;
    const removed = await transaction
      .selectFrom('report_counts')
      .select((eb) => eb.cast<number | null>(eb.fn.sum('count'), 'bigint').as('count'))
      .where('day', '>=', dayOf(since))
      .where('day', '<', dayOf(until))
      .executeTakeFirst();
    // Whatever reads for long, a backup for one, makes this wait, and all queries after it: rather try again later.
    await sql`set local lock_timeout = ${sql.lit(DROP_TIMEOUT_MS)}`.execute(transaction);
    await sql`drop table ${sql.table(name)}`.execute(transaction);
    await transaction
      .deleteFrom('report_counts')
      .where('day', '>=', dayOf(since))
      .where('day', '<', dayOf(until))
      .execute();
    return removed?.count ?? 0;
  }
}

/** Of these advisory locks: "natp" as a number. */
const LOCK = 0x6e617470;
const AHEAD_MS = 7 * DAY_MS;
const DROP_TIMEOUT_MS = 2000;

interface Month {
  /** Of its partition. */
  readonly name: string;
  readonly since: number;
  readonly until: number;
}

function monthOf(time: number): Month {
  const [year, month] = [new Date(time).getUTCFullYear(), new Date(time).getUTCMonth()];
  const name = `reports_${String(year).padStart(4, '0')}_${String(month + 1).padStart(2, '0')}`;
  return { name, since: Date.UTC(year, month), until: Date.UTC(year, month + 1) };
}

function monthNamed(name: string): Month | undefined {
  const [, year, month] = /^reports_(\d{4})_(\d{2})$/.exec(name) ?? [];
  return year === undefined ? undefined : monthOf(Date.UTC(Number(year), Number(month) - 1));
}

async function listPartitions(database: Kysely<ReportDatabase>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'reports'::regclass order by relname`.execute(database);
  return rows.map(({ name }) => name);
}

/** Attached once it is complete: this way nobody who reads or adds has to wait. */
async function createPartition(
  transaction: Transaction<ReportDatabase>,
  { name, since, until }: Month,
): Promise<void> {
  const table = sql.table(name);
  // Few rows change, and many come: statistics and the map of what all may see are to keep up.
  await sql`create table ${table} (like reports including defaults including indexes including storage)
    with (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.05,
          autovacuum_analyze_scale_factor = 0.05)`.execute(transaction);
  await sql`create unique index on ${table} (id)`.execute(transaction);
  await sql`create unique index on ${table} (nonce) where nonce is not null`.execute(transaction);
  await sql`alter table reports attach partition ${table}
    for values from (${sql.lit(since)}) to (${sql.lit(until)})`.execute(transaction);
}
