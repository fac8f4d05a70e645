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
