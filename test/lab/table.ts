/** What the lab's commands print: verdicts in short, in columns. */
import type { Filtering, Mapping, NatType } from '../../shared/nat/behaviour.ts';

const SHORT_TERMS: Readonly<Record<Mapping | Filtering, string>> = {
  none: 'none',
  'endpoint-independent': 'EI',
  'address-dependent': 'AD',
  'address-and-port-dependent': 'APD',
  dependent: 'dependent',
  unknown: 'unknown',
};

/** `restricted-cone (EI/AD)`: type, mapping and filtering. */
export function describeVerdict(verdict: { type: NatType; mapping: Mapping; filtering: Filtering }): string {
  const { type, mapping, filtering } = verdict;
  if (mapping === 'unknown' && filtering === 'unknown') return type;
  return `${type} (${shortTerm(mapping)}/${shortTerm(filtering)})`;
}

/** EI, AD, APD. */
export function shortTerm(value: Mapping | Filtering): string {
  return SHORT_TERMS[value];
}

/** Prints rows of as many cells as the first one has. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
  }
}
