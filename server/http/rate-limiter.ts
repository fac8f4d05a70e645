/**
 * How often each of many may do something, in memory that doesn't grow: those who have not come for the
 * longest time make room. A leaky bucket by arrival times (GCRA). Pure.
 */
export class RateLimiter {
  private readonly intervalMs: number;
  private readonly toleranceMs: number;
  private readonly capacity: number;
  /** When the bucket of a key will be empty, in the order of their last coming. */
  private readonly emptyAt = new Map<string, number>();

  /** `perMinute` at once, and then as many a minute; `capacity` keys at most are remembered. */
  constructor(perMinute: number, capacity: number) {
    this.intervalMs = 60_000 / perMinute;
    this.toleranceMs = 60_000 - this.intervalMs;
    this.capacity = capacity;
  }

  /** Takes one turn, and returns 0; or takes none, and returns how many milliseconds to wait for one. */
  take(key: string, now: number): number {
    const emptyAt = Math.max(this.emptyAt.get(key) ?? 0, now);
    const waitMs = emptyAt - now - this.toleranceMs;
    this.emptyAt.delete(key);
    // Sums of fractions stray by less.
    const mayPass = waitMs < 0.001;
    this.emptyAt.set(key, mayPass ? emptyAt + this.intervalMs : emptyAt);
    if (this.emptyAt.size > this.capacity) this.emptyAt.delete(this.emptyAt.keys().next().value!);
    return mayPass ? 0 : waitMs;
  }
}
