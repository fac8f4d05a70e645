/** The sizes of answers against those of requests, as the `answers` target has seen them. */
import { ANSWER_RULES } from '../../server/answer/answer-rules.ts';
import type { SizeRow } from '../unit/answer/fuzz.ts';

/** Markdown, so that the documentation can take it as it is. */
export function printAnswerTable(seen: readonly SizeRow[]): void {
  console.log('| request | family | seen | request bytes | answer bytes | largest ratio | limit |');
  console.log('|---|---|---|---|---|---|---|');
  for (const { kind, request, limit } of ANSWER_RULES) {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const row = seen.find((one) => one.kind === kind && one.family === family);
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
