/** The report of a browser's measurement, judged by the server that made it. Pure. */
import { familyOf, formatEndpoint, type Endpoint, type Family } from '../../shared/endpoint.ts';
import type { Evidence, RunEvidence } from '../../shared/nat/evidence.ts';
import { judge } from '../../shared/nat/judge.ts';
import { buildReport, type FamilyOutcome, type Report } from '../../shared/report/report.ts';

/** What came of a page's word; or it is to speak again, since its browser may know more by now. */
export type BrowserOutcome =
  { readonly kind: 'measured'; readonly report: Report } | { readonly kind: 'ask-again' };

/** Throws TypeError for evidence without its run. */
export function reportBrowser(evidence: readonly Evidence[], startedAt: Date): Report {
  const { verdict, endpoints, rttMs } = judge(evidence);
  const run = evidence.find((item): item is RunEvidence => item.kind === 'run')!;
  const measured: FamilyOutcome = {
    kind: 'classified',
    verdict,
    endpoints,
    servers: run.servers,
    timing: { totalMs: run.untilMs, ...(rttMs !== undefined && { rttMs }) },
    evidence,
  };
  const skipped: FamilyOutcome = {
    kind: 'skipped',
    skip: { code: 'not-asked', text: 'the page measures one family' },
  };
  const [server] = run.servers as [Endpoint];
  const family: Family = familyOf(server.address);
  return buildReport({
    asked: [formatEndpoint(server)],
    startedAt,
    source: 'browser',
    outcomes: {
      ipv4: family === 'ipv4' ? measured : skipped,
      ipv6: family === 'ipv6' ? measured : skipped,
    },
  })!;
}
