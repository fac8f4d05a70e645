/** The store in SQL, whatever database. */
import type { Kysely } from 'kysely';
import { NatprobeError } from '../../shared/errors.ts';
import { Batches } from './batches.ts';
import { addReports, type Arrival, removeOldest } from './changes.ts';
import type { MonthlyPartitions } from './partitions.ts';
import { findReport, parseTime, readAll, readPage } from './queries.ts';
import type {
  NewReport,
  ReportFilter,
  ReportPage,
  ReportStatistics,
  ReportStore,
  StoredReport,
} from './report-store.ts';
import { orStoreError } from './store-error.ts';
import { summariseReports } from './statistics.ts';
import type { ReportDatabase } from './tables.ts';

export interface SqlReportStoreOptions {
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly randomBytes: (length: number) => Buffer;
  /** What is kept in place of a report: hides addresses. */
  readonly conceal: (report: NewReport) => NewReport;
  /** Where reports are kept by months. */
  readonly partitions?: MonthlyPartitions;
}

const ID_BYTES = 16;
/** Commits cost the same for one as for many; others wait as long as one takes. */
const MOST_ADDED_AT_ONCE = 128;
const MOST_REMOVED_AT_ONCE = 200;

export class SqlReportStore implements ReportStore {
  readonly #database: Kysely<ReportDatabase>;
  readonly #options: SqlReportStoreOptions;
  readonly #arrivals: Batches<Arrival, StoredReport>;
  #isClosed = false;

  /** Of a database whose tables are up to date; it is the store's to close. */
  constructor(database: Kysely<ReportDatabase>, options: SqlReportStoreOptions) {
    this.#database = database;
    this.#options = options;
    this.#arrivals = new Batches(MOST_ADDED_AT_ONCE, (arrivals) =>
      orStoreError(() => addReports(database, arrivals, options.partitions)),
    );
  }

  async add(report: NewReport): Promise<StoredReport> {
    const { conceal, now, randomBytes } = this.#options;
    if (this.#isClosed) throw new NatprobeError('ERR_STORE', 'reports', 'it is closed');
    return this.#arrivals.add({
      report: conceal(report),
      id: randomBytes(ID_BYTES).toString('base64url'),
      receivedAt: now(),
    });
  }

  find(id: string): Promise<StoredReport | undefined> {
    return orStoreError(() => findReport(this.#database, id));
  }

  list(filter: ReportFilter, page: { readonly limit: number; readonly after?: string }): Promise<ReportPage> {
    return orStoreError(() => readPage(this.#database, filter, page));
  }

  summarise(filter: ReportFilter): Promise<ReportStatistics> {
    return orStoreError(() => summariseReports(this.#database, filter));
  }

  export(filter: ReportFilter): AsyncIterable<StoredReport> {
    return readAll(this.#database, filter);
  }

  async removeBefore(time: string): Promise<number> {
    const timeMs = parseTime(time, 'removeBefore');
    const { partitions } = this.#options;
    let total = partitions === undefined ? 0 : await orStoreError(() => partitions.dropBefore(timeMs));
    for (;;) {
      const removed = await orStoreError(() =>
        removeOldest(this.#database, timeMs, MOST_REMOVED_AT_ONCE, partitions),
      );
      total += removed;
      if (removed < MOST_REMOVED_AT_ONCE || this.#isClosed) return total;
      // Whoever waits is served before the next few.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async check(): Promise<void> {
    await orStoreError(() => this.#database.selectFrom('kinds').select('id').limit(1).execute());
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#arrivals.drain();
    // Whatever is still under way has the connection before this does; without one, nothing is.
    await this.#database
      .connection()
      .execute(() => Promise.resolve())
      .catch(() => undefined);
    await this.#database.destroy();
  }
}
