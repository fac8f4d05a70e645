/**
 * How long a verdict takes without loss, in every scenario of the simulated network, in virtual
 * time, held against 3 round trips + 100 ms (blocked: 1 s + 3 TCP round trips). Ends in 1 if one is
 * late or not right.
 *
 *     npm run bench:time -- [--runs 20] [--seed 1] [--rtt 20,100,600]
 */
import { BLOCKED, PASSING } from '../sim/cells.ts';
import { classifyIn, markRun } from '../sim/classify.ts';
import { list, number, readArguments } from '../support/arguments.ts';
import { buildWorld, type Scenario } from '../sim/scenario.ts';

const {
  runs,
  seed: firstSeed,
  rtt: rttsMs,
} = readArguments('bench:time', {
  runs: number(20, { least: 1 }),
  seed: number(1, { least: 0 }),
  rtt: list('20,100,600', number(20, { least: 0, step: 0 })),
});

/** What one scenario came to at one round trip. */
interface Cell {
  readonly text: string;
  readonly isGood: boolean;
}

console.log(
  `${runs} runs each, seeds ${firstSeed} to ${firstSeed + runs - 1}, no loss: median / longest ms of virtual time`,
);
console.log('scenario'.padEnd(56) + rttsMs.map((rttMs) => `RTT ${rttMs} ms`.padStart(16)).join(''));
let missed = 0;
for (const scenario of [...PASSING, ...BLOCKED]) {
  const cells = rttsMs.map((rttMs) => measure(scenario, rttMs));
  missed += cells.filter(({ isGood }) => !isGood).length;
  console.log(scenario.name.padEnd(56) + cells.map(({ text }) => text.padStart(16)).join(''));
}
const limits = rttsMs.map((rttMs) => `${3 * rttMs + 100} / blocked ${1000 + 3 * rttMs}`);
console.log('limit'.padEnd(56) + limits.map((limit) => limit.padStart(16)).join('  '));
console.log(missed === 0 ? 'held everywhere' : `MISSED ${missed} times`);
process.exitCode = missed === 0 ? 0 : 1;

function measure(scenario: Scenario, rttMs: number): Cell {
  const limitMs = scenario.truth.type === 'udp-blocked' ? 1000 + 3 * rttMs : 3 * rttMs + 100;
  const timesMs: number[] = [];
  let wrong = 0;
  for (let run = 0; run < runs; run += 1) {
    const outcome = classifyIn(buildWorld(scenario, { seed: firstSeed + run, rttMs }));
    timesMs.push(outcome.tookMs);
    if (markRun(outcome, scenario.truth) !== 'right') wrong += 1;
  }
  timesMs.sort((a, b) => a - b);
  const longestMs = timesMs.at(-1)!;
  const isGood = wrong === 0 && longestMs <= limitMs;
  const times = `${timesMs[runs >> 1]!.toFixed(0)} / ${longestMs.toFixed(0)}`;
  return { text: isGood ? times : `! ${times}, ${wrong} wrong`, isGood };
}
