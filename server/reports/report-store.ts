/** What natprobed keeps of reports, whatever database keeps it. */
import type { Family } from '../../shared/endpoint.ts';
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import type { Report } from '../../shared/report/report.ts';

/** Who measured: the command or library, or the page. */
export type ReportSource = (typeof REPORT_SOURCES)[number];
export const REPORT_SOURCES = ['probe', 'browser'] as const;

/** Whether the server's own witnesses cover the public endpoints that the evidence rests on; it means no more. */
export type EndpointsWitnessed = true | 'partly' | false;

/** A report as judged by the server. The store hides its addresses as it was told to (privacy.ts). */
export interface NewReport {
  readonly source: ReportSource;
  /** By the server's judge, from the evidence. */
  readonly verdict: Verdict;
  readonly family: Family;
  readonly judgeVersion: number;
  readonly endpointsWitnessed: EndpointsWitnessed;
  /** Whether what the report claimed is what its evidence says. */
  readonly claimsFollow: boolean;
  /** Chosen by the client, and good for one report; absent for reports without witnesses. */
  readonly nonce?: string;
  readonly report: Report;
}

export interface StoredReport extends Omit<NewReport, 'nonce'> {
  /** 128 random bits in URL-safe Base64: who knows it may read the report. */
  readonly id: string;
  /** ISO 8601, UTC, by the server's clock. */
  readonly receivedAt: string;
}

export interface ReportFilter {
  readonly type?: NatType;
  readonly mapping?: Mapping;
  readonly filtering?: Filtering;
  readonly family?: Family;
  readonly source?: ReportSource;
  /** ISO 8601; from this time on, and before that one. */
  readonly since?: string;
  readonly until?: string;
}

/** A report without its evidence, as lists show it. */
export type ReportSummary = Omit<StoredReport, 'report' | 'verdict'> & {
  readonly verdict: Omit<Verdict, 'reasons'>;
};

export interface ReportPage {
  /** The newest first. */
  readonly reports: readonly ReportSummary[];
  /** Give it as `after` for the next page; absent on the last one. */
  readonly next?: string;
}

/** How many reports of what kind; each list in falling order of count. */
export interface ReportStatistics {
  readonly reports: number;
  readonly types: readonly { readonly type: NatType; readonly count: number }[];
  readonly cells: readonly {
    readonly mapping: Mapping;
    readonly filtering: Filtering;
    readonly count: number;
  }[];
  readonly families: readonly { readonly family: Family; readonly count: number }[];
  readonly sources: readonly { readonly source: ReportSource; readonly count: number }[];
  /** By the day (UTC, `2026-01-31`), the earliest first. */
  readonly days: readonly { readonly day: string; readonly type: NatType; readonly count: number }[];
}

export interface ReportStore {
  /**
   * Resolves once the report survives the end of this process. Rejects with ERR_NONCE_USED if a kept
   * report has that nonce, with ERR_STORE if it could not be kept.
   */
  add(report: NewReport): Promise<StoredReport>;
  find(id: string): Promise<StoredReport | undefined>;
  /** Rejects with ERR_PAGE if `after` is nothing that a page gave; this and the next two, with ERR_TIME. */
  list(filter: ReportFilter, page: { readonly limit: number; readonly after?: string }): Promise<ReportPage>;
  summarise(filter: ReportFilter): Promise<ReportStatistics>;
  /** Every report, the oldest first, without holding them all in memory. */
  export(filter: ReportFilter): AsyncIterable<StoredReport>;
  /** Returns how many went. */
  removeBefore(time: string): Promise<number>;
  /** Rejects if the store can't answer: for /readyz. */
  check(): Promise<void>;
  close(): Promise<void>;
}
