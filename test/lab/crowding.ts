import { availableParallelism, loadavg } from 'node:os';

/** How many times longer things take where others keep the machine busy: each core has two processes to itself. */
export function crowding(): number {
  const [lastMinute] = loadavg() as [number];
  return Math.max(1, lastMinute / (2 * availableParallelism()));
}
