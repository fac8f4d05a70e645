/** How a punch went, or an attempt of it. */
import type { Plan } from '../../shared/broker/messages.ts';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import { PUNCH_SCHEMA, type PunchReport } from '../hole.ts';
import type { FailedPunch, OpenHole } from '../punch/io.ts';
import type { RelayedWay } from './relay.ts';

/** `way` where a relay carries it. */
export function reportOfHole(
  plan: Plan,
  hole: Omit<OpenHole, 'socket'>,
  local: Endpoint,
  way?: RelayedWay,
): PunchReport {
  return {
    ...commonReport(plan),
    outcome: 'open',
    strategy: hole.strategy,
    path: hole.path,
    endpoints: {
      local: formatEndpoint(local),
      remote: formatEndpoint(way?.peer ?? hole.remote),
      ...(way !== undefined && { relayed: formatEndpoint(way.relayed) }),
    },
    timing: { totalMs: hole.tookMs, rttMs: hole.rttMs },
    packets: hole.packets,
    attempts: hole.attempt,
  };
}

/** Of an attempt after which there is another. */
export function reportOfRetry(plan: Plan, failed: FailedPunch): PunchReport {
  return reportOfFailure(plan, { ...failed, attempt: plan.plan.attempt });
}

export function reportOfFailure(plan: Plan, { reason, attempt, packets, tookMs }: FailedPunch): PunchReport {
  return {
    ...commonReport(plan),
    outcome: 'failed',
    strategy: plan.prediction.strategy,
    endpoints: {},
    timing: { totalMs: tookMs },
    packets,
    attempts: attempt,
    reason: reason.text,
    code: reason.code,
  };
}

function commonReport({
  peer,
  prediction,
  relay,
  plan: { transport },
}: Plan): Pick<PunchReport, 'schema' | 'transport' | 'peer' | 'predicted' | 'relay'> {
  return {
    schema: PUNCH_SCHEMA,
    transport,
    peer,
    predicted: prediction,
    ...(relay !== undefined && { relay }),
  };
}
