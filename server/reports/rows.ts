/** Reports between the interface's form and the tables'. */
import type { Insertable, Selectable } from 'kysely';
import { decodeDocument, encodeDocument } from './document.ts';
import type { EndpointsWitnessed, NewReport, ReportSummary, StoredReport } from './report-store.ts';
import type { ReportDatabase } from './tables.ts';

/** What reports are filtered by, and counted. */
export type Kind = Omit<Selectable<ReportDatabase['kinds']>, 'id'>;

/** A row of `reports` without its document, and its kind. */
export type SummaryRow = Omit<Selectable<ReportDatabase['reports']>, 'kind' | 'nonce' | 'document'> & Kind;
export type ReportRow = SummaryRow & Pick<Selectable<ReportDatabase['reports']>, 'document'>;

export const SUMMARY_COLUMNS = [
  'seq',
  'reports.id',
  'received_at',
  'confidence',
  'judge_version',
  'endpoints_witnessed',
  'claims_follow',
  'type',
  'mapping',
  'filtering',
  'family',
  'source',
] as const;

export function kindOf({ verdict, family, source }: NewReport): Kind {
  const { type, mapping, filtering } = verdict;
  return { type, mapping, filtering, family, source };
}

export function rowOf(
  report: NewReport,
  { id, receivedAt, kind }: { readonly id: string; readonly receivedAt: number; readonly kind: number },
): Insertable<ReportDatabase['reports']> {
  return {
    id,
    received_at: receivedAt,
    kind,
    confidence: report.verdict.confidence,
    judge_version: report.judgeVersion,
    endpoints_witnessed: WITNESSED.indexOf(report.endpointsWitnessed),
    claims_follow: report.claimsFollow ? 1 : 0,
    nonce: report.nonce ?? null,
    document: encodeDocument(report),
  };
}

export function summaryOf(row: SummaryRow): ReportSummary {
  const { type, mapping, filtering, confidence } = row;
  return { ...headOf(row), verdict: { type, mapping, filtering, confidence } };
}

export function reportOf(row: ReportRow): StoredReport {
  return { ...headOf(row), ...decodeDocument(row.document) };
}

function headOf(row: SummaryRow): Omit<StoredReport, 'verdict' | 'report'> {
  return {
    id: row.id,
    receivedAt: new Date(row.received_at).toISOString(),
    source: row.source,
    family: row.family,
    judgeVersion: row.judge_version,
    endpointsWitnessed: WITNESSED[row.endpoints_witnessed]!,
    claimsFollow: row.claims_follow === 1,
  };
}

/** By how it is kept. */
const WITNESSED: readonly EndpointsWitnessed[] = [false, 'partly', true];
