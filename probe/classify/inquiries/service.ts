/** Where a server's HTTP API is: the plan of asking for SERVICE alone. */
import type { Observations } from '../../../shared/nat/observations.ts';
import type { InquiryPlan } from '../inquiry.ts';
import { isAnswered, lastSentMs, type Plan } from '../request.ts';
import { MAPPING_SOCKET } from '../socket-names.ts';

/** The first two repetitions of RFC 8489 §6.2.1, sooner: what is asked is one packet. */
const INTERVALS_MS = [100, 300, 500, 1000];
/** UDP may be blocked: TCP is asked beside it. */
const TCP_AFTER_MS = 400;
export const SERVICE_TIMEOUT_MS = 3000;

export function planService(): InquiryPlan {
  return { sockets: [MAPPING_SOCKET], plan, progress: () => 0 };
}

/** Asks the one server until it answers, over TCP too if that takes long. */
function plan(observations: Observations): Plan {
  const { nowMs, run, tcp } = observations;
  const request = { socket: MAPPING_SOCKET, to: run.servers[0]! };
  const overTcp = tcp.find(({ outcome }) => outcome !== 'pending' && outcome !== 'connected');
  const finished =
    isAnswered(observations, request) || overTcp?.outcome === 'answered' || nowMs >= run.timeoutMs;
  if (finished) return { requests: [], wantsTcp: false, wakeMs: undefined, finished };
  const sent = observations.series.flatMap(({ sends }) => sends).length;
  const interval = INTERVALS_MS[Math.min(sent, INTERVALS_MS.length) - 1];
  const dueMs = (lastSentMs(observations, request) ?? -Infinity) + (interval ?? 0);
  const wantsTcp = tcp.length === 0 && nowMs >= TCP_AFTER_MS;
  const wakes = [dueMs, ...(tcp.length === 0 ? [TCP_AFTER_MS] : [])].filter((atMs) => atMs > nowMs);
  return {
    requests: nowMs >= dueMs ? [request] : [],
    wantsTcp,
    wakeMs: wakes.length === 0 ? undefined : Math.min(...wakes),
    finished,
  };
}
