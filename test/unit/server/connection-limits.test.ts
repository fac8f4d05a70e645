import { expect, it } from 'vitest';
import { ConnectionCount, DEFAULT_CONNECTION_LIMITS } from '../../../server/tcp/connection-limits.ts';

it('admits so many from one source, and so many in all, and forgets those that have gone', () => {
  const count = new ConnectionCount({ ...DEFAULT_CONNECTION_LIMITS, total: 3, perSource: 2 });
  expect(['a', 'a', 'a', 'b', 'c'].map((source) => count.admit(source))).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
  count.release('a');
  expect([count.admit('a'), count.admit('a')]).toEqual([true, false]);
  for (const source of ['a', 'a', 'b']) count.release(source);
  expect(count.total).toBe(0);
  expect(['c', 'c', 'c'].map((source) => count.admit(source))).toEqual([true, true, false]);
});
