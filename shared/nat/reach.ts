/** What it means when nothing came back over UDP, with TCP to the same server as the control. */
import { sameEndpoint } from '../endpoint.ts';
import { isPlain, type TcpEvidence } from './evidence.ts';
import type { Observations } from './observations.ts';
import { chanceAllLost, MIN_SILENT_SLOTS, type PathLoss } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

/** UDP is not called blocked before this, however fast TCP answers. */
export const BLOCKED_AFTER_MS = 1000;

export type Reach =
  | { readonly kind: 'udp' }
  | {
      readonly kind: 'blocked';
      readonly confidence: number;
      readonly unanswered: number;
      readonly how: string;
    }
  /** Both UDP and TCP were refused: the host is there and nothing listens. */
  | { readonly kind: 'nothing-listens' }
  | { readonly kind: 'unreachable'; readonly why: string }
  /** A browser that has nothing to send from: its settings or a policy keep WebRTC from it. */
  | { readonly kind: 'no-candidates' }
  | { readonly kind: 'open' };

export function assessReach(observations: Observations): Reach {
  const { roundTrips, tcp, refusals, nowMs } = observations;
  if (roundTrips.size > 0) return { kind: 'udp' };
  const reached = tcp.filter(
    ({ outcome }) => outcome === 'answered' || outcome === 'connected' || outcome === 'refused',
  );
  if (reached.length === 0) {
    const noRoute = refusals.some(({ reason }) => reason === 'unreachable');
    const over =
      tcp.length > 0 && tcp.every(({ outcome }) => outcome === 'unreachable' || outcome === 'timeout');
    if (!over) return { kind: 'open' };
    return { kind: 'unreachable', why: noRoute ? 'no route to it' : 'neither UDP nor TCP brought an answer' };
  }
  const refusedUdp = refusals.some(
    ({ reason, to }) => reason === 'port-unreachable' && reached.some((item) => sameEndpoint(item.to, to)),
  );
  if (refusedUdp && reached.every(({ outcome }) => outcome === 'refused')) return { kind: 'nothing-listens' };
  const { unanswered, path } = weigh(observations, reached);
  const confidence = 1 - chanceAllLost(unanswered, path);
  if (nowMs < BLOCKED_AFTER_MS || unanswered < MIN_SILENT_SLOTS || confidence < REQUIRED_CONFIDENCE) {
    return { kind: 'open' };
  }
  const best = reached.find(({ outcome }) => outcome === 'answered') ?? reached[0]!;
  return {
    kind: 'blocked',
    confidence,
    unanswered,
    how: HOW_REACHED[best.outcome as keyof typeof HOW_REACHED],
  };
}

const HOW_REACHED = {
  answered: 'the server answers the same request over TCP',
  connected: 'the server accepts TCP',
  refused: 'the server resets TCP, so it can be reached',
} as const;

/** A connection that took this much longer than another repeated its SYN (RFC 6298 §2.1: one second). */
const SYN_REPEATED_MS = 900;

/**
 * Plain requests that should have come back, and how TCP fared. Only those count that were sent since
 * TCP got through (before, an outage may have taken both) and are old enough by TCP's round trip.
 */
function weigh(
  observations: Observations,
  reached: readonly TcpEvidence[],
): { unanswered: number; path: PathLoss } {
  let roundTripMs = Infinity;
  // The answer on a connection tells the round trip as well, when each SYN had to be repeated.
  for (const { connectMs = 0, answerMs = Infinity } of reached)
    roundTripMs = Math.min(roundTripMs, connectMs, answerMs);
  let answered = 0;
  let lost = 0;
  let worksSinceMs = Infinity;
  for (const { outcome, atMs, connectMs = 0 } of reached) {
    answered += outcome === 'answered' ? 2 : 1;
    lost += connectMs >= roundTripMs + SYN_REPEATED_MS ? 1 : 0;
    worksSinceMs = Math.min(worksSinceMs, atMs + connectMs - roundTripMs);
  }
  // Half a round trip and 50 ms more than TCP needed: UDP may take another queue.
  const returnMs = 1.5 * roundTripMs + 50;
  let unanswered = 0;
  for (const series of observations.series) {
    if (!isPlain(series) || !reached.some(({ to }) => sameEndpoint(to, series.to))) continue;
    for (const { atMs } of series.sends)
      unanswered += atMs >= worksSinceMs && observations.nowMs >= atMs + returnMs ? 1 : 0;
  }
  return { unanswered, path: { answered, lost } };
}
