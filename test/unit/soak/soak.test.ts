/** What a soak concludes, and that it runs at all: `npm run soak` makes it long. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findFaults, judgeGrowth, slopeOf, type SoakSample } from '../../bench/soak/judge.ts';
import { plotPanels } from '../../bench/soak/plot.ts';
import { batchedLanesMissing } from '../../support/batched-lanes.ts';
import { itIf } from '../../support/requirements.ts';
import { Random } from '../../sim/random.ts';

const MIB = 2 ** 20;

/** 29 minutes of saw teeth of 8 MiB and noise, on a slope. */
function memory(mibAMinute: number): [number, number][] {
  const random = new Random(1);
  return Array.from({ length: 29 * 60 }, (_, second) => {
    const tooth = ((second % 37) / 37) * 8;
    return [60 + second, (100 + tooth + random.normal(0.5) + (mibAMinute * second) / 60) * MIB];
  });
}

describe('memory', () => {
  it('that is the same but for garbage collection does not grow', () => {
    expect(judgeGrowth(slopeOf(memory(0)))).toBe('none');
  });

  it('that grows by two bytes a request at 50,000 a second grows', () => {
    expect(judgeGrowth(slopeOf(memory((2 * 50_000 * 60) / MIB)))).toBe('grows');
    expect(judgeGrowth(slopeOf(memory(0.3)))).toBe('grows');
  });

  it('has a slope within its confidence interval', () => {
    const { low, value, high } = slopeOf(memory(3))!;
    expect([low < value, value < high]).toEqual([true, true]);
    expect((value * 60) / MIB).toBeCloseTo(3, 1);
  });

  it('of a few seconds tells nothing', () => {
    expect(judgeGrowth(slopeOf(memory(0).slice(0, 19)))).toBe('unknown');
    expect(judgeGrowth(slopeOf(memory(0).slice(0, 60)))).toBe('unknown');
  });
});

describe('answers', () => {
  const sampleOf = (load: Partial<SoakSample['load']>, serverDrops = 0): SoakSample => ({
    seconds: 10,
    load: {
      ...{ kind: 'end', seconds: 10, sent: 1000, answered: 1000, lost: 0, wrong: 0, refused: 0 },
      ...{ drops: 0, skipped: 0, p50: 1, p99: 1, firstWrong: undefined },
      ...load,
    },
    residentBytes: 0,
    serverDrops,
    backlogDrops: 0,
  });

  it('may be lost where the kernel has dropped as many, at either end', () => {
    expect(findFaults(sampleOf({ lost: 7, drops: 3 }, 4), 100, 0)).toEqual([]);
    expect(findFaults(sampleOf({ lost: 8, drops: 3 }, 4), 100, 1)).toEqual([]);
    expect(findFaults(sampleOf({ lost: 8, drops: 3 }, 4), 100, 0)).toEqual([
      '8 answers were lost, of which the kernel reported 7 as dropped',
    ]);
  });

  it('are to be right, and as many as were to be asked', () => {
    expect(findFaults(sampleOf({ wrong: 1, firstWrong: 'answer 5: 0101' }), 100, 0)).toEqual([
      '1 answers were wrong; the first: answer 5: 0101',
    ]);
    expect(findFaults(sampleOf({ sent: 899 }), 100, 0)).toEqual(['only 90 requests a second could be asked']);
  });
});

it('a plot has a line for each thing sampled, and all of it inside', () => {
  const svg = plotPanels(
    'a < b',
    [1, 2, 3],
    [
      { title: 'one', lines: [{ name: 'x', colour: 'red', values: [0, 70, 35] }] },
      { title: 'two', lines: [{ name: 'y', colour: 'blue', values: [0, 0, 0] }] },
    ],
  );
  expect(svg).toContain('a &lt; b');
  const lines = [...svg.matchAll(/points="([^"]+)"/g)].map(([, points]) => points!.split(' '));
  expect(lines.map(({ length }) => length)).toEqual([3, 3]);
  for (const [, y] of lines.flat().map((point) => point.split(',').map(Number))) {
    expect(y).toBeGreaterThan(0);
    expect(y).toBeLessThan(44 + 2 * 190);
  }
});

itIf(batchedLanesMissing)('a soak of two seconds checks answers of natprobed, and draws', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-soak-'));
  const svg = join(folder, 'soak.svg');
  const main = new URL('../../bench/soak.ts', import.meta.url).pathname;
  const flags = ['--minutes', '0.03', '--rate', '500', '--lanes', '2', '--svg', svg];
  const child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  expect(output).toContain('memory after the first minute: too few samples');
  expect(output).toMatch(/ lost 0, wrong 0, /);
  expect(readFileSync(svg, 'utf8')).toContain('Resident memory');
  rmSync(folder, { recursive: true });
});
