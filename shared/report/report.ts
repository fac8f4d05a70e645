import { formatEndpoint, sameEndpoint, type Endpoint, type Family } from '../endpoint.ts';
import type { ErrorCode } from '../errors.ts';
import type { Axes, AxisEvidence } from '../nat/axes.ts';
import type { BindingReply, Evidence } from '../nat/evidence.ts';
import type { PortMappingReport } from './port-mapping.ts';
import { JUDGE_VERSION, type Endpoints, type Verdict } from '../nat/verdict.ts';

/** As people write them. */
export const FAMILY_NAMES: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Bumped when a reader of the older would misunderstand; fields may be added without. */
export const REPORT_SCHEMA = 'natprobe/report@1';

/** What `natprobe --json` prints and the library returns. The top level repeats `families[family]`. */
export interface Report extends FamilyReport {
  readonly schema: typeof REPORT_SCHEMA;
  /** The family that the top level is about. */
  readonly family: Family;
  /** Both families, always: one that was not classified says why. */
  readonly families: Readonly<Record<Family, FamilyReport | SkippedFamily>>;
  /** When the run began, by this machine's clock: ISO 8601, UTC. */
  readonly startedAt: string;
  /** Present where the page measured: the server played a browser's peer. Absent from a probe's report. */
  readonly source?: 'browser';
  readonly judgeVersion: number;
  /** If the router was asked to map a port. */
  readonly portMapping?: PortMappingReport;
  /** If it was to be handed to a server. */
  readonly report?: ReportDelivery;
}

/** What became of handing a report to a server; that it failed changes nothing in the report. */
export type ReportDelivery =
  SentReport | { readonly failed: { readonly code: ErrorCode; readonly text: string } };

/** Where a server keeps a report, and what it says of it. */
export interface SentReport {
  readonly url: string;
  readonly id: string;
  /** Whether the server itself saw the public endpoints that the mapping rests on: all of them, some, none. */
  readonly endpointsWitnessed: true | 'partly' | false;
  /** Whether the server, judging the evidence itself, came to what the report says. */
  readonly claimsFollow: boolean;
}

export function isSent(delivery: ReportDelivery): delivery is SentReport {
  return 'url' in delivery;
}

/** What else was asked for and measured; each axis is judged from its own evidence. */
export interface Survey {
  readonly axes: Axes;
  readonly axisEvidence: AxisEvidence;
}

/** What was found out over one address family. Endpoints are text: `192.0.2.1:3478`, `[2001:db8::1]:3478`. */
export interface FamilyReport extends Partial<Survey> {
  readonly verdict: Verdict;
  readonly endpoints: ReportedEndpoints;
  readonly server: ReportedServer;
  /** `totalMs` is the verdict's time; `surveyMs` what the axes took after it. */
  readonly timing: { readonly totalMs: number; readonly rttMs?: number; readonly surveyMs?: number };
  readonly evidence: readonly Evidence[];
}

export interface ReportedEndpoints {
  readonly local?: string;
  readonly mapped?: string;
  /** The prefix of the NAT64 through which IPv4 was reached, where this machine has no other way: `local` is IPv6 then. */
  readonly nat64?: string;
}

export interface ReportedServer {
  /** As they were named, in that order. */
  readonly asked: readonly string[];
  /** Those of them that did not resolve; absent if all did. */
  readonly unresolved?: readonly string[];
  /** The addresses asked, in that order. */
  readonly endpoints: readonly string[];
  /** The opposite corner of the first server, as it says (OTHER-ADDRESS); absent if it has none or said none. */
  readonly alternate?: string;
  /** Whether a receipt came: the server is natprobed. Where all is let in, the verdict may come first. */
  readonly receipts: boolean;
}

export interface SkippedFamily {
  readonly skipped: Skip;
}

/** Why a family has no verdict: a stable code for programs and a sentence for people. */
export interface Skip {
  readonly code: SkipCode;
  readonly text: string;
}

/**
 * `not-asked` by the caller's choice; `no-address`: no server has one of this family; `no-route`: this
 * machine has no way there; `unreachable`: no server answered, over UDP or TCP; `late`: the other
 * family was done, and this one took too long.
 */
export type SkipCode = 'not-asked' | 'no-address' | 'no-route' | 'unreachable' | 'late';

/** One family's run, or why there was none. */
export type FamilyOutcome =
  | {
      readonly kind: 'classified';
      readonly verdict: Verdict;
      readonly endpoints: Endpoints;
      readonly servers: readonly Endpoint[];
      readonly timing: FamilyReport['timing'];
      readonly evidence: readonly Evidence[];
      readonly survey?: Survey;
    }
  | { readonly kind: 'skipped'; readonly skip: Skip };

export interface RunSummary {
  /** The servers as they were named. */
  readonly asked: readonly string[];
  /** Those of them that did not resolve. */
  readonly unresolved?: readonly string[];
  readonly startedAt: Date;
  readonly outcomes: Readonly<Record<Family, FamilyOutcome>>;
  readonly source?: 'browser';
}

/**
 * The report of a run, or undefined if neither family was classified. The top level is IPv4 if that
 * has a verdict, else IPv6 if that has one, else (both inconclusive) the first that was classified.
 */
export function buildReport(run: RunSummary): Report | undefined {
  const ipv4 = reportFamily(run.outcomes.ipv4, run);
  const ipv6 = reportFamily(run.outcomes.ipv6, run);
  const candidates = [
    { family: 'ipv4' as const, report: ipv4 },
    { family: 'ipv6' as const, report: ipv6 },
  ].filter((candidate): candidate is { family: Family; report: FamilyReport } =>
    isClassified(candidate.report),
  );
  const first = candidates.find(({ report }) => report.verdict.type !== 'inconclusive') ?? candidates[0];
  if (first === undefined) return undefined;
  return {
    schema: REPORT_SCHEMA,
    family: first.family,
    ...first.report,
    families: { ipv4, ipv6 },
    startedAt: run.startedAt.toISOString(),
    ...(run.source && { source: run.source }),
    judgeVersion: JUDGE_VERSION,
  };
}

export function isClassified(family: FamilyReport | SkippedFamily): family is FamilyReport {
  return 'verdict' in family;
}

function reportFamily(outcome: FamilyOutcome, run: RunSummary): FamilyReport | SkippedFamily {
  if (outcome.kind === 'skipped') return { skipped: outcome.skip };
  const { local, mapped } = outcome.endpoints;
  const nat64 = outcome.evidence.find((item) => item.kind === 'nat64' && item.used);
  return {
    verdict: outcome.verdict,
    endpoints: {
      ...(local && { local: formatEndpoint(local) }),
      ...(mapped && { mapped: formatEndpoint(mapped) }),
      ...(nat64?.kind === 'nat64' && { nat64: nat64.prefix }),
    },
    server: reportServer(outcome.servers, run, outcome.evidence),
    timing: roundTimes(outcome.timing),
    evidence: outcome.evidence,
    ...outcome.survey,
  };
}

function reportServer(
  servers: readonly Endpoint[],
  { asked, unresolved = [] }: RunSummary,
  evidence: readonly Evidence[],
): ReportedServer {
  const replies = evidence.flatMap((item): readonly BindingReply[] =>
    item.kind === 'binding' ? item.replies : [],
  );
  const primary = servers[0];
  const answer = replies.find(
    (reply) =>
      reply.kind === 'response' &&
      reply.other !== undefined &&
      primary !== undefined &&
      sameEndpoint(reply.from, primary),
  );
  const alternate = answer?.kind === 'response' ? answer.other : offeredAlternate(evidence, primary);
  return {
    asked,
    ...(unresolved.length > 0 && { unresolved }),
    endpoints: servers.map(formatEndpoint),
    ...(alternate && { alternate: formatEndpoint(alternate) }),
    receipts: replies.some((reply) => reply.kind === 'receipt'),
  };
}

/** The opposite corner of `primary` among what a browser was offered. */
function offeredAlternate(
  evidence: readonly Evidence[],
  primary: Endpoint | undefined,
): Endpoint | undefined {
  return evidence
    .flatMap((item) => (item.kind === 'ice-check' ? item.offered : []))
    .find(({ address, port }) => address !== primary?.address && port !== primary?.port);
}

/** Clocks here are good for microseconds at best; more digits would only look like knowledge. */
function roundTimes({ totalMs, rttMs, surveyMs }: FamilyReport['timing']): FamilyReport['timing'] {
  const round = (ms: number): number => Math.round(ms * 1000) / 1000;
  return {
    totalMs: round(totalMs),
    ...(rttMs !== undefined && { rttMs: round(rttMs) }),
    ...(surveyMs !== undefined && { surveyMs: round(surveyMs) }),
  };
}
