/** The benches: what they are told on the command line is read with care, and a mistake is met with what to give. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { FLAG, list, number, oneOf, percent, readWords, text } from '../support/arguments.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const BENCHES = Object.entries(scripts).filter(
  ([name]) => name.startsWith('bench:') || ['soak', 'fuzz'].includes(name),
);

const KNOWN = {
  runs: number(20, { least: 1 }),
  seconds: number(0.5, { least: 0.1, most: 60, step: 0 }),
  peers: number(10_000, { least: 1000, most: 20_000, step: 250 }),
  loss: list('0,5', percent(0)),
  grid: oneOf('core', ['core', 'full']),
  only: text('a part of a name'),
  bursts: FLAG,
};

it('reads numbers, lists and names, and takes what is usual for the others', () => {
  expect(readWords([], KNOWN)).toEqual({
    values: { runs: 20, seconds: 0.5, peers: 10_000, loss: [0, 5], grid: 'core', only: '', bursts: false },
  });
  const given = ['--seconds=2.5', '--loss', '20', '--bursts', '--grid', 'full', '1250', '7'];
  expect(readWords(given, KNOWN, ['peers', 'runs'])).toEqual({
    values: { runs: 7, seconds: 2.5, peers: 1250, loss: [20], grid: 'full', only: '', bursts: true },
  });
});

it('takes the items of a list in the last place as words of their own', () => {
  const read = (words: string[]): unknown => readWords(words, KNOWN, ['runs', 'loss']);
  const { values } = readWords([], KNOWN) as { values: object };
  expect(read(['7', '0', '20,30', '5'])).toEqual({ values: { ...values, runs: 7, loss: [0, 20, 30, 5] } });
  expect(read(['7'])).toEqual({ values: { ...values, runs: 7 } });
  expect(read(['7', '5', 'x'])).toEqual({
    mistake: 'LOSS: 5,x is not a number from 0 to 100, or several with commas between them',
  });
});

it.each([
  ['--runs 0', '--runs: 0 is not a whole number from 1'],
  ['--runs 2.5', '--runs: 2.5 is not a whole number from 1'],
  ['--runs=', '--runs:  is not a whole number from 1'],
  ['--runs many', '--runs: many is not a whole number from 1'],
  ['--seconds 61', '--seconds: 61 is not a number from 0.1 to 60'],
  ['--seconds Infinity', '--seconds: Infinity is not a number from 0.1 to 60'],
  ['--loss 5,,10', '--loss: 5,,10 is not a number from 0 to 100, or several with commas between them'],
  ['--grid half', '--grid: half is not one of core, full'],
  ['300', 'PEERS: 300 is not a multiple of 250 from 1000 to 20000'],
  ['1000 extra', 'extra: there is no place for it'],
  ['--rnus 5', "Unknown option '--rnus'"],
  ['--runs', "Option '--runs <value>' argument missing"],
  ['--bursts=yes', "Option '--bursts' does not take an argument"],
])('says what is wrong with %s', (words, mistake) => {
  expect(readWords(words.split(' '), KNOWN, ['peers'])).toEqual({ mistake });
});

it.each(BENCHES)('%s ends in 2 for what it does not know, with what it takes', (name, command) => {
  const [node, ...args] = command.split(' ');
  expect(node).toBe('node');
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, '--nonsense', '1'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  const [first, , usage] = stderr.split('\n');
  expect(first).toBe("Unknown option '--nonsense'");
  expect(usage).toMatch(new RegExp(`^usage: npm run ${name}( |$)`));
});
