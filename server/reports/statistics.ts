/** Counts of reports, from what is kept by the day; only the broken days at the ends of a period are counted. */
import type { Kysely } from 'kysely';
import { kindsOf, type Period, periodOf } from './queries.ts';
import type { ReportFilter, ReportStatistics } from './report-store.ts';
import type { ReportDatabase } from './tables.ts';

type Database = Kysely<ReportDatabase>;

export const DAY_MS = 24 * 60 * 60 * 1000;

/** The day (UTC) of a time in milliseconds since 1970. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10);
}

interface KindCount {
  readonly day: string;
  readonly kind: number;
  readonly count: number;
}

/** Throws ERR_TIME. */
export async function summariseReports(database: Database, filter: ReportFilter): Promise<ReportStatistics> {
  const wanted = await kindsOf(database, filter);
  const kinds = await database
    .selectFrom('kinds')
    .selectAll()
    .$if(wanted !== undefined, (query) => query.where('id', 'in', wanted!))
    .execute();
  const byId = new Map(kinds.map((kind) => [kind.id, kind]));
  const counts = (await countPeriod(database, periodOf(filter))).flatMap(({ day, kind, count }) => {
    const described = byId.get(kind);
    return described === undefined ? [] : [{ ...described, day, count }];
  });
  return {
    reports: counts.reduce((sum, { count }) => sum + count, 0),
    types: byCount(tally(counts, ({ type }) => ({ type }))),
    cells: byCount(tally(counts, ({ mapping, filtering }) => ({ mapping, filtering }))),
    families: byCount(tally(counts, ({ family }) => ({ family }))),
    sources: byCount(tally(counts, ({ source }) => ({ source }))),
    days: tally(counts, ({ day, type }) => ({ day, type })).sort(
      (a, b) => compare(a.day, b.day) || b.count - a.count || compare(a.type, b.type),
    ),
  };
}

async function countPeriod(database: Database, { since, until }: Period): Promise<KindCount[]> {
  const wholeFrom = Math.ceil(since / DAY_MS) * DAY_MS;
  const wholeTo = Math.max(wholeFrom, Math.floor(until / DAY_MS) * DAY_MS);
  const whole = database
    .selectFrom('report_counts')
    .select(['day', 'kind', 'count'])
    .where('day', '>=', dayOf(wholeFrom))
    .where('day', '<', dayOf(wholeTo));
  return [
    ...(await countPart(database, since, Math.min(wholeFrom, until))),
    ...(await whole.execute()),
    ...(await countPart(database, wholeTo, until)),
  ];
}

/** Both times are of one day. */
async function countPart(database: Database, since: number, until: number): Promise<KindCount[]> {
  if (since >= until) return [];
  const rows = await database
    .selectFrom('reports')
    .select(({ fn }) => ['kind', fn.countAll<number>().as('count')])
    .where('received_at', '>=', since)
    .where('received_at', '<', until)
    .groupBy('kind')
    .execute();
  return rows.map(({ kind, count }) => ({ day: dayOf(since), kind, count }));
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
