/**
 * How often the verdict is right, none, or wrong when packets are lost: the real classifier against
 * the real answer core on the simulated network, in each of RFC 4787's nine cells, without NAT and
 * behind a firewall. Ends in 1 if a target is missed.
 *
 *     npm run bench:loss -- [--runs 10000] [--loss 5,10,20,bursts] [--seed 1] [--rtt 100] [--workers N]
 */
import type { LossOptions } from '../sim/loss.ts';
import { type Argument, list, number, percent, readArguments, WORKERS } from '../support/arguments.ts';
import { describeLoss } from './describe-loss.ts';
import { SCENARIOS, type Task, type TaskResult } from './loss-worker.ts';
import { shareOut } from './worker-pool.ts';

/** Issue 2's targets, held against every line. */
const MAX_WRONG_SHARE = 0.001;
const MAX_INCONCLUSIVE_SHARE = 0.01;
const MAX_MEDIAN_MS = 1000;

/** Bursts with the same mean as 20 % independent loss: by packets, and by time. */
const BURSTS: readonly LossOptions[] = [
  { kind: 'gilbert-elliott', p: 0.05, r: 0.2, lossGood: 0, lossBad: 1 },
  { kind: 'timed-gilbert-elliott', meanGoodMs: 160, meanBadMs: 40, lossGood: 0, lossBad: 1 },
];

const LOSS: Argument<readonly LossOptions[]> = {
  fallback: 'bursts',
  takes: `${percent(0).takes}, or "bursts"`,
  read(text) {
    if (text === 'bursts') return BURSTS;
    const lost = percent(0).read(text);
    return lost === undefined ? undefined : [{ kind: 'independent', probability: lost / 100 }];
  },
};

const RUNS_PER_TASK = 500;
const SHOWN_MISSES = 3;
const HEADER = `${'cell'.padEnd(24)}${'wrong %'.padStart(10)}${'inconcl. %'.padStart(12)}${'median ms'.padStart(11)}${'p99 ms'.padStart(9)}${'sent'.padStart(7)}`;

process.exitCode = await main();

async function main(): Promise<number> {
  const {
    runs,
    loss,
    rtt: rttMs,
    seed,
    workers,
  } = readArguments('bench:loss', {
    runs: number(10_000, { least: 1 }),
    loss: list('5,10,20,bursts', LOSS),
    seed: number(1, { least: 0 }),
    rtt: number(100, { least: 0, step: 0 }),
    workers: WORKERS,
  });
  const losses = loss.flat();
  const lines = losses.flatMap((loss) => SCENARIOS.map((_, scenario) => ({ loss, scenario })));
  const tasks = lines.flatMap(({ loss, scenario }, line) =>
    Array.from({ length: Math.ceil(runs / RUNS_PER_TASK) }, (_, part): Task => {
      const first = part * RUNS_PER_TASK;
      return {
        line,
        scenario,
        loss,
        rttMs,
        firstSeed: seed + first,
        runs: Math.min(RUNS_PER_TASK, runs - first),
      };
    }),
  );
  console.log(
    `${runs} runs a line, seeds ${seed} to ${seed + runs - 1}, RTT ${rttMs} ms; loss is each way, on the path outside the NAT`,
  );
  let missed = 0;
  let printed = 0;
  const results = lines.map((): TaskResult[] => []);
  await shareOut(new URL('loss-worker.ts', import.meta.url), workers, tasks, (message) => {
    const result = message as TaskResult;
    results[result.line]!.push(result);
    while (printed < lines.length && sum(results[printed]!, ({ timesMs }) => timesMs.length) === runs) {
      const { loss, scenario } = lines[printed]!;
      if (scenario === 0) console.log(`\n${describeLoss(loss)}\n${HEADER}`);
      if (!printLine(SCENARIOS[scenario]!.name, results[printed]!)) missed += 1;
      printed += 1;
    }
  });
  console.log(
    `\n${missed === 0 ? 'held on' : `MISSED on ${missed} of`} ${lines.length} lines: wrong at most ${MAX_WRONG_SHARE * 100} %, inconclusive under ${MAX_INCONCLUSIVE_SHARE * 100} %, median under ${MAX_MEDIAN_MS} ms`,
  );
  return missed === 0 ? 0 : 1;
}

/** Prints one line of the table; false if it misses a target. */
function printLine(name: string, parts: readonly TaskResult[]): boolean {
  const runs = sum(parts, ({ timesMs }) => timesMs.length);
  const wrong = sum(parts, ({ marks }) => marks.wrong) / runs;
  const inconclusive = sum(parts, ({ marks }) => marks.inconclusive) / runs;
  const timesMs = parts.flatMap((part) => [...part.timesMs]).sort((a, b) => a - b);
  const medianMs = timesMs[Math.floor(runs / 2)]!;
  const p99Ms = timesMs[Math.floor(runs * 0.99)]!;
  const sent = sum(parts, ({ packets }) => packets) / runs;
  const isGood =
    wrong <= MAX_WRONG_SHARE && inconclusive < MAX_INCONCLUSIVE_SHARE && medianMs < MAX_MEDIAN_MS;
  console.log(
    `${name.padEnd(24)}${(wrong * 100).toFixed(3).padStart(10)}${(inconclusive * 100).toFixed(3).padStart(12)}` +
      `${medianMs.toFixed(0).padStart(11)}${p99Ms.toFixed(0).padStart(9)}${sent.toFixed(1).padStart(7)}${isGood ? '' : '  MISSED'}`,
  );
  const misses = parts.flatMap((part) => part.misses);
  for (const miss of misses.slice(0, SHOWN_MISSES)) console.log(`    seed ${miss}`);
  if (misses.length > SHOWN_MISSES) console.log(`    … and ${misses.length - SHOWN_MISSES} more`);
  return isGood;
}

function sum<Item>(items: readonly Item[], value: (item: Item) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
