/** Counts of reports, from what is kept by the day; only the broken days at the ends of a period are counted. */
import type { Kysely } from 'kysely';
import { kindsOf, type Period, periodOf } from './queries.ts';
import type { ReportFilter, ReportStatistics } from './report-store.ts';
import type { Kind } from './rows.ts';
import type { ReportDatabase } from './tables.ts';

type Database = Kysely<ReportDatabase>;

export const DAY_MS = 24 * 60 * 60 * 1000;

/** The day (UTC) of a time in milliseconds since 1970. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

/** Throws ERR_TIME. */
export async function summariseReports(database: Database, filter: ReportFilter): Promise<ReportStatistics> {
  const { since, until } = periodOf(filter);
  const wholeFrom = Math.ceil(since / DAY_MS) * DAY_MS;
  const wholeTo = Math.max(wholeFrom, Math.floor(until / DAY_MS) * DAY_MS);
  const kinds = await kindsById(database, filter);
  const parts = [
    ...(await countPart(database, kinds, { since, until: Math.min(wholeFrom, until) })),
    ...(await countPart(database, kinds, { since: wholeTo, until })),
  ];
  const whole = countsOfDays(database, [...kinds.keys()], { since: wholeFrom, until: wholeTo });
  const byKind = await whole.select('kind').groupBy('kind').execute();
  const byDay = await whole
    .innerJoin('kinds', 'kinds.id', 'kind')
    .select(['day', 'type'])
    .groupBy(['day', 'type'])
    .execute();
  const counts = [...parts, ...byKind.map(({ kind, count }) => ({ ...kinds.get(kind)!, count }))];
  return {
    reports: counts.reduce((sum, { count }) => sum + count, 0),
    types: byCount(tally(counts, ({ type }) => ({ type }))),
    cells: byCount(tally(counts, ({ mapping, filtering }) => ({ mapping, filtering }))),
    families: byCount(tally(counts, ({ family }) => ({ family }))),
    sources: byCount(tally(counts, ({ source }) => ({ source }))),
    days: byCount(tally([...parts, ...byDay], ({ day, type }) => ({ day, type }))).sort((a, b) =>
      compare(a.day, b.day),
    ),
  };
}

/** The kinds that a filter lets through. */
async function kindsById(database: Database, filter: ReportFilter): Promise<ReadonlyMap<number, Kind>> {
  const wanted = await kindsOf(database, filter);
  const rows = await database
    .selectFrom('kinds')
    .selectAll()
    .$if(wanted !== undefined, (query) => query.where('id', 'in', wanted!))
    .execute();
  return new Map(rows.map(({ id, ...kind }) => [id, kind]));
}

/** Of whole days. */
function countsOfDays(database: Database, kinds: readonly number[], { since, until }: Period) {
  return database
    .selectFrom('report_counts')
    .select((eb) => eb.cast<number>(eb.fn.sum('count'), 'bigint').as('count'))
    .where('kind', 'in', kinds)
    .where('day', '>=', dayOf(since))
    .where('day', '<', dayOf(until));
}

/** The reports of a part of a day. */
async function countPart(
  database: Database,
  kinds: ReadonlyMap<number, Kind>,
  { since, until }: Period,
): Promise<(Kind & { readonly day: string; readonly count: number })[]> {
  if (since >= until) return [];
  const rows = await database
    .selectFrom('reports')
    .select(({ fn }) => ['kind', fn.countAll<number>().as('count')])
    .where('received_at', '>=', since)
    .where('received_at', '<', until)
    .groupBy('kind')
    .execute();
  return rows.flatMap(({ kind, count }) => {
    const described = kinds.get(kind);
    return described === undefined ? [] : [{ ...described, day: dayOf(since), count }];
  });
}

/** Sums the counts of what `keyOf` makes the same. */
function tally<Counted extends { readonly count: number }, Key extends object>(
  counts: readonly Counted[],
  keyOf: (counted: Counted) => Key,
): (Key & { count: number })[] {
  const sums = new Map<string, Key & { count: number }>();
  for (const counted of counts) {
    const key = keyOf(counted);
    const name = Object.values(key).join(' ');
    const sum = sums.get(name);
    if (sum === undefined) sums.set(name, { ...key, count: counted.count });
    else sum.count += counted.count;
  }
  return [...sums.values()];
}

function byCount<Counted extends { readonly count: number }>(counts: Counted[]): Counted[] {
  return counts.sort((a, b) => b.count - a.count);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
