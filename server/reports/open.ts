/** The reports of a server: their store, what is hidden of them, and how long they are kept. */
import { randomBytes } from 'node:crypto';
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';
import { concealAddresses } from './privacy.ts';
import { SqlPunchStore } from '../punches/sql-punch-store.ts';
import type { ReportStore } from './report-store.ts';
import { startRetention } from './retention.ts';
import type { ReportSettings } from './settings.ts';
import { openSqlite } from './sqlite.ts';
import { SqlReportStore } from './sql-report-store.ts';

export interface OpenReports {
  readonly store: ReportStore;
  /** Of the punches that the broker planned, in the same database. */
  readonly punches: SqlPunchStore;
  /** Ends the sweeps and closes the store; what was to be added is. */
  close(): Promise<void>;
}

/** Throws ERR_DATA or ERR_DATABASE. A PostgreSQL that can't be reached yet is waited for while all else goes on. */
export async function openReports(settings: ReportSettings, log: Log): Promise<OpenReports> {
  const { directory, postgres, keepMs, addresses } = settings;
  const now = Date.now;
  const monotonicNow = (): number => performance.now();
  const tell = (error: unknown): void => log('error', `punches: ${messageOf(error)}`);
  const { database, partitions } =
    postgres === undefined
      ? { database: await openSqlite(directory), partitions: undefined }
      : // Loaded only where it is wanted.
        await (
          await import('./postgres.ts')
        ).openPostgres(postgres, { log, onReached: () => void punches.load().catch(tell) });
  const store = new SqlReportStore(database, {
    now,
    randomBytes,
    conceal: (report) => concealAddresses(report, addresses),
    ...(partitions && { partitions }),
  });
  const punches = new SqlPunchStore(database, now);
  if (postgres === undefined) await punches.load();
  const retentions = [
    startRetention(store, { what: 'reports', keepMs, now, monotonicNow, log }),
    startRetention(punches, { what: 'punches', keepMs, now, monotonicNow, log }),
  ];
  return {
    store,
    punches,
    async close() {
      await punches.drain();
      const closed = store.close();
      await Promise.all(retentions.map((retention) => retention.stop()));
      await closed;
    },
  };
}
