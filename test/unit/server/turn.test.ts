import type { RemoteInfo } from 'node:dgram';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { ServerRole } from '../../../shared/role.ts';
import { Turn } from '../../../server/udp/turn.ts';

const MOST = 4;

function startTurn(): { seen: string[]; add: (name: string, role: ServerRole) => void } {
  const seen: string[] = [];
  const turn = new Turn(
    MOST,
    () => seen.push('start'),
    (bytes, { port }, role) => seen.push(`${Buffer.from(bytes).toString()} from ${port} to ${role}`),
    () => seen.push('end'),
  );
  const add = (name: string, role: ServerRole): void => {
    const source: RemoteInfo = { address: '192.0.2.9', family: 'IPv4', port: 1000 + seen.length, size: 0 };
    turn.add(Buffer.from(name), source, role);
  };
  return { seen, add };
}

it('handles what has come once the turn of the event loop ends, in order', async () => {
  const { seen, add } = startTurn();
  add('a', 0);
  add('b', 3);
  expect(seen).toEqual([]);
  await nextTurn();
  expect(seen).toEqual(['start', 'a from 1000 to 0', 'b from 1000 to 3', 'end']);
  await nextTurn();
  add('c', 1);
  await nextTurn();
  expect(seen.slice(4)).toEqual(['start', 'c from 1004 to 1', 'end']);
});

it('does not wait where there is no room for more', async () => {
  const { seen, add } = startTurn();
  for (const name of ['a', 'b', 'c', 'd']) add(name, 0);
  expect(seen.filter((line) => line === 'end')).toHaveLength(1);
  add('e', 0);
  await nextTurn();
  expect(seen.filter((line) => line.includes('from')).map(([name]) => name)).toEqual([
    'a',
    'b',
    'c',
    'd',
    'e',
  ]);
  expect(seen.filter((line) => line === 'end')).toHaveLength(2);
});
