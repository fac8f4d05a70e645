/** What changes the tables: reports added and removed, each time in one transaction with the counts. */
import type { Insertable, Kysely, Selectable, Transaction } from 'kysely';
import { NatprobeError } from '../../shared/errors.ts';
import type { Settled } from './batches.ts';
import type { MonthlyPartitions } from './partitions.ts';
import type { NewReport, StoredReport } from './report-store.ts';
import { type Kind, kindOf, rowOf } from './rows.ts';
import { dayOf } from './statistics.ts';
import type { ReportDatabase } from './tables.ts';

type Database = Kysely<ReportDatabase>;

/** A report on its way in: under this id, received then (milliseconds since 1970). */
export interface Arrival {
  readonly report: NewReport;
  readonly id: string;
  readonly receivedAt: number;
}

/** What is counted of a report. */
type Counted = Pick<Selectable<ReportDatabase['reports']>, 'id' | 'received_at' | 'kind'>;

/** Keeps them all in one commit, but for those whose nonce has been used (ERR_NONCE_USED). */
export async function addReports(
  database: Database,
  arrivals: readonly Arrival[],
  partitions?: MonthlyPartitions,
): Promise<Settled<StoredReport>[]> {
  await partitions?.ensure(arrivals.map(({ receivedAt }) => receivedAt));
  return database.transaction().execute(async (transaction) => {
    const kinds = await idsOfKinds(transaction, arrivals);
    // Within a partition its index finds them.
    const used = partitions === undefined ? new Set() : await usedNonces(transaction, arrivals);
    const rows = arrivals
      .map(({ report, id, receivedAt }, index) => rowOf(report, { id, receivedAt, kind: kinds[index]! }))
      .filter(({ nonce }) => !used.has(nonce));
    const kept = await insertReports(transaction, rows);
    await changeCounts(transaction, kept, 1);
    const keptIds = new Set(kept.map(({ id }) => id));
    return arrivals.map(({ report: { nonce, ...report }, id, receivedAt }) =>
      keptIds.has(id)
        ? { result: { id, receivedAt: new Date(receivedAt).toISOString(), ...report } }
        : { error: new NatprobeError('ERR_NONCE_USED', 'nonce', nonce) },
    );
  });
}

function insertReports(
  transaction: Transaction<ReportDatabase>,
  rows: readonly Insertable<ReportDatabase['reports']>[],
): Promise<Counted[]> {
  if (rows.length === 0) return Promise.resolve([]);
  return (
    transaction
      .insertInto('reports')
      .values(rows)
      // Ids are random: what conflicts is a nonce.
      .onConflict((conflict) => conflict.doNothing())
      .returning(['id', 'received_at', 'kind'])
      .execute()
  );
}

async function usedNonces(
  transaction: Transaction<ReportDatabase>,
  arrivals: readonly Arrival[],
): Promise<ReadonlySet<unknown>> {
  const nonces = arrivals.flatMap(({ report: { nonce } }) => (nonce === undefined ? [] : [nonce]));
  if (nonces.length === 0) return new Set();
  const used = await transaction.selectFrom('reports').select('nonce').where('nonce', 'in', nonces).execute();
  return new Set(used.map(({ nonce }) => nonce));
}

/** Removes at most `limit` reports that came before `time`, in milliseconds since 1970; returns how many. */
export async function removeOldest(
  database: Database,
  time: number,
  limit: number,
  partitions?: MonthlyPartitions,
): Promise<number> {
  return database.transaction().execute(async (transaction) => {
    // Servers that share a database sweep one after the other.
    await partitions?.lock(transaction);
    const removed = await transaction
      .deleteFrom('reports')
      .where('seq', 'in', (query) =>
        query
          .selectFrom('reports')
          .select('seq')
          .where('received_at', '<', time)
          .orderBy('received_at')
          .orderBy('seq')
          .limit(limit),
      )
      .returning(['received_at', 'kind'])
      .execute();
    await changeCounts(transaction, removed, -1);
    return removed.length;
  });
}

/** The ids of the arrivals' kinds, in their order; new kinds get one. */
async function idsOfKinds(
  transaction: Transaction<ReportDatabase>,
  arrivals: readonly Arrival[],
): Promise<number[]> {
  const names = arrivals.map(({ report }) => nameOf(kindOf(report)));
  const known = await transaction.selectFrom('kinds').selectAll().execute();
  const ids = new Map(known.map(({ id, ...kind }) => [nameOf(kind), id]));
  // In one order, so that no two servers wait for each other.
  for (const name of [...new Set(names)].sort()) {
    if (!ids.has(name)) ids.set(name, await addKind(transaction, JSON.parse(name) as Kind));
  }
  return names.map((name) => ids.get(name)!);
}

function nameOf({ type, mapping, filtering, family, source }: Kind): string {
  return JSON.stringify({ type, mapping, filtering, family, source });
}

async function addKind(transaction: Transaction<ReportDatabase>, kind: Kind): Promise<number> {
  // Another server may have been faster: then this changes nothing, and still returns its row.
  const added = await transaction
    .insertInto('kinds')
    .values(kind)
    .onConflict((conflict) =>
      conflict.columns(['type', 'mapping', 'filtering', 'family', 'source']).doUpdateSet({ type: kind.type }),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  return added.id;
}

async function changeCounts(
  transaction: Transaction<ReportDatabase>,
  reports: readonly Omit<Counted, 'id'>[],
  sign: 1 | -1,
): Promise<void> {
  if (reports.length === 0) return;
  const byDayAndKind = Map.groupBy(reports, ({ received_at: time, kind }) => `${dayOf(time)} ${kind}`);
  // In one order, so that no two servers wait for each other.
  const inOrder = [...byDayAndKind].sort(([one], [other]) => (one < other ? -1 : 1));
  const changes = inOrder.map(([, group]) => ({
    day: dayOf(group[0]!.received_at),
    kind: group[0]!.kind,
    count: sign * group.length,
  }));
  await transaction
    .insertInto('report_counts')
    .values(changes)
    .onConflict((conflict) =>
      conflict.columns(['day', 'kind']).doUpdateSet((eb) => ({
        count: eb('report_counts.count', '+', eb.ref('excluded.count')),
      })),
    )
    .execute();
  if (sign === -1) await transaction.deleteFrom('report_counts').where('count', '<=', 0).execute();
}
