/**
 * How good the predicted sets of ports are: the real inquiry behind each NAT of the simulator, with
 * others' mappings in between, and the next mapping held against the set. Ends in 1 if a line has the
 * port in its set in less than 90 % of runs, or a set of more than twice the smallest that would do.
 *
 *     npm run bench:ports -- [--runs 200] [--seed 1] [--flows 0,5,20,200] [--after 0,200] [--loss 0]
 */
import { PREDICTED_SHARE } from '../../shared/nat/ports.ts';
import { list, number, percent, readArguments } from '../support/arguments.ts';
import { calibrate, CALIBRATED_ALLOCATIONS, type CalibrationCase } from '../sim/port-calibration.ts';

/** A set may be this many times the smallest that would do. */
const MOST_TIMES = 2;
const MAPPING_NAMES = { 'endpoint-independent': 'EIM', 'address-and-port-dependent': 'APDM' } as const;

const { runs, seed, flows, after, loss } = readArguments('bench:ports', {
  runs: number(200, { least: 1 }),
  seed: number(1, { least: 0 }),
  flows: list('0,5,20,200', number(0, { least: 0, step: 0 })),
  after: list('0,200', number(0, { least: 0, step: 0 })),
  loss: percent(0),
});

console.log(
  `${runs} runs a line, seeds ${seed} to ${seed + runs - 1}, RTT 50 ms, loss ${loss} % each way; ` +
    'others: mappings a second; after: ms from the end of the inquiry; smallest: what would do for who knows the NAT',
);
console.log(
  `${'NAT'.padEnd(31)}${'next'.padEnd(14)}${'others'.padStart(6)}${'after'.padStart(7)}${'in set %'.padStart(10)}` +
    `${'said %'.padStart(8)}${'ports'.padStart(10)}${'smallest'.padStart(10)}${'times'.padStart(7)}${'named %'.padStart(9)}`,
);
let missed = 0;
for (const mapping of ['endpoint-independent', 'address-and-port-dependent'] as const) {
  for (const [name, ports] of CALIBRATED_ALLOCATIONS) {
    for (const next of ['new-socket', 'new-endpoint'] as const) {
      for (const flowsPerSecond of flows) {
        for (const afterMs of after) {
          const item: CalibrationCase = {
            mapping,
            ports,
            flowsPerSecond,
            next,
            afterMs,
            ...(loss === 0 ? {} : { loss: { kind: 'independent', probability: loss / 100 } }),
          };
          missed += printLine(`${MAPPING_NAMES[mapping]}, ${name}`, item) ? 0 : 1;
        }
      }
    }
  }
}
console.log(
  missed === 0
    ? `held on every line: at least ${PREDICTED_SHARE * 100} % in the set, at most ${MOST_TIMES} times the smallest`
    : `MISSED on ${missed} lines`,
);
process.exitCode = missed === 0 ? 0 : 1;

/** False if it misses a target. */
function printLine(name: string, item: CalibrationCase): boolean {
  const { hits, named, stated, count, smallest } = calibrate(item, seed, runs);
  const isGood = hits >= PREDICTED_SHARE * runs && count <= MOST_TIMES * smallest;
  console.log(
    `${name.padEnd(31)}${item.next.padEnd(14)}${String(item.flowsPerSecond).padStart(6)}${String(item.afterMs).padStart(7)}` +
      `${((100 * hits) / runs).toFixed(1).padStart(10)}${(100 * stated).toFixed(1).padStart(8)}${count.toFixed(1).padStart(10)}` +
      `${smallest.toFixed(1).padStart(10)}${(count / smallest).toFixed(2).padStart(7)}${((100 * named) / runs).toFixed(0).padStart(9)}` +
      (isGood ? '' : '  MISSED'),
  );
  return isGood;
}
