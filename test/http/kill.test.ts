import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { killAfterAnswers, missingReports, startHttpServer } from '../support/http-load.ts';
import { readSample } from './app.ts';

const ANSWERS = 100;
const data = mkdtempSync(join(tmpdir(), 'natprobed-'));
afterAll(() => rmSync(data, { recursive: true }));

it('every report that was answered is there after SIGKILL in the middle of a load', async () => {
  const server = await startHttpServer(['--data', data]);
  const ids = await killAfterAnswers(server, JSON.stringify(readSample('udp-blocked')), 8, ANSWERS);
  expect(ids.length).toBeGreaterThanOrEqual(ANSWERS);
  const again = await startHttpServer(['--data', data]);
  try {
    expect(await missingReports(again.api, ids)).toEqual([]);
    const { reports } = (await (await fetch(`${again.api}/stats`)).json()) as { reports: number };
    expect(reports).toBeGreaterThanOrEqual(ids.length);
  } finally {
    await again.kill();
  }
});
