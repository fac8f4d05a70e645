/**
 * Reports out of the tables. A filter first picks the kinds that it lets through, some dozens at
 * most; the newest reports of each are then read from one index and merged, so that a page costs the
 * same for a rare kind as for a frequent one, and for any combination of filters.
 */
import type { Kysely, SelectQueryBuilder } from 'kysely';
import { NatprobeError } from '../../shared/errors.ts';
import type { ReportFilter, ReportPage, StoredReport } from './report-store.ts';
import { reportOf, SUMMARY_COLUMNS, summaryOf } from './rows.ts';
import { orStoreError } from './store-error.ts';
import type { ReportDatabase } from './tables.ts';

type Database = Kysely<ReportDatabase>;

/** Milliseconds since 1970: from `since` on, and before `until`. */
export interface Period {
  readonly since: number;
  readonly until: number;
}

/** Throws ERR_TIME. */
export function periodOf({ since, until }: ReportFilter): Period {
  return {
    since: since === undefined ? 0 : Math.max(0, parseTime(since, 'since')),
    until: until === undefined ? END_OF_TIME : Math.min(END_OF_TIME, parseTime(until, 'until')),
  };
}

/** A day whose name still sorts after all before it. */
const END_OF_TIME = Date.UTC(9999, 11, 31);

/** Milliseconds since 1970 of an ISO 8601 time. Throws ERR_TIME naming `place`. */
export function parseTime(text: string, place: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new NatprobeError('ERR_TIME', place, `got ${JSON.stringify(text)}`);
  return time;
}

/** The kinds that a filter lets through, or undefined if it is all of them. */
export async function kindsOf(database: Database, filter: ReportFilter): Promise<number[] | undefined> {
  const { type, mapping, filtering, family, source } = filter;
  const wanted = Object.entries({ type, mapping, filtering, family, source }).filter(
    (entry): entry is [keyof typeof filter & KindColumn, never] => entry[1] !== undefined,
  );
  if (wanted.length === 0) return undefined;
  let query = database.selectFrom('kinds').select('id');
  for (const [column, value] of wanted) query = query.where(column, '=', value);
  return (await query.execute()).map(({ id }) => id);
}
type KindColumn = 'type' | 'mapping' | 'filtering' | 'family' | 'source';

export async function findReport(database: Database, id: string): Promise<StoredReport | undefined> {
  const row = await database
    .selectFrom('reports')
    .innerJoin('kinds', 'kinds.id', 'reports.kind')
    .select([...SUMMARY_COLUMNS, 'document'])
    .where('reports.id', '=', id)
    .executeTakeFirst();
  return row && reportOf(row);
}

/** Throws ERR_PAGE if `after` is nothing that a page gave, ERR_TIME. */
export async function readPage(
  database: Database,
  filter: ReportFilter,
  { limit, after }: { readonly limit: number; readonly after?: string },
): Promise<ReportPage> {
  const period = periodOf(filter);
  const from = after === undefined ? undefined : decodeCursor(after);
  const kinds = await kindsOf(database, filter);
  // One more tells whether there is a next page.
  const places = await newestPlaces(database, kinds, period, from, limit + 1);
  const shown = places.slice(0, limit);
  const last = places.length > limit ? shown.at(-1) : undefined;
  const rows = await database
    .selectFrom('reports')
    .innerJoin('kinds', 'kinds.id', 'reports.kind')
    .select(SUMMARY_COLUMNS)
    .where(
      'seq',
      'in',
      shown.map(({ seq }) => seq),
    )
    .orderBy('received_at', 'desc')
    .orderBy('seq', 'desc')
    .execute();
  return { reports: rows.map(summaryOf), ...(last && { next: encodeCursor(last) }) };
}

/** Where a report stands in the order of time. */
interface Place {
  readonly seq: number;
  readonly received_at: number;
}

async function newestPlaces(
  database: Database,
  kinds: readonly number[] | undefined,
  { since, until }: Period,
  after: Place | undefined,
  limit: number,
): Promise<Place[]> {
  const newest = (kind?: number): SelectQueryBuilder<ReportDatabase, 'reports', Place> => {
    let query = database
      .selectFrom('reports')
      .select(['seq', 'received_at'])
      .where('received_at', '>=', since)
      .orderBy('received_at', 'desc')
      .orderBy('seq', 'desc')
      .limit(limit);
    if (kind !== undefined) query = query.where('kind', '=', kind);
    if (after === undefined) query = query.where('received_at', '<', until);
    else {
      const { seq, received_at: time } = after;
      // In place of the other bound, which is later: with both, SQLite starts from the wrong one.
      query = query
        .where('received_at', '<=', time)
        .where((eb) => eb.or([eb('received_at', '<', time), eb('seq', '<', seq)]));
    }
    return query;
  };
  if (kinds === undefined) return newest().execute();
  const [first, ...others] = kinds.map((kind) =>
    database.selectFrom(newest(kind).as(`of_kind_${kind}`)).select(['seq', 'received_at']),
  );
  if (first === undefined) return [];
  const merged = others.reduce((all, other) => all.unionAll(other), first);
  return database
    .selectFrom(merged.as('places'))
    .select(['seq', 'received_at'])
    .orderBy('received_at', 'desc')
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
}

/** So many reports are in memory at a time. */
const EXPORT_BATCH = 100;

/** The oldest first. What comes or goes meanwhile may be among them or not. */
export async function* readAll(database: Database, filter: ReportFilter): AsyncGenerator<StoredReport> {
  const { since, until } = periodOf(filter);
  const kinds = await orStoreError(() => kindsOf(database, filter));
  let after: Place = { seq: 0, received_at: since };
  for (;;) {
    const { seq, received_at: time } = after;
    let query = database
      .selectFrom('reports')
      .innerJoin('kinds', 'kinds.id', 'reports.kind')
      .select([...SUMMARY_COLUMNS, 'document'])
      .where('received_at', '>=', time)
      .where((eb) => eb.or([eb('received_at', '>', time), eb('seq', '>', seq)]))
      .where('received_at', '<', until)
      .orderBy('received_at')
      .orderBy('seq')
      .limit(EXPORT_BATCH);
    if (kinds !== undefined) query = query.where('kind', 'in', kinds);
    const rows = await orStoreError(() => query.execute());
    for (const row of rows) yield reportOf(row);
    const last = rows.at(-1);
    if (last === undefined || rows.length < EXPORT_BATCH) return;
    after = last;
  }
}

function encodeCursor({ seq, received_at: time }: Place): string {
  return `${time.toString(36)}-${seq.toString(36)}`;
}

function decodeCursor(text: string): Place {
  const match = /^([0-9a-z]{1,10})-([0-9a-z]{1,10})$/.exec(text);
  if (match === null) throw new NatprobeError('ERR_PAGE', 'after', `got ${JSON.stringify(text)}`);
  return { received_at: parseInt(match[1]!, 36), seq: parseInt(match[2]!, 36) };
}
