/** The worker of loss.ts: makes the runs that it is sent, one task after the other. */
import { parentPort } from 'node:worker_threads';
import { NINE_CELLS, OPEN, STRICT_FIREWALL } from '../sim/cells.ts';
import { classifyIn, describeRun, markRun, type Mark } from '../sim/classify.ts';
import type { LossOptions } from '../sim/loss.ts';
import { buildWorld, type Scenario } from '../sim/scenario.ts';

export const SCENARIOS: readonly Scenario[] = [...NINE_CELLS, OPEN, STRICT_FIREWALL];

/** A part of one line's runs: seeds from `firstSeed` on. */
export interface Task {
  readonly line: number;
  readonly scenario: number;
  readonly loss: LossOptions;
  readonly rttMs: number;
  readonly firstSeed: number;
  readonly runs: number;
}

export interface TaskResult {
  readonly line: number;
  readonly marks: Record<Mark, number>;
  readonly timesMs: Float64Array;
  readonly packets: number;
  /** `SEED: ANSWER` of what wasn't right. */
  readonly misses: readonly string[];
}

parentPort?.on('message', (task: Task) => parentPort!.postMessage(runTask(task)));

function runTask({ line, scenario: index, loss, rttMs, firstSeed, runs }: Task): TaskResult {
  const scenario = SCENARIOS[index]!;
  const marks = { right: 0, inconclusive: 0, wrong: 0 };
  const timesMs = new Float64Array(runs);
  const misses: string[] = [];
  let packets = 0;
  for (let run = 0; run < runs; run += 1) {
    const seed = firstSeed + run;
    const outcome = classifyIn(buildWorld(scenario, { seed, rttMs, rough: { loss } }));
    const mark = markRun(outcome, scenario.truth);
    marks[mark] += 1;
    timesMs[run] = outcome.tookMs;
    packets += outcome.sent;
    if (mark !== 'right') misses.push(`${seed}: ${describeRun(outcome)}`);
  }
  return { line, marks, timesMs, packets, misses };
}
