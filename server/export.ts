/** `natprobed export`: the reports of a directory to standard output, also while a server adds to it. */
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { stringify } from 'csv-stringify';
import { NatprobeError } from '../shared/errors.ts';
import { systemErrorCode } from './bind-error.ts';
import { parseTime, readAll } from './reports/queries.ts';
import { CSV_COLUMNS, type ExportFormat, renderCells, renderNdjson } from './reports/render-export.ts';
import type { ReportFilter, StoredReport } from './reports/report-store.ts';
import { openSqlite } from './reports/sqlite.ts';

/** As typed; choices have been checked. */
export interface ExportFlags extends ReportFilter {
  readonly data?: string;
  readonly format: ExportFormat;
}

/**
 * Resolves when all is written, or when whoever read it has gone. Rejects with ERR_USAGE, ERR_DATA, ERR_TIME or
 * ERR_STORE.
 */
export async function exportReports(
  { data, format, ...filter }: ExportFlags,
  output: Writable,
): Promise<void> {
  if (data === undefined || data === ':memory:') {
    const detail = 'it takes the directory of a server; what one has in memory, its GET /classify lists';
    throw new NatprobeError('ERR_USAGE', '--data', detail);
  }
  if (filter.since !== undefined) parseTime(filter.since, '--since');
  if (filter.until !== undefined) parseTime(filter.until, '--until');
  const database = await openSqlite(data, { readOnly: true });
  const reports = readAll(database, filter);
  try {
    if (format === 'csv') {
      // A name that a spreadsheet would take for a formula is one of the client's making.
      const rows = stringify({ header: true, columns: [...CSV_COLUMNS], escape_formulas: true });
      await pipeline(mapEach(reports, renderCells), rows, output, { end: false });
    } else {
      await pipeline(mapEach(reports, renderNdjson), output, { end: false });
    }
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE') throw error;
  } finally {
    await database.destroy();
  }
}

async function* mapEach<T>(
  reports: AsyncIterable<StoredReport>,
  render: (report: StoredReport) => T,
): AsyncGenerator<T> {
  for await (const report of reports) yield render(report);
}
