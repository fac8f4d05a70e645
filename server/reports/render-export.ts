/** Reports as rows of text for other programs: one a line as JSON, or flat columns as CSV (RFC 4180). Pure. */
import type { Axes } from '../../shared/nat/axes.ts';
import type { StoredReport } from './report-store.ts';

export const EXPORT_FORMATS = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export function renderNdjson(report: StoredReport): string {
  return `${JSON.stringify(report)}\n`;
}

/** The values of CSV_COLUMNS; empty where a report has none. */
export function renderCells(report: StoredReport): string[] {
  return Object.values(COLUMNS).map((valueOf) => String(valueOf(report) ?? ''));
}

type Column = (report: StoredReport) => string | number | boolean | undefined;

/** Columns may be added at the end. */
const COLUMNS: Readonly<Record<string, Column>> = {
  id: ({ id }) => id,
  receivedAt: ({ receivedAt }) => receivedAt,
  source: ({ source }) => source,
  family: ({ family }) => family,
  type: ({ verdict }) => verdict.type,
  mapping: ({ verdict }) => verdict.mapping,
  filtering: ({ verdict }) => verdict.filtering,
  confidence: ({ verdict }) => verdict.confidence,
  judgeVersion: ({ judgeVersion }) => judgeVersion,
  endpointsWitnessed: ({ endpointsWitnessed }) => endpointsWitnessed,
  claimsFollow: ({ claimsFollow }) => claimsFollow,
  startedAt: ({ report }) => report.startedAt,
  local: ({ report }) => report.endpoints.local,
  mapped: ({ report }) => report.endpoints.mapped,
  server: ({ report }) => report.server.endpoints[0],
  receipts: ({ report }) => report.server.receipts,
  totalMs: ({ report }) => report.timing.totalMs,
  rttMs: ({ report }) => report.timing.rttMs,
  ports: axis((axes) => axes.ports),
  pooling: axis((axes) => axes.pooling),
  collisions: axis((axes) => axes.collisions),
  unsolicited: axis((axes) => axes.unsolicited),
  hairpin: axis((axes) => axes.hairpin),
  mangling: axis((axes) => axes.mangling),
  fragments: axis((axes) => axes.fragments),
  layers: axis((axes) => axes.layers),
  tcpMapping: axis((axes) => axes.tcp?.mapping),
  tcpFiltering: axis((axes) => axes.tcp?.filtering),
};

export const CSV_COLUMNS: readonly string[] = Object.keys(COLUMNS);

function axis(axisOf: (axes: Axes) => { readonly value: string } | undefined): Column {
  return ({ report }) => report.axes && axisOf(report.axes)?.value;
}
