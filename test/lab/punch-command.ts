/** `npm run lab -- punch`: punches behind kernel NATs for people. */
import { labNat, type LabNat } from './nats.ts';
import { type PairPunch, punchAllPairs, punchOnePair } from './punch-pairs.ts';
import { printTable } from './table.ts';

/** Every way of treating UDP over IPv4 that the lab has; twice as many sites are as many as it has addresses for. */
const ALL = [
  'open',
  'firewall-adf',
  'firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'linux-router',
  'adm-eif',
  'adm-adf',
  'adm-apdf',
  'symmetric-eif',
  'symmetric-adf',
  'symmetric-random',
  'symmetric-sequential',
  'double-nat',
];

export interface PunchCommandOptions {
  readonly runs: number;
  readonly loss: number;
}

/** Prints a line for each punch; resolves with 0 if all came to what was predicted, else 1. */
export async function punchForPeople(
  which: 'all' | readonly [LabNat, LabNat],
  options: PunchCommandOptions,
): Promise<number> {
  const rows: string[][] = [['A', 'B', 'predicted', '', 'came to', 'by', 'attempts', 'packets', 'ms', '']];
  let wrong = 0;
  const onPunch = (punch: PairPunch): void => {
    const isRight = isAsPredicted(punch);
    if (!isRight) wrong++;
    rows.push(rowOf(punch, isRight));
  };
  if (which === 'all') await punchAllPairs(ALL.map(labNat), { ...options, onPunch });
  else await punchOnePair(...which, { ...options, onPunch });
  printTable(rows);
  return wrong === 0 ? 0 : 1;
}

/** What is unlikely may open. */
function isAsPredicted({ reports, carries }: PairPunch): boolean {
  const { outcome } = reports.a.predicted;
  return carries || outcome === 'unlikely' || outcome === 'relay';
}

function rowOf({ a, b, reports, carries }: PairPunch, isRight: boolean): string[] {
  const { predicted, outcome, strategy, attempts, timing, code } = reports.a;
  const end = outcome === 'open' && !carries ? 'open, but carries nothing' : outcome;
  return [
    a.name,
    b.name,
    predicted.outcome,
    predicted.probability.toFixed(3),
    code === undefined ? end : `${end}: ${code}`,
    outcome === 'open' ? strategy : '',
    String(attempts),
    `${reports.a.packets} + ${reports.b.packets}`,
    timing.totalMs.toFixed(0),
    isRight ? '' : 'WRONG',
  ];
}
