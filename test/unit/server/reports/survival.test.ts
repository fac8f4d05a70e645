import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTestStore } from './reports.ts';

const WRITER = fileURLToPath(new URL('report-writer.ts', import.meta.url));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'natprobe-survival-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it.each([150, 401, 902])(
  'SIGKILL in the middle, after %i lines: every report that was said to be kept is there, and the counts are right',
  async (lines) => {
    const said = await runAndKill(lines);
    const kept = said.filter(([what]) => what === 'new').map(([, id]) => id!);
    const removed = said.filter(([what, count]) => what === 'removed' && count !== '0');
    expect(kept.length).toBeGreaterThan(lines / 4);
    expect(removed.length).toBeGreaterThan(0);

    const { store } = await openTestStore(directory);
    const found = new Set<string>();
    for await (const { id } of store.export({})) found.add(id);
    expect(kept.filter((id) => !found.has(id))).toEqual([]);
    expect((await store.summarise({})).reports).toBe(found.size);
    await store.close();
  },
);

/** The whole lines that the writer printed, as words. */
async function runAndKill(lines: number): Promise<string[][]> {
  const child = spawn(process.execPath, [WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let said = '';
  let newlines = 0;
  for await (const chunk of child.stdout) {
    said += String(chunk);
    newlines += String(chunk).split('\n').length - 1;
    if (newlines >= lines) child.kill('SIGKILL');
  }
  await closed;
  expect(child.signalCode).toBe('SIGKILL');
  return said
    .slice(0, said.lastIndexOf('\n'))
    .split('\n')
    .map((line) => line.split(' '));
}
