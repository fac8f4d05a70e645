/** What a later report says differently: pure, for whoever watches. */
import type { Family } from '../endpoint.ts';
import { type FamilyReport, isClassified, type Report, type SkippedFamily } from './report.ts';

export interface ReportChange {
  readonly family: Family;
  readonly what: 'type' | 'mapping' | 'filtering' | 'local address' | 'public address' | 'classified';
  readonly from: string;
  readonly to: string;
}

/**
 * The changes from one report to the next, by family. Ports are new in each run and no change; nor
 * is a run without result (`inconclusive`) a change of the NAT: the last known value stands, for
 * which the caller keeps handing in the last report that had one.
 */
export function compareReports(before: Report, after: Report): ReportChange[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    compareFamilies(family, before.families[family], after.families[family]),
  );
}

function compareFamilies(
  family: Family,
  before: FamilyReport | SkippedFamily,
  after: FamilyReport | SkippedFamily,
): ReportChange[] {
  if (!isClassified(before) || !isClassified(after)) {
    const [from, to] = [before, after].map((part) =>
      isClassified(part) ? 'yes' : `no: ${part.skipped.text}`,
    );
    return from === to ? [] : [{ family, what: 'classified', from: from!, to: to! }];
  }
  const sides: [ReportChange['what'], string | undefined, string | undefined][] = [
    ['type', before.verdict.type, after.verdict.type],
    ['mapping', before.verdict.mapping, after.verdict.mapping],
    ['filtering', before.verdict.filtering, after.verdict.filtering],
    ['local address', addressOf(before.endpoints.local), addressOf(after.endpoints.local)],
    ['public address', addressOf(before.endpoints.mapped), addressOf(after.endpoints.mapped)],
  ];
  return sides.flatMap(([what, from = 'none', to = 'none']) =>
    from === to ? [] : [{ family, what, from, to }],
  );
}

/** `192.0.2.1` of `192.0.2.1:3478`, `[2001:db8::1]` of `[2001:db8::1]:3478`. */
function addressOf(endpoint: string | undefined): string | undefined {
  return endpoint?.slice(0, endpoint.lastIndexOf(':'));
}
