import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { startRetention } from '../../../../server/reports/retention.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.parse('2026-03-01T12:00:00Z');

beforeEach(() => vi.useFakeTimers({ now: START_MS }));
afterEach(() => vi.useRealTimers());

it('removes what is older than it is told, at once and every hour, and says how many went', async () => {
  const asked: string[] = [];
  const logged: string[] = [];
  const removeBefore = (time: string): Promise<number> => {
    asked.push(time);
    return Promise.resolve(asked.length === 2 ? 7 : 0);
  };
  const retention = startRetention(
    { removeBefore },
    {
      what: 'reports',
      keepMs: 24 * HOUR_MS,
      now: Date.now,
      monotonicNow: () => performance.now(),
      log: (level, message) => logged.push(`${level}: ${message}`),
    },
  );
  await vi.advanceTimersByTimeAsync(2.5 * HOUR_MS);
  await retention.stop();
  await vi.advanceTimersByTimeAsync(5 * HOUR_MS);
  expect(asked).toEqual(['2026-02-28T12:00:00.000Z', '2026-02-28T13:00:00.000Z', '2026-02-28T14:00:00.000Z']);
  expect(logged).toEqual(['info: reports: removed 7 that were too old']);
});

it('goes on after a failure, which it logs; never sweeps twice at a time; ends with its sweep', async () => {
  const logged: string[] = [];
  let sweeps = 0;
  let finish: (() => void) | undefined;
  const removeBefore = async (): Promise<number> => {
    sweeps += 1;
    if (sweeps === 1) throw new Error('the disk is gone');
    await new Promise<void>((resolve) => (finish = resolve));
    return 0;
  };
  const retention = startRetention(
    { removeBefore },
    {
      what: 'reports',
      keepMs: HOUR_MS,
      now: Date.now,
      monotonicNow: () => performance.now(),
      log: (level, message) => logged.push(`${level}: ${message}`),
    },
  );
  await vi.advanceTimersByTimeAsync(4 * HOUR_MS);
  expect(sweeps).toBe(2);
  expect(logged).toEqual(['error: reports: the disk is gone']);
  let hasStopped = false;
  const stopped = retention.stop().then(() => (hasStopped = true));
  await vi.advanceTimersByTimeAsync(1);
  expect(hasStopped).toBe(false);
  finish!();
  await stopped;
});

it('removes nothing in the hour in which the clock was put forward, and believes it after that', async () => {
  const asked: string[] = [];
  const logged: string[] = [];
  const retention = startRetention(
    {
      removeBefore(time) {
        asked.push(time);
        return Promise.resolve(0);
      },
    },
    {
      what: 'reports',
      keepMs: 24 * HOUR_MS,
      now: Date.now,
      monotonicNow: () => performance.now(),
      log: (level, message) => logged.push(`${level}: ${message}`),
    },
  );
  await vi.advanceTimersByTimeAsync(0.5 * HOUR_MS);
  vi.setSystemTime('2036-03-01T12:30:00Z');
  await vi.advanceTimersByTimeAsync(HOUR_MS);
  expect(asked).toEqual(['2026-02-28T12:00:00.000Z']);
  expect(logged).toEqual([
    'warning: reports: the clock was put forward by 5260320 minutes; none is removed this hour',
  ]);
  // Put right again; back is no danger.
  vi.setSystemTime('2026-03-01T13:30:00Z');
  await vi.advanceTimersByTimeAsync(HOUR_MS);
  expect(asked.slice(1)).toEqual(['2026-02-28T14:00:00.000Z']);
  // Put forward, and so it stays.
  vi.setSystemTime('2026-05-01T00:00:00Z');
  await vi.advanceTimersByTimeAsync(2 * HOUR_MS);
  expect(asked.slice(2)).toEqual(['2026-04-30T01:30:00.000Z']);
  expect(logged).toHaveLength(2);
  await retention.stop();
});
