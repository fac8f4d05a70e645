import { pipeline, Readable } from 'node:stream';
import { stringify } from 'csv-stringify';
import { CSV_COLUMNS, type ExportFormat, renderCells, renderNdjson } from './render-export.ts';
import type { StoredReport } from './report-store.ts';

/** Reports as text in a format, read no faster than it is taken; ends with an error if reading them does. */
export function streamReports(reports: AsyncIterable<StoredReport>, format: ExportFormat): Readable {
  if (format === 'ndjson') return Readable.from(mapEach(reports, renderNdjson));
  // A name that a spreadsheet would take for a formula is one of the client's making.
  const rows = stringify({ header: true, columns: [...CSV_COLUMNS], escape_formulas: true });
  // Whoever reads the rows hears of the error.
  pipeline(Readable.from(mapEach(reports, renderCells)), rows, () => undefined);
  return rows;
}

async function* mapEach<T>(
  reports: AsyncIterable<StoredReport>,
  render: (report: StoredReport) => T,
): AsyncGenerator<T> {
  for await (const report of reports) yield render(report);
}
