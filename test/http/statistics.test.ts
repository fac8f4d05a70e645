/** GET /stats: what became of punches, as JSON and as a page. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SqlPunchStore } from '../../server/punches/sql-punch-store.ts';
import { openSqlite } from '../../server/reports/sqlite.ts';
import type { Statistics } from '../../server/http/report-schemas.ts';
import { endedPunch } from '../unit/server/punches/punches.ts';
import { openTestApp, type TestApp } from './app.ts';

let test: TestApp;
let punches: SqlPunchStore;
beforeEach(async () => {
  const database = await openSqlite(undefined);
  punches = new SqlPunchStore(database, Date.now);
  test = await openTestApp({}, { punches });
});
afterEach(() => test.close());

async function addMany(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, index) => punches.add(endedPunch(index % 4 > 0))));
}

const page = async (): Promise<string> => {
  const { body } = await test.app.inject({ url: '/stats', headers: { accept: 'text/html' } });
  return body.replace(/\s+/g, ' ');
};

it('tells what was predicted and what came of it', async () => {
  await addMany(40);
  const answer = await test.app.inject({ url: '/stats' });
  const told = answer.json<Statistics>().punches!;
  expect(told.punches).toBe(40);
  expect(told.bins[9]).toMatchObject({ punches: 40, open: 30 });
  expect(told.pairs).toEqual([
    {
      a: 'APDM/APDF',
      b: 'EIM/APDF',
      transport: 'udp',
      punches: 40,
      open: 30,
      predicted: expect.closeTo(0.9) as number,
      learned: expect.closeTo(48 / 60) as number,
    },
  ]);
});

it('follows the times that are asked for', async () => {
  await addMany(3);
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const later = await test.app.inject({ url: '/stats', query: { since: tomorrow } });
  expect(later.json<Statistics>().punches?.punches).toBe(0);
});

it('shows it as a page, and that there is nothing yet', async () => {
  expect(await page()).toContain('0 punches planned here have ended.');
  expect(await page()).not.toContain('by pair');
  await addMany(1);
  expect(await page()).toContain('1 punch planned here has ended.');
  await addMany(40);
  const body = await page();
  expect(body).toContain('<th scope="row">90 to 100 %</th>');
  expect(body).toContain('<th scope="row">APDM/APDF × EIM/APDF</th>');
});

it('says nothing of punches where there is no broker', async () => {
  const other = await openTestApp();
  expect((await other.app.inject({ url: '/stats' })).json<Statistics>()).not.toHaveProperty('punches');
  await other.close();
});
