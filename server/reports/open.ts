/** The reports of a server: their store, what is hidden of them, and how long they are kept. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../log.ts';
import { concealAddresses } from './privacy.ts';
import type { ReportStore } from './report-store.ts';
import { startRetention } from './retention.ts';
import type { ReportSettings } from './settings.ts';
import { openSqlite } from './sqlite.ts';
import { SqlReportStore } from './sql-report-store.ts';

export interface OpenReports {
  readonly store: ReportStore;
  /** Ends the sweeps and closes the store; what was to be added is. */
  close(): Promise<void>;
}

/** Throws ERR_DATA. */
export async function openReports(settings: ReportSettings, log: Log): Promise<OpenReports> {
  const { directory, keepMs, addresses } = settings;
  const now = Date.now;
  const store = new SqlReportStore(await openSqlite(directory), {
    now,
    randomBytes,
    conceal: (report) => concealAddresses(report, addresses),
  });
  const retention = startRetention(store, { keepMs, now, log });
  return {
    store,
    async close() {
      const closed = store.close();
      await retention.stop();
      await closed;
    },
  };
}
