import { setTimeout as delay } from 'node:timers/promises';
import type { Hole } from '../../hole.ts';

const LEAST_MS = 1000;
const ROUND_TRIPS = 5;

/** Before a hole is closed that was only to be opened: the peer may not have heard our last answer, and ask again. */
export async function linger({ report }: Hole<unknown>, signal: AbortSignal): Promise<void> {
  const ms = Math.max(LEAST_MS, ROUND_TRIPS * (report.timing.rttMs ?? 0));
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
