/**
 * Counted silence: how sure one may be that nothing was let through, when nothing arrived.
 * The loss of the path is unknown and estimated from the same run (MEASURING.md §1).
 */

/** Transactions of a run which should have been answered whatever the NAT: how many were. */
export interface PathLoss {
  readonly answered: number;
  readonly lost: number;
}

/** Silence in fewer distinct pacing slots than this is not evidence: one burst takes neighbours together. */
export const MIN_SILENT_SLOTS = 3;

/**
 * Probability that the next `n` packets are all lost, at the loss which the path has shown.
 *
 * With a Beta(1,1) prior on the loss and independent losses, the predictive probability of n losses
 * in a row is the product of (1 + lost + i) / (2 + lost + answered + i). The loss counted is that of
 * round trips, which is never below that of either direction, so the result errs towards doubt.
 */
export function chanceAllLost(n: number, path: PathLoss): number {
  let chance = 1;
  for (let i = 0; i < n; i++) chance *= (1 + path.lost + i) / (2 + path.lost + path.answered + i);
  return chance;
}

/** The least number of silent transactions that makes silence credible with `confidence`; at least MIN_SILENT_SLOTS. */
export function silenceNeeded(path: PathLoss, confidence: number): number {
  let n = 0;
  let chance = 1;
  while (n < MIN_SILENT_SLOTS || chance > 1 - confidence) {
    chance *= (1 + path.lost + n) / (2 + path.lost + path.answered + n);
    n++;
  }
  return n;
}

/** How many pacing slots the times fall into: one closer than the pace to its neighbour shares its slot. */
export function countSlots(timesMs: readonly number[], paceMs: number): number {
  let slots = 0;
  let slotAt = -Infinity;
  // Timers of a real clock end up to a millisecond off.
  const slotMs = Math.max(1, paceMs - 1);
  for (const atMs of [...timesMs].sort((a, b) => a - b)) {
    if (atMs - slotAt < slotMs) continue;
    slots++;
    slotAt = atMs;
  }
  return slots;
}
