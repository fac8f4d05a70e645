/** What is quick to find out beyond mapping and filtering, by inquiries of their own. */
import { randomBytes } from 'node:crypto';
import { type Endpoint, type Family, formatEndpoint } from '../../shared/endpoint.ts';
import type { AxisEvidence } from '../../shared/nat/axes.ts';
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

interface SurveyOptions {
  readonly family: Family;
  /** The primary endpoint of a natprobed that has answered, and its other address and port if it has one. */
  readonly server: Endpoint;
  readonly other?: Endpoint;
  /** The least time between two packets of one inquiry that open a NAT binding. */
  readonly paceMs: number;
  readonly signal?: AbortSignal;
}

/** Resolves with the evidence of each inquiry, to be judged. Rejects with ERR_ABORTED if the signal says so. */
async function surveyFamily({ family, server, other, paceMs, signal }: SurveyOptions): Promise<AxisEvidence> {
  const machine = createTcpInquiry({
    family,
    server,
    ...(other === undefined ? {} : { other }),
    timeoutMs: TCP_INQUIRY_TIMEOUT_MS,
    paceMs,
    random: randomBytes,
  });
  const tcp = await runTcpInquiry(machine, signal === undefined ? {} : { signal });
  return { tcp: tcp.evidence };
}
