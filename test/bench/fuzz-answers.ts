/**
 * `node test/bench/fuzz-answers.ts [--datagrams N] [--seed S]`: random and mutated datagrams through
 * the answer core (10 million by default), and the table of answer sizes against request sizes.
 * Ends in 1 at the first datagram that makes the core throw or draws more than its rule allows.
 */
import { parseArgs } from 'node:util';
import { randomInt } from 'node:crypto';
import { ANSWER_RULES } from '../../server/answer/answer-rules.ts';
import { fuzzAnswers, type SizeRow } from '../unit/answer/fuzz.ts';

const DEFAULT_DATAGRAMS = 10_000_000;
/** Results are printed after each of these, so that a long run is seen to go on. */
const CHUNK = 1_000_000;

const { values } = parseArgs({ options: { datagrams: { type: 'string' }, seed: { type: 'string' } } });
const datagrams = Number(values.datagrams ?? DEFAULT_DATAGRAMS);
const seed = Number(values.seed ?? randomInt(2 ** 32));
const startedAt = performance.now();
const rows = new Map<string, SizeRow>();
let done = 0;
let silent = 0;
console.log(`${datagrams} datagrams, seed ${seed} (then ${seed} + 1, and so on, for each ${CHUNK})`);
for (let chunk = 0; done < datagrams; chunk++) {
  const result = fuzzAnswers(seed + chunk, Math.min(CHUNK, datagrams - done));
  done += result.datagrams;
  silent += result.silent;
  for (const row of result.rows) addRow(row);
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${datagrams}`);
}
const seconds = (performance.now() - startedAt) / 1000;
console.log(
  `none threw, none drew more than its rule allows; ${silent} drew nothing; ${seconds.toFixed(1)} s, ` +
    `${Math.round(done / seconds)} datagrams a second, checks included\n`,
);
printTable();

function addRow(row: SizeRow): void {
  const key = `${row.kind} ${row.family}`;
  const sum = rows.get(key);
  if (sum === undefined) {
    rows.set(key, { ...row });
    return;
  }
  sum.requests += row.requests;
  sum.leastRequestBytes = Math.min(sum.leastRequestBytes, row.leastRequestBytes);
  sum.mostRequestBytes = Math.max(sum.mostRequestBytes, row.mostRequestBytes);
  sum.leastAnswerBytes = Math.min(sum.leastAnswerBytes, row.leastAnswerBytes);
  sum.mostAnswerBytes = Math.max(sum.mostAnswerBytes, row.mostAnswerBytes);
  if (row.largestRatio > sum.largestRatio) {
    sum.largestRatio = row.largestRatio;
    sum.ratioRequestBytes = row.ratioRequestBytes;
    sum.ratioAnswerBytes = row.ratioAnswerBytes;
  }
}

/** Markdown, so that the documentation can take it as it is. */
function printTable(): void {
  console.log('| request | family | seen | request bytes | answer bytes | largest ratio | limit |');
  console.log('|---|---|---|---|---|---|---|');
  for (const { kind, request, limit } of ANSWER_RULES) {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const row = rows.get(`${kind} ${family}`);
      if (row === undefined) continue;
      const cells = [
        family === 'ipv4' ? request : '',
        family,
        row.requests,
        `${row.leastRequestBytes}–${row.mostRequestBytes}`,
        `${row.leastAnswerBytes}–${row.mostAnswerBytes}`,
        `${row.largestRatio.toFixed(2)} (${row.ratioAnswerBytes} for ${row.ratioRequestBytes})`,
        family === 'ipv4' ? limit : '',
      ];
      console.log(`| ${cells.join(' | ')} |`);
    }
  }
}
