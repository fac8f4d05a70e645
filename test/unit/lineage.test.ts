/** That the tests exist by which test/README.md says that natprobe does what the systems before it did. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const TESTS = join(import.meta.dirname, '..');
const ROW = /^\| (?<what>.+?) \| (?<heldBy>.+) \|$/gm;
const TEST = /`(?<file>[^`]+\.test\.ts)` “(?<name>[^”]+)”/g;
const HEADING = 'what it does';

const rows = [...readFileSync(join(TESTS, 'README.md'), 'utf8').matchAll(ROW)]
  .map(({ groups }) => ({ what: groups!.what!, heldBy: groups!.heldBy! }))
  .filter(({ what }) => what !== HEADING);

it('each row names tests that are there', () => {
  expect(rows.length).toBeGreaterThan(30);
  const missing = rows.flatMap(({ what, heldBy }) => {
    const tests = [...heldBy.matchAll(TEST)].map(({ groups }) => groups as { file: string; name: string });
    const unread = heldBy.replaceAll(TEST, '').replaceAll(', ', '');
    return [
      ...(tests.length === 0 || unread !== '' ? [`${what}: ${heldBy}`] : []),
      ...tests.filter(({ file, name }) => !isThere(file, name)).map(({ file, name }) => `${file}: ${name}`),
    ];
  });
  expect(missing).toEqual([]);
});

function isThere(file: string, name: string): boolean {
  try {
    return readFileSync(join(TESTS, file), 'utf8').includes(name);
  } catch {
    return false;
  }
}
