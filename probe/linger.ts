import { setTimeout as sleep } from 'node:timers/promises';
import type { Hole } from './hole.ts';

const LEAST_MS = 1000;
const ROUND_TRIPS = 5;

/** Before a hole is closed that has carried nothing yet: the peer may not have heard our last answer, and ask again. */
export async function linger({ report }: Pick<Hole<unknown>, 'report'>, signal?: AbortSignal): Promise<void> {
  const ms = Math.max(LEAST_MS, ROUND_TRIPS * (report.timing.rttMs ?? 0));
  await sleep(ms, undefined, signal && { signal }).catch(() => undefined);
}
