/** Reports for tests of the store, and a store of them in memory or in a directory. */
import { createHash } from 'node:crypto';
import type { NewReport } from '../../../../server/reports/report-store.ts';
import { SqlReportStore, type SqlReportStoreOptions } from '../../../../server/reports/sql-report-store.ts';
import { SILENT_LOG } from '../../../../server/log.ts';
import { openPostgres } from '../../../../server/reports/postgres.ts';
import { openSqlite } from '../../../../server/reports/sqlite.ts';
import { type Filtering, type Mapping, natTypeOf } from '../../../../shared/nat/behaviour.ts';
import { judge } from '../../../../shared/nat/judge.ts';
import { JUDGE_VERSION } from '../../../../shared/nat/verdict.ts';
import { buildReport, type Report } from '../../../../shared/report/report.ts';
import { MAPPED, mappingSeries, PP, run, socket } from '../../../support/evidence.ts';

export interface TestStore {
  readonly store: SqlReportStore;
  /** What the store reads, in milliseconds since 1970. */
  readonly clock: { nowMs: number };
}

/** In memory without a directory; or in PostgreSQL, at an URL. Ids are a series, the same in each store. */
export async function openTestStore(
  place?: string,
  more: Partial<SqlReportStoreOptions> = {},
): Promise<TestStore> {
  let ids = 0;
  const clock = { nowMs: Date.parse('2026-03-01T12:00:00Z') };
  const randomBytes = (length: number): Buffer => {
    ids += 1;
    return createHash('sha256').update(String(ids)).digest().subarray(0, length);
  };
  const opened = place?.startsWith('postgres:')
    ? await openPostgres({ url: place }, { log: SILENT_LOG })
    : { database: await openSqlite(place) };
  const store = new SqlReportStore(opened.database, {
    ...('partitions' in opened && { partitions: opened.partitions }),
    now: () => clock.nowMs,
    randomBytes,
    conceal: (report) => report,
    ...more,
  });
  return { store, clock };
}

/** Of a NAT that maps by endpoint; its filtering was not tested. */
export function measuredReport(): Report {
  const evidence = [
    run(60),
    socket('mapping'),
    ...mappingSeries('mapping', [MAPPED, MAPPED, MAPPED, MAPPED]),
  ];
  const { verdict, endpoints } = judge(evidence);
  return buildReport({
    asked: ['nat.example.org'],
    startedAt: new Date('2026-03-01T11:59:59Z'),
    outcomes: {
      ipv4: { kind: 'classified', verdict, endpoints, servers: [PP], timing: { totalMs: 40 }, evidence },
      ipv6: { kind: 'skipped', skip: { code: 'no-address', text: 'nat.example.org has no IPv6 address' } },
    },
  })!;
}

export interface ReportTraits extends Partial<Pick<NewReport, 'source' | 'family' | 'nonce'>> {
  readonly mapping?: Mapping;
  readonly filtering?: Filtering;
}

/** A report to add, of this kind whatever its evidence says. */
export function newReport(traits: ReportTraits = {}): NewReport {
  const {
    mapping = 'endpoint-independent',
    filtering = 'address-and-port-dependent',
    source = 'probe',
    family = 'ipv4',
    nonce,
  } = traits;
  const report = measuredReport();
  return {
    source,
    family,
    ...(nonce !== undefined && { nonce }),
    verdict: {
      ...report.verdict,
      type: natTypeOf(mapping, filtering),
      mapping,
      filtering,
      confidence: 0.9995,
    },
    judgeVersion: JUDGE_VERSION,
    endpointsWitnessed: 'partly',
    claimsFollow: false,
    report,
  };
}
