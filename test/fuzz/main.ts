/**
 * `npm run fuzz -- [--seconds N] [--seed S] [target…]`: invented and changed inputs for what reads bytes of
 * strangers; the time is shared among the targets. An input that fails is kept in corpus/, from where
 * `npm test` tries it ever after. Ends in 1 if one failed.
 */
import { randomInt } from 'node:crypto';
import { list, number, oneOf, readArguments } from '../support/arguments.ts';
import { keepInput, readCorpus } from './corpus.ts';
import { fuzz } from './run.ts';
import { printAnswerTable } from './answer-table.ts';
import { ANSWER_FUZZ } from './targets/answers.ts';
import { openTargets } from './targets.ts';

async function main(): Promise<number> {
  const all = await openTargets();
  const names = all.map(({ name }) => name);
  const { seconds, seed, targets } = readArguments(
    'fuzz',
    {
      targets: list(names.join(','), oneOf('', names)),
      seconds: number(60, { least: 0.1, step: 0 }),
      seed: number(randomInt(2 ** 32), { least: 0 }),
    },
    ['targets'],
  );
  const chosen = all.filter(({ name }) => targets.includes(name));
  console.log(`seed ${seed}`);
  let status = 0;
  for (const target of chosen) {
    const startedAt = performance.now();
    const until = startedAt + (1000 * seconds) / chosen.length;
    const { inputs, failed } = await fuzz(
      target,
      readCorpus(target.name),
      seed,
      () => performance.now() > until,
    );
    const rate = Math.round((1000 * inputs) / (performance.now() - startedAt));
    console.log(`${target.name}: ${inputs} inputs, ${rate} a second: ${target.invariant}`);
    if (failed === undefined) continue;
    status = 1;
    console.error(
      `${target.name} FAILED, seed ${seed}, input kept in ${keepInput(target.name, failed.input)}`,
    );
    console.error(failed.error);
  }
  if (chosen.some(({ name }) => name === 'answers')) printAnswerTable(ANSWER_FUZZ.finish().rows);
  for (const target of all) await target.close?.();
  return status;
}

process.exitCode = await main();
