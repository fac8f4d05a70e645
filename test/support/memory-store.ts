/** A report store that forgets, for tests of what stands in front of one. */
import type {
  NewReport,
  ReportStore,
  ReportSummary,
  StoredReport,
} from '../../server/reports/report-store.ts';

export interface MemoryStore extends ReportStore {
  readonly reports: readonly StoredReport[];
}

export function createMemoryStore(): MemoryStore {
  const reports: StoredReport[] = [];
  const nonces = new Set<string>();
  return {
    reports,
    add({ nonce, ...report }: NewReport) {
      if (nonce !== undefined) nonces.add(nonce);
      const id = String(reports.length + 1).padStart(22, 'A');
      const stored = { ...report, id, receivedAt: '2026-01-01T00:00:00.000Z' };
      reports.push(stored);
      return Promise.resolve(stored);
    },
    find: (id) => Promise.resolve(reports.find((report) => report.id === id)),
    list: () => Promise.resolve({ reports: reports.map(summaryOf) }),
    summarise: () =>
      Promise.resolve({ reports: reports.length, types: [], cells: [], families: [], sources: [], days: [] }),
    async *export() {
      yield* await Promise.resolve(reports);
    },
    removeBefore: () => Promise.resolve(0),
    check: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function summaryOf(stored: StoredReport): ReportSummary {
  const { id, receivedAt, source, family, judgeVersion, endpointsWitnessed, claimsFollow } = stored;
  const { type, mapping, filtering, confidence } = stored.verdict;
  const verdict = { type, mapping, filtering, confidence };
  return { id, receivedAt, source, family, judgeVersion, endpointsWitnessed, claimsFollow, verdict };
}
