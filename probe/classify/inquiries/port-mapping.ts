/** The plan that finds out whether a mapped port is reached from outside. Its first socket holds that port. */
import { type Endpoint, sameEndpoint } from '../../../shared/endpoint.ts';
import { otherAddressOf, type Observations, roundTripTo } from '../../../shared/nat/observations.ts';
import {
  judgePortMapping,
  PORT_MAPPING_SOCKETS,
  questionsOf,
  receiptsOf,
  senderOf,
  waitOverMs,
} from '../../../shared/nat/port-mapping.ts';
import type { InquiryPlan } from '../inquiry.ts';
import { isAnswered, lastSentMs, type Plan, type Request } from '../request.ts';
import { askingPlan, FINISHED, isOver, planAsking } from './asking.ts';

export interface PortMappingContext {
  /** The primary endpoint of the server. */
  readonly server: Endpoint;
  /** Of the mapping, as the router gave it. */
  readonly externalPort: number;
}

/** Enough for a lossy path at a satellite's round trip. */
export const PORT_MAPPING_TIMEOUT_MS = 6000;
/** Between questions: one short outage is not to take them all. */
const QUESTION_INTERVAL_MS = 40;

export function planPortMapping({ server, externalPort }: PortMappingContext): InquiryPlan {
  return {
    sockets: [PORT_MAPPING_SOCKETS.mapped],
    plan: (observations, failedSockets) =>
      failedSockets.has(PORT_MAPPING_SOCKETS.asker) ? FINISHED : planNext(observations, server, externalPort),
    progress: ({ nowMs, run }) => Math.min(1, nowMs / run.timeoutMs),
  };
}

function planNext(observations: Observations, server: Endpoint, externalPort: number): Plan {
  const contact: Request = { socket: PORT_MAPPING_SOCKETS.asker, to: server };
  const axis = judgePortMapping(observations);
  const isUnsupported = axis.reasons.some(({ code }) => code === 'port-mapping-unsupported');
  if (axis.value !== 'unknown' || isUnsupported || isOver(observations)) return FINISHED;
  if (!isAnswered(observations, contact)) {
    const asking = planAsking(observations, [contact]);
    return asking.complete ? FINISHED : askingPlan(asking);
  }
  const change = { address: otherAddressOf(observations, server) !== undefined, port: true };
  const question: Request = { ...contact, change, responsePort: externalPort };
  return askAgain(observations, question);
}

/**
 * The first question goes alone: until it is seen to be unheard, nothing here has sent to the endpoint
 * that answers it. From then on that endpoint is asked directly beside each question.
 */
function askAgain(observations: Observations, question: Request): Plan {
  const { nowMs, lossAfterMs = QUESTION_INTERVAL_MS } = observations;
  const sentMs = lastSentMs(observations, question);
  const asked = questionsOf(observations);
  const sender = asked === undefined ? undefined : senderOf(asked);
  const isFirst = sender === undefined || roundTripTo(observations, sender) === undefined;
  const dueMs = sentMs === undefined ? 0 : sentMs + (isFirst ? lossAfterMs : QUESTION_INTERVAL_MS);
  if (nowMs < dueMs) return waitUntil(Math.min(dueMs, nextWaitOverMs(observations)));
  const control = sender === undefined ? undefined : controlOf(question.to, sender);
  return {
    requests: control === undefined ? [question] : [question, control],
    wantsTcp: false,
    wakeMs: nowMs + QUESTION_INTERVAL_MS,
    finished: false,
  };
}

/** A server without a second port has no such endpoint. */
function controlOf(server: Endpoint, sender: Endpoint): Request | undefined {
  return sameEndpoint(server, sender) ? undefined : { socket: PORT_MAPPING_SOCKETS.control, to: sender };
}

function nextWaitOverMs(observations: Observations): number {
  const asked = questionsOf(observations);
  if (asked === undefined) return Infinity;
  const waits = receiptsOf(asked).flatMap((receipt) => waitOverMs(observations, asked, receipt) ?? []);
  return Math.min(Infinity, ...waits.filter((overMs) => overMs > observations.nowMs));
}

function waitUntil(wakeMs: number): Plan {
  return { requests: [], wantsTcp: false, wakeMs, finished: false };
}
