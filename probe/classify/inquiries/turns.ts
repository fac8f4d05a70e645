import type { Observations } from '../../../shared/nat/observations.ts';
import { lastSentMs, type Request } from '../request.ts';

/**
 * Those of several series whose next request is due, each `intervalMs` after its last. Whoever has
 * waited longest comes first, for slots that don't hold all; `wakeMs` is when the next is due.
 */
export function takeTurns(
  observations: Observations,
  series: readonly Request[],
  intervalMs: number,
): { readonly requests: readonly Request[]; readonly wakeMs: number } {
  const { nowMs } = observations;
  const turns = series
    .map((request) => ({ request, dueMs: (lastSentMs(observations, request) ?? -Infinity) + intervalMs }))
    .sort((a, b) => a.dueMs - b.dueMs);
  const later = turns.map(({ dueMs }) => dueMs).filter((dueMs) => dueMs > nowMs);
  return {
    requests: turns.filter(({ dueMs }) => dueMs <= nowMs).map(({ request }) => request),
    wakeMs: Math.min(nowMs + intervalMs, ...later),
  };
}
