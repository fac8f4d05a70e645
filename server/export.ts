/** `natprobed export`: the reports of a directory or database to standard output, also while a server adds to it. */
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Kysely } from 'kysely';
import { NatprobeError } from '../shared/errors.ts';
import { systemErrorCode } from './bind-error.ts';
import { parseTime, readAll } from './reports/queries.ts';
import { streamReports } from './reports/export-stream.ts';
import type { ExportFormat } from './reports/render-export.ts';
import type { ReportFilter } from './reports/report-store.ts';
import { readPostgresSettings } from './reports/settings.ts';
import { openSqlite } from './reports/sqlite.ts';
import type { ReportDatabase } from './reports/tables.ts';

/** As typed; choices have been checked. */
export interface ExportFlags extends ReportFilter {
  readonly data?: string;
  readonly database?: string;
  readonly databasePasswordFile?: string;
  readonly format: ExportFormat;
}

/**
 * Resolves when all is written, or when whoever read it has gone. Rejects with ERR_USAGE, ERR_DATA, ERR_DATABASE, ERR_FLAGS, ERR_TIME or
 * ERR_STORE.
 */
export async function exportReports(
  { data, database: url, databasePasswordFile, format, ...filter }: ExportFlags,
  output: Writable,
): Promise<void> {
  const postgres = readPostgresSettings({
    ...(data !== undefined && { data }),
    ...(url !== undefined && { database: url }),
    ...(databasePasswordFile !== undefined && { databasePasswordFile }),
  });
  if (filter.since !== undefined) parseTime(filter.since, '--since');
  if (filter.until !== undefined) parseTime(filter.until, '--until');
  const database =
    postgres === undefined
      ? await openDirectory(data)
      : await (await import('./reports/postgres.ts')).openForReading(postgres);
  const reports = readAll(database, filter);
  try {
    await pipeline(streamReports(reports, format), output, { end: false });
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE') throw error;
  } finally {
    await database.destroy();
  }
}

function openDirectory(data: string | undefined): Promise<Kysely<ReportDatabase>> {
  if (data === undefined || data === ':memory:') {
    const detail =
      'it takes the directory of a server, or --database; what one has in memory, its GET /classify lists';
    throw new NatprobeError('ERR_USAGE', '--data', detail);
  }
  return openSqlite(data, { readOnly: true });
}
