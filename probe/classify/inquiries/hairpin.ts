/**
 * The plan of the hairpin inquiry: two sockets learn what the server sees them as, and then send to
 * each other there, with a control beside each packet. To be asked for: some firewalls take packets
 * from the inside to the outside address for an attack.
 */
import type { Endpoint } from '../../../shared/endpoint.ts';
import {
  countHairpinSilence,
  HAIRPIN_SOCKETS,
  hairpinEnds,
  type HairpinEnd,
  judgeHairpin,
} from '../../../shared/nat/hairpin.ts';
import type { Observations } from '../../../shared/nat/observations.ts';
import { REQUIRED_CONFIDENCE } from '../../../shared/nat/verdict.ts';
import type { InquiryPlan } from '../inquiry.ts';
import type { Plan, Request } from '../request.ts';
import { askingPlan, FINISHED, isOver, planAsking } from './asking.ts';
import { takeTurns } from './turns.ts';

export interface HairpinContext {
  /** The primary endpoint of the server. */
  readonly server: Endpoint;
}

/** Between two packets of one socket to the other. */
const INTERVAL_MS = 20;
/** Each way; at 20 % loss each way half as many are mostly enough. */
const MAX_PACKETS = 60;

export function planHairpin({ server }: HairpinContext): InquiryPlan {
  return {
    sockets: HAIRPIN_SOCKETS,
    plan: (observations, failedSockets) =>
      HAIRPIN_SOCKETS.some((socket) => failedSockets.has(socket)) ? FINISHED : planNext(observations, server),
    progress: (observations) => progressOf(observations),
  };
}

function planNext(observations: Observations, server: Endpoint): Plan {
  if (isOver(observations) || judgeHairpin(observations).value !== 'unknown') return FINISHED;
  const contacts = HAIRPIN_SOCKETS.map((socket): Request => ({ socket, to: server }));
  const ends = hairpinEnds(observations);
  if (ends === undefined) {
    const asking = planAsking(observations, contacts);
    return asking.complete ? FINISHED : askingPlan(asking);
  }
  const reasons = judgeHairpin(observations).reasons.map(({ code }) => code);
  if (reasons.includes('not-translated')) return FINISHED;
  return planExchange(observations, contacts[0]!, ends);
}

/** One packet each way and the control beside them, until silence would count. */
function planExchange(
  observations: Observations,
  control: Request,
  ends: readonly [HairpinEnd, HairpinEnd],
): Plan {
  const { nextLossMs = Infinity } = observations;
  const [one, other] = ends;
  const sent = Math.min(...ends.map(({ toOther }) => toOther?.sends.length ?? 0));
  if (sent >= MAX_PACKETS || willSuffice(observations, ends)) {
    if (nextLossMs === Infinity) return FINISHED;
    return { requests: [], wantsTcp: false, wakeMs: nextLossMs, finished: false };
  }
  const { requests, wakeMs } = takeTurns(
    observations,
    [control, { socket: one.socket, to: other.mapped }, { socket: other.socket, to: one.mapped }],
    INTERVAL_MS,
  );
  return { requests, wantsTcp: false, wakeMs: Math.min(nextLossMs, wakeMs), finished: false };
}

/** Whether what has been sent is enough if what is under way stays unheard and its controls come back. */
function willSuffice(observations: Observations, ends: readonly [HairpinEnd, HairpinEnd]): boolean {
  const { nowMs, lossAfterMs = Infinity, path, inFlight, workedAtMs } = observations;
  const underWayMs = ends
    .flatMap(({ toOther }) => (toOther?.sends ?? []).map(({ atMs }) => atMs))
    .filter((atMs) => nowMs < atMs + lossAfterMs);
  const later: Observations = {
    ...observations,
    nowMs: Infinity,
    // A third of what is under way are controls.
    path: { answered: path.answered + Math.floor(inFlight / 3), lost: path.lost },
    workedAtMs: [...workedAtMs, ...underWayMs],
  };
  return countHairpinSilence(later, ends).confidence >= REQUIRED_CONFIDENCE;
}

function progressOf(observations: Observations): number {
  const ends = hairpinEnds(observations);
  if (ends === undefined) return 0;
  return Math.min(1, countHairpinSilence(observations, ends).confidence / REQUIRED_CONFIDENCE);
}
