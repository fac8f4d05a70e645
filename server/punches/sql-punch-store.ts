/** Punches in SQL, in the database of the reports; what `/stats` tells is counted by the day. */
import type { Insertable, Kysely, Transaction } from 'kysely';
import { Batches } from '../reports/batches.ts';
import { parseTime, periodOf } from '../reports/queries.ts';
import { dayOf } from '../reports/statistics.ts';
import { orStoreError } from '../reports/store-error.ts';
import type { ReportDatabase } from '../reports/tables.ts';
import { learnedProbability, LearnedScores } from './learned.ts';
import type { EndedPunch, PunchCounts, PunchStatistics, PunchStore } from './punch-store.ts';

interface Arrival {
  readonly punch: EndedPunch;
  readonly endedAt: number;
}

const BINS = 10;
const MOST_ADDED_AT_ONCE = 128;
const MOST_REMOVED_AT_ONCE = 500;
/** Pairs that are told of: all that there are, unless somebody states odd behaviours. */
const MOST_PAIRS = 200;

export class SqlPunchStore implements PunchStore {
  /** Of what is kept, and what comes. */
  readonly learned = new LearnedScores();
  readonly #database: Kysely<ReportDatabase>;
  readonly #now: () => number;
  readonly #arrivals: Batches<Arrival, undefined>;

  /** `now` is in milliseconds since 1970. */
  constructor(database: Kysely<ReportDatabase>, now: () => number) {
    this.#database = database;
    this.#now = now;
    this.#arrivals = new Batches(MOST_ADDED_AT_ONCE, async (arrivals) => {
      await orStoreError(() => addPunches(database, arrivals));
      for (const { punch } of arrivals) if (punch.counts) this.learned.add(punch, isOpen(punch));
      return arrivals.map(() => ({ result: undefined }));
    });
  }

  /** Reads what was learned before. */
  async load(): Promise<void> {
    const rows = await orStoreError(() => countsOf(this.#database).execute());
    this.learned.clear();
    for (const { punches, open, ...pair } of rows) {
      const score = this.learned.of(pair);
      this.learned.set(pair, { punches: score.punches + punches, open: score.open + open });
    }
  }

  async add(punch: EndedPunch): Promise<void> {
    await this.#arrivals.add({ punch: inOrder(punch), endedAt: this.#now() });
  }

  async summarise(filter: { readonly since?: string; readonly until?: string }): Promise<PunchStatistics> {
    const { since, until } = periodOf(filter);
    // A day is told of if any part of it is in the period.
    const [first, last] = [since, Math.max(0, until - 1)].map(dayOf);
    return orStoreError(() => summarise(this.#database, first!, last!));
  }

  async removeBefore(time: string): Promise<number> {
    const timeMs = parseTime(time, 'removeBefore');
    let total = 0;
    for (;;) {
      const removed = await orStoreError(() => removeOldest(this.#database, timeMs));
      total += removed;
      if (removed < MOST_REMOVED_AT_ONCE) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (total > 0) await this.load();
    return total;
  }

  drain(): Promise<void> {
    return this.#arrivals.drain();
  }
}

type CountRow = Insertable<ReportDatabase['punch_counts']>;

async function addPunches(database: Kysely<ReportDatabase>, arrivals: readonly Arrival[]): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    await transaction.insertInto('punches').values(arrivals.map(rowOf)).execute();
    await count(transaction, arrivals);
  });
}

function rowOf({ punch, endedAt }: Arrival): Insertable<ReportDatabase['punches']> {
  const { a, b } = punch.outcomes;
  return {
    ended_at: endedAt,
    a: punch.a,
    b: punch.b,
    transport: punch.transport,
    attempt: punch.attempt,
    strategy: punch.predicted.strategy,
    probability: punch.predicted.probability,
    outcome_a: a?.outcome ?? null,
    outcome_b: b?.outcome ?? null,
    opened_by: a?.strategy ?? b?.strategy ?? null,
    path: a?.path ?? b?.path ?? null,
    packets: (a?.packets ?? 0) + (b?.packets ?? 0),
    time_ms: Math.max(a?.timeMs ?? 0, b?.timeMs ?? 0),
    counts: punch.counts ? 1 : 0,
  };
}

async function count(transaction: Transaction<ReportDatabase>, arrivals: readonly Arrival[]): Promise<void> {
  const rows = new Map<string, CountRow>();
  for (const { punch, endedAt } of arrivals) {
    const { a, b, transport, predicted, counts } = punch;
    const bin = Math.min(BINS - 1, Math.floor(predicted.probability * BINS));
    const key = [dayOf(endedAt), transport, a, b, bin].join(' ');
    const known = rows.get(key);
    rows.set(key, {
      day: dayOf(endedAt),
      transport,
      a,
      b,
      bin,
      ended: (known?.ended ?? 0) + 1,
      punches: (known?.punches ?? 0) + (counts ? 1 : 0),
      open: (known?.open ?? 0) + (counts && isOpen(punch) ? 1 : 0),
      predicted: (known?.predicted ?? 0) + (counts ? predicted.probability : 0),
    });
  }
  await transaction
    .insertInto('punch_counts')
    .values([...rows.values()])
    .onConflict((conflict) =>
      conflict.columns(['day', 'transport', 'a', 'b', 'bin']).doUpdateSet((eb) => ({
        ended: eb('punch_counts.ended', '+', eb.ref('excluded.ended')),
        punches: eb('punch_counts.punches', '+', eb.ref('excluded.punches')),
        open: eb('punch_counts.open', '+', eb.ref('excluded.open')),
        predicted: eb('punch_counts.predicted', '+', eb.ref('excluded.predicted')),
      })),
    )
    .execute();
}

function countsOf(database: Kysely<ReportDatabase>) {
  return database
    .selectFrom('punch_counts')
    .select(['transport', 'a', 'b', 'bin'])
    .select((eb) => [
      eb.cast<number>(eb.fn.sum('ended'), 'bigint').as('ended'),
      eb.cast<number>(eb.fn.sum('punches'), 'bigint').as('punches'),
      eb.cast<number>(eb.fn.sum('open'), 'bigint').as('open'),
      eb.cast<number>(eb.fn.sum('predicted'), 'double precision').as('predicted'),
    ])
    .groupBy(['transport', 'a', 'b', 'bin']);
}

/** From the first day to the last one, both with them. */
async function summarise(
  database: Kysely<ReportDatabase>,
  first: string,
  last: string,
): Promise<PunchStatistics> {
  const rows = await countsOf(database).where('day', '>=', first).where('day', '<=', last).execute();
  const byPair = Map.groupBy(rows, ({ a, b, transport }) => [transport, a, b].join(' '));
  const pairs = [...byPair.values()].map((group) => {
    const { a, b, transport } = group[0]!;
    const counts = sumOf(group);
    const learned = learnedProbability(counts.predicted, counts);
    return { a, b, transport, ...counts, ...(learned !== undefined && { learned }) };
  });
  return {
    punches: rows.reduce((sum, { ended }) => sum + ended, 0),
    bins: Array.from({ length: BINS }, (_, bin) => ({
      from: bin / BINS,
      to: (bin + 1) / BINS,
      ...sumOf(rows.filter((row) => row.bin === bin)),
    })),
    pairs: pairs
      .filter(({ punches }) => punches > 0)
      .sort((one, other) => other.punches - one.punches)
      .slice(0, MOST_PAIRS),
  };
}

/** The sums, with the mean of what was predicted. */
function sumOf(rows: readonly PunchCounts[]): PunchCounts {
  const sum = (name: keyof PunchCounts): number => rows.reduce((total, row) => total + row[name], 0);
  const punches = sum('punches');
  return { punches, open: sum('open'), predicted: punches === 0 ? 0 : sum('predicted') / punches };
}

async function removeOldest(database: Kysely<ReportDatabase>, timeMs: number): Promise<number> {
  return database.transaction().execute(async (transaction) => {
    const removed = await transaction
      .deleteFrom('punches')
      .where('seq', 'in', (query) =>
        query
          .selectFrom('punches')
          .select('seq')
          .where('ended_at', '<', timeMs)
          .orderBy('ended_at')
          .limit(MOST_REMOVED_AT_ONCE),
      )
      .returning('seq')
      .execute();
    await transaction.deleteFrom('punch_counts').where('day', '<', dayOf(timeMs)).execute();
    return removed.length;
  });
}

/** That both say so, or only one does, is the same here: those that count agree. What a relay carries was not punched. */
function isOpen({ outcomes: { a } }: EndedPunch): boolean {
  return a?.outcome === 'open' && a.path !== 'relay';
}

/** A pair is the same, whoever of the two asked. */
function inOrder(punch: EndedPunch): EndedPunch {
  if (punch.a <= punch.b) return punch;
  const { a, b } = punch.outcomes;
  const outcomes = { ...(b !== undefined && { a: b }), ...(a !== undefined && { b: a }) };
  return { ...punch, a: punch.b, b: punch.a, outcomes };
}
