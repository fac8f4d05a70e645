/** Everything that is quick to find out beyond mapping and filtering: one inquiry an axis, side by side. */
import { randomBytes } from 'node:crypto';
import { type Endpoint, type Family, formatEndpoint } from '../../shared/endpoint.ts';
import type { AxisEvidence, AxisName } from '../../shared/nat/axes.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { observe, otherAddressOf, roundTripTo } from '../../shared/nat/observations.ts';
import type { FamilyOutcome } from '../../shared/report/report.ts';
import { createTcpInquiry, TCP_INQUIRY_TIMEOUT_MS } from '../classify/inquiries/tcp.ts';
import { runTcpInquiry } from './tcp-inquiry.ts';

/**
 * The outcome with the axes' evidence added, if its classification found a natprobed to measure with;
 * else as it was, since no other server has receipts and dial-backs.
 */
export async function surveyOutcome(
  family: Family,
  outcome: FamilyOutcome,
  options: Pick<SurveyOptions, 'paceMs' | 'signal'>,
): Promise<FamilyOutcome> {
  if (outcome.kind !== 'classified') return outcome;
  const observations = observe(outcome.evidence);
  const server = outcome.servers.find(
    (endpoint) =>
      roundTripTo(observations, endpoint) !== undefined &&
      observations.receiptServers.has(formatEndpoint(endpoint)),
  );
  if (server === undefined) return outcome;
  const other = otherAddressOf(observations, server);
  const startedAt = performance.now();
  const axisEvidence = await surveyFamily({
    ...options,
    family,
    server,
    ...(other === undefined ? {} : { other }),
  });
  const timing = { ...outcome.timing, surveyMs: performance.now() - startedAt };
  return { ...outcome, timing, axisEvidence };
}

export interface SurveyOptions {
  readonly family: Family;
  /** The primary endpoint of a natprobed that has answered, and its other address and port if it has one. */
  readonly server: Endpoint;
  readonly other?: Endpoint;
  /** The least time between two packets of one inquiry that open a NAT binding. */
  readonly paceMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Runs the inquiries at the same time; they use sockets of their own and don't disturb each other.
 * Resolves with the evidence of each, to be judged. Rejects with ERR_ABORTED if the signal says so.
 */
export async function surveyFamily(options: SurveyOptions): Promise<AxisEvidence> {
  const { signal } = options;
  const run = signal === undefined ? {} : { signal };
  const inquiries: readonly [AxisName, Promise<{ evidence: readonly Evidence[] }>][] = [
    [
      'tcp',
      runTcpInquiry(createTcpInquiry({ ...contextOf(options), timeoutMs: TCP_INQUIRY_TIMEOUT_MS }), run),
    ],
  ];
  const found = await Promise.all(
    inquiries.map(async ([name, inquiry]) => [name, (await inquiry).evidence] as const),
  );
  return Object.fromEntries(found);
}

function contextOf({ family, server, other, paceMs }: SurveyOptions) {
  return { family, server, paceMs, random: randomBytes, ...(other === undefined ? {} : { other }) };
}
