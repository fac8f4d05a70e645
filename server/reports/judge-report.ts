/** A report from a stranger, judged by us: its evidence counts, and what it claims is compared with that. Pure. */
import type { Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { assessAxes, type Axes, type AxisEvidence } from '../../shared/nat/axes.ts';
import type { Evidence, RunEvidence } from '../../shared/nat/evidence.ts';
import { judge } from '../../shared/nat/judge.ts';
import {
  buildReport,
  type FamilyOutcome,
  type FamilyReport,
  isClassified,
  type Report,
  type SkippedFamily,
  type Survey,
} from '../../shared/report/report.ts';
import { KNOWN_EVIDENCE_KINDS } from '../../shared/report/schema.ts';
import { checkEvidence } from './evidence-limits.ts';

export interface JudgedReport {
  /** Built anew: nothing in it is the client's word but evidence, times, and whom it asked. */
  readonly report: Report;
  /** JSON pointers to the claims that don't follow from the evidence; none if all do. */
  readonly differing: readonly string[];
}

/**
 * Judges each family's evidence. Evidence of kinds that this version doesn't know is left out. Throws
 * ERR_EVIDENCE if a family lacks its run, or has evidence that no run leaves; `place` is where the report
 * stands in the request.
 */
export function judgeReport(claimed: Report, place?: string): JudgedReport {
  const root = place === undefined ? '' : `${place}/`;
  const report = buildReport({
    asked: claimed.server.asked,
    ...(claimed.server.unresolved && { unresolved: claimed.server.unresolved }),
    startedAt: new Date(claimed.startedAt),
    outcomes: {
      ipv4: judgeFamily('ipv4', claimed.families.ipv4, root),
      ipv6: judgeFamily('ipv6', claimed.families.ipv6, root),
    },
  });
  if (report === undefined) {
    throw new NatprobeError('ERR_EVIDENCE', `${root}families`, 'neither of them was classified');
  }
  return { report, differing: compareClaims(claimed, report) };
}

function judgeFamily(family: Family, claimed: FamilyReport | SkippedFamily, root: string): FamilyOutcome {
  if (!isClassified(claimed)) {
    return { kind: 'skipped', skip: { code: claimed.skipped.code, text: claimed.skipped.text } };
  }
  const place = `${root}families/${family}`;
  const evidence = admit(claimed.evidence, `${place}/evidence`);
  const run = evidence.find((item): item is RunEvidence => item.kind === 'run');
  if (run === undefined) throw new NatprobeError('ERR_EVIDENCE', `${place}/evidence`, 'it lacks its run');
  if (run.family !== family) {
    throw new NatprobeError('ERR_EVIDENCE', `${place}/evidence`, `it is a run over ${run.family}`);
  }
  const { totalMs, surveyMs } = claimed.timing;
  const { verdict, endpoints, rttMs } = trying(place, () => judge(evidence));
  return {
    kind: 'classified',
    verdict,
    endpoints,
    servers: run.servers,
    timing: {
      totalMs,
      ...(rttMs !== undefined && { rttMs }),
      ...(surveyMs !== undefined && { surveyMs }),
    },
    evidence,
    ...(claimed.axisEvidence && { survey: judgeSurvey(claimed.axisEvidence, evidence, place) }),
  };
}

function judgeSurvey(claimed: AxisEvidence, classification: readonly Evidence[], place: string): Survey {
  const lists = Object.entries(claimed) as [string, readonly Evidence[]][];
  const axisEvidence: AxisEvidence = Object.fromEntries(
    lists.map(([name, list]) => [name, admit(list, `${place}/axisEvidence/${name}`)]),
  );
  const axes = trying(`${place}/axisEvidence`, () => assessAxes(axisEvidence, classification));
  return { axes, axisEvidence };
}

/** The judge may rely on what every run leaves; where that isn't there, the evidence is at fault. */
function trying<Result>(place: string, assess: () => Result): Result {
  try {
    return assess();
  } catch (cause) {
    throw new NatprobeError('ERR_EVIDENCE', place, 'it contradicts itself, or lacks its run', { cause });
  }
}

function admit(evidence: readonly Evidence[], place: string): readonly Evidence[] {
  const known = evidence.filter(({ kind }) => KNOWN_EVIDENCE_KINDS.has(kind));
  checkEvidence(known, place);
  return known;
}

/** Where what was claimed is not what we found. Claims that are absent, and the words of reasons, are none. */
function compareClaims(claimed: Report, ours: Report): string[] {
  const families = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const [claim, own] = [claimed.families[family], ours.families[family]];
    return isClassified(claim) && isClassified(own) ? compareFamily(claim, own, `/families/${family}`) : [];
  });
  const top = claimed.family === ours.family ? compareFamily(claimed, ours, '') : ['/family'];
  return [...top, ...families];
}

function compareFamily(claim: FamilyReport, own: FamilyReport, place: string): string[] {
  return [
    ...compareFields(
      claim.verdict,
      own.verdict,
      ['type', 'mapping', 'filtering', 'confidence'],
      `${place}/verdict`,
    ),
    ...compareFields(claim.endpoints, own.endpoints, ['local', 'mapped'], `${place}/endpoints`),
    ...compareAxes(claim.axes, own.axes, `${place}/axes`),
  ];
}

function compareFields<Part extends object>(
  claim: Part,
  own: Part,
  names: readonly (keyof Part & string)[],
  place: string,
): string[] {
  return names.flatMap((name) => (sameClaim(claim[name], own[name]) ? [] : [`${place}/${name}`]));
}

function compareAxes(claim: Axes | undefined, own: Axes | undefined, place: string): string[] {
  if (claim === undefined) return [];
  const names = Object.keys(own ?? {}) as (keyof Axes)[];
  return names.flatMap((name) => (sameClaim(claim[name], own?.[name]) ? [] : [`${place}/${name}`]));
}

/** Text has fewer digits than a number may have had. */
const SAME_WITHIN = 1e-9;

/** Whether a claim agrees with what we say. It recurses into our own value, which is no deeper than the judge makes it. */
function sameClaim(claim: unknown, own: unknown): boolean {
  if (claim === undefined) return true;
  if (typeof own === 'number' && typeof claim === 'number') {
    return Math.abs(own - claim) <= SAME_WITHIN * Math.max(1, Math.abs(own));
  }
  if (typeof own !== 'object' || own === null) return claim === own;
  if (typeof claim !== 'object' || claim === null) return false;
  if (Array.isArray(own) && (!Array.isArray(claim) || claim.length !== own.length)) return false;
  return Object.entries(own).every(
    ([name, value]) => name === 'reasons' || sameClaim((claim as Record<string, unknown>)[name], value),
  );
}
