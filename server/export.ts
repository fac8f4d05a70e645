/** `natprobed export`: the reports of a directory to standard output, also while a server adds to it. */
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { NatprobeError } from '../shared/errors.ts';
import { systemErrorCode } from './bind-error.ts';
import { parseTime, readAll } from './reports/queries.ts';
import { streamReports } from './reports/export-stream.ts';
import type { ExportFormat } from './reports/render-export.ts';
import type { ReportFilter } from './reports/report-store.ts';
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
    await pipeline(streamReports(reports, format), output, { end: false });
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE') throw error;
  } finally {
    await database.destroy();
  }
}
