/** What is found in looking at a deployment, from inside or from outside, and how people read it. Pure. */
import { ERROR_CATALOGUE, type NatprobeError } from './errors.ts';
import { WIDTH, wrap } from './wrap.ts';
import type { Paint, Style } from './style.ts';

export const FINDING_STATES = ['ok', 'warning', 'error'] as const;
/** `warning`: it works, and could be better, or could not be told. */
export type FindingState = (typeof FINDING_STATES)[number];

export interface Finding {
  /** What was looked at, in a word. */
  readonly check: string;
  readonly state: FindingState;
  /** What was seen, as a sentence without its full stop. */
  readonly seen: string;
  /** What to change; absent where nothing is wrong. */
  readonly remedy?: string;
}

/** The document of all findings; its state is the worst of them. */
export interface FindingsDocument<Schema extends string> {
  readonly schema: Schema;
  readonly state: FindingState;
  readonly counts: Readonly<Record<FindingState, number>>;
  readonly findings: readonly Finding[];
}

export function fine(check: string, seen: string): Finding {
  return { check, state: 'ok', seen };
}

export function doubtful(check: string, seen: string, remedy: string): Finding {
  return { check, state: 'warning', seen, remedy };
}

export function wrong(check: string, seen: string, remedy: string): Finding {
  return { check, state: 'error', seen, remedy };
}

/** What an error of the catalogue says, as a finding. */
export function findingOf(check: string, { code, place, detail }: NatprobeError): Finding {
  const { problem, remedy } = ERROR_CATALOGUE[code];
  return wrong(check, `${place}: ${problem}${detail === undefined ? '' : ` (${detail})`}`, remedy);
}

export function documentOf<Schema extends string>(
  schema: Schema,
  findings: readonly Finding[],
): FindingsDocument<Schema> {
  const count = (state: FindingState): number => findings.filter((item) => item.state === state).length;
  const counts = { ok: count('ok'), warning: count('warning'), error: count('error') };
  const state = counts.error > 0 ? 'error' : counts.warning > 0 ? 'warning' : 'ok';
  return { schema, state, counts, findings };
}

/** One finding a paragraph, what to change below it, and the sum as the last line; without line ends. */
export function renderFindings(
  { counts, findings }: Pick<FindingsDocument<string>, 'counts' | 'findings'>,
  style: Style,
): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length), 0) + 2;
  const indent = STATE_WIDTH + width;
  const paragraph = (text: string): string[] => wrap(text, WIDTH - indent);
  const lines = findings.flatMap(({ check, state, seen, remedy }) => {
    const label = PAINTS[state](style)(state.padEnd(STATE_WIDTH)) + check.padEnd(width);
    const [first = '', ...others] = paragraph(seen);
    const more = remedy === undefined ? others : [...others, ...wrap(`-> ${remedy}`, WIDTH - indent, 3)];
    return [label + first, ...more.map((line) => ' '.repeat(indent) + line)];
  });
  return [...lines, '', style.bold(summaryOf(counts))];
}

const STATE_WIDTH = 9;

const PAINTS: Readonly<Record<FindingState, (style: Style) => Paint>> = {
  ok: ({ good }) => good,
  warning: ({ fair }) => fair,
  error: ({ bad }) => bad,
};

function summaryOf({ ok, warning, error }: Readonly<Record<FindingState, number>>): string {
  const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
  const trouble = [
    ...(error > 0 ? [many(error, 'error')] : []),
    ...(warning > 0 ? [many(warning, 'warning')] : []),
  ];
  return trouble.length === 0 ? `All ${ok} fine.` : `${trouble.join(', ')}, ${ok} fine.`;
}
