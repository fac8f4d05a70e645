import { describe, expect, it } from 'vitest';
import { RateLimiter } from '../../../server/http/rate-limiter.ts';

describe('RateLimiter', () => {
  it('lets as many pass at once as in a minute, then says how long to wait', () => {
    const limiter = new RateLimiter(7, 10);
    expect(Array.from({ length: 7 }, () => limiter.take('a', 1000))).toEqual([0, 0, 0, 0, 0, 0, 0]);
    const waitMs = limiter.take('a', 1000);
    expect(waitMs).toBeCloseTo(60_000 / 7);
    // Asking in vain costs nothing.
    expect(limiter.take('a', 1000)).toBe(waitMs);
    expect(limiter.take('a', 1000 + waitMs - 1)).toBeCloseTo(1);
    expect(limiter.take('a', 1000 + waitMs)).toBe(0);
    expect(limiter.take('b', 1000)).toBe(0);
  });

  it('lets no more pass in an hour than an hour’s, and a minute’s at the beginning', () => {
    const limiter = new RateLimiter(120, 10);
    let passed = 0;
    for (let now = 0; now < 3_600_000; now += 100) if (limiter.take('a', now) === 0) passed++;
    expect(passed).toBeGreaterThanOrEqual(61 * 120 - 2);
    expect(passed).toBeLessThanOrEqual(61 * 120);
  });

  it('forgets who has not come for the longest time, and nobody else', () => {
    const limiter = new RateLimiter(1, 3);
    for (const key of ['a', 'b', 'c']) limiter.take(key, 0);
    expect(limiter.take('a', 1)).toBeGreaterThan(0);
    expect(limiter.take('d', 1)).toBe(0);
    expect(limiter.take('a', 2)).toBeGreaterThan(0);
    expect(limiter.take('c', 2)).toBeGreaterThan(0);
    expect(limiter.take('b', 2)).toBe(0);
  });
});
