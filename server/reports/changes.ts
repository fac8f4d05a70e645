/** What changes the tables: reports added and removed, each time in one transaction with the counts. */
import type { Kysely, Transaction } from 'kysely';
import { NatprobeError } from '../../shared/errors.ts';
import type { Settled } from './batches.ts';
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

/** Keeps them all in one commit, but for those whose nonce has been used (ERR_NONCE_USED). */
export async function addReports(
  database: Database,
  arrivals: readonly Arrival[],
): Promise<Settled<StoredReport>[]> {
  return database.transaction().execute(async (transaction) => {
    const kinds = await idsOfKinds(transaction, arrivals);
    const rows = arrivals.map(({ report, id, receivedAt }, index) =>
      rowOf(report, { id, receivedAt, kind: kinds[index]! }),
    );
    const kept = await transaction
      .insertInto('reports')
      .values(rows)
      .onConflict((conflict) => conflict.column('nonce').doNothing())
      .returning(['id', 'received_at', 'kind'])
      .execute();
    await changeCounts(transaction, kept, 1);
    const keptIds = new Set(kept.map(({ id }) => id));
    return arrivals.map(({ report: { nonce, ...report }, id, receivedAt }) =>
      keptIds.has(id)
        ? { result: { id, receivedAt: new Date(receivedAt).toISOString(), ...report } }
        : { error: new NatprobeError('ERR_NONCE_USED', 'nonce', nonce) },
    );
  });
}

/** Removes at most `limit` reports that came before `time`, in milliseconds since 1970; returns how many. */
export async function removeOldest(database: Database, time: number, limit: number): Promise<number> {
  return database.transaction().execute(async (transaction) => {
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
  const names = arrivals.map(({ report }) => JSON.stringify(kindOf(report)));
  const ids = new Map<string, number>();
  for (const [index, name] of names.entries()) {
    if (!ids.has(name)) ids.set(name, await idOfKind(transaction, kindOf(arrivals[index]!.report)));
  }
  return names.map((name) => ids.get(name)!);
}

async function idOfKind(transaction: Transaction<ReportDatabase>, kind: Kind): Promise<number> {
  const { type, mapping, filtering, family, source } = kind;
  const found = await transaction
    .selectFrom('kinds')
    .select('id')
    .where('type', '=', type)
    .where('mapping', '=', mapping)
    .where('filtering', '=', filtering)
    .where('family', '=', family)
    .where('source', '=', source)
    .executeTakeFirst();
  if (found !== undefined) return found.id;
  // Another server may have been faster: then this changes nothing, and still returns its row.
  const added = await transaction
    .insertInto('kinds')
    .values(kind)
    .onConflict((conflict) =>
      conflict.columns(['type', 'mapping', 'filtering', 'family', 'source']).doUpdateSet({ type }),
    )
    .returning('id')
    .executeTakeFirstOrThrow();
  return added.id;
}

async function changeCounts(
  transaction: Transaction<ReportDatabase>,
  reports: readonly { readonly received_at: number; readonly kind: number }[],
  sign: 1 | -1,
): Promise<void> {
  if (reports.length === 0) return;
  const byDayAndKind = Map.groupBy(reports, ({ received_at: time, kind }) => `${dayOf(time)} ${kind}`);
  const changes = [...byDayAndKind.values()].map((group) => ({
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
