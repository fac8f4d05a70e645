/** What punches are made between: pairs of sides, and places where both are behind the same. */
import type { Behaviour } from '../../shared/punch/plain.ts';
import { punchesPlainly } from '../../shared/punch/plain.ts';
import { ALL_CELLS, LINUX_ROUTERS, LINUX_WITHOUT_DROP, OPEN, WITHOUT_NAT } from '../sim/cells.ts';
import type { Layer, Scenario } from '../sim/scenario.ts';

export interface PunchCase {
  readonly name: string;
  readonly group: CaseGroup;
  readonly a: readonly Layer[];
  readonly b: readonly Layer[];
  readonly common?: readonly Layer[];
  /** Both hear of each other's private addresses, and whether their NAT turns packets is measured. */
  readonly near?: boolean;
  /** NATs in front of each. */
  readonly natLayers: readonly [number, number];
}

/** What is wanted of a case. `other`: that it ends, within its budget. */
export type CaseGroup =
  'plain' | 'tracked' | 'counted × strict' | 'random × strict' | 'both counted' | 'near' | 'other';

interface BenchSide {
  readonly name: string;
  readonly scenario: Scenario;
  readonly ports: 'none' | 'preserved' | 'counted' | 'block' | 'random';
  readonly tracks: boolean;
}

const PORT_NAMES: readonly (readonly [string, BenchSide['ports']])[] = [
  ['random ports', 'random'],
  ['preserved ports, else random', 'preserved'],
  ['sequential ports', 'counted'],
  ['a block of ports, at random', 'block'],
];

const DOUBLE: Scenario = {
  ...LINUX_WITHOUT_DROP,
  name: 'two Linux routers without input drop',
  layers: [...LINUX_WITHOUT_DROP.layers, ...LINUX_WITHOUT_DROP.layers],
};
const FIREWALLS = WITHOUT_NAT.filter(({ name }) => name === 'firewall/ADF' || name === 'firewall/APDF');

const FULL: readonly BenchSide[] = [
  ...[OPEN, ...FIREWALLS].map((scenario) => sideOf(scenario, 'none')),
  ...PORT_NAMES.flatMap(([name, ports]) =>
    ALL_CELLS.filter((cell) => cell.name.endsWith(`, ${name}`)).map((cell) => sideOf(cell, ports)),
  ),
  ...LINUX_ROUTERS.map((scenario) =>
    sideOf(scenario, scenario.name.includes('random') ? 'random' : 'preserved'),
  ),
  sideOf(DOUBLE, 'preserved'),
];

/** Of each kind some: what the others are much like. */
const CORE = FULL.filter(
  ({ name, ports, tracks }) =>
    ports === 'none' ||
    tracks ||
    name === 'Linux router with input drop' ||
    /^(EIM\/EIF|EIM\/ADF|EIM\/APDF|ADM\/APDF|APDM\/EIF|APDM\/ADF|APDM\/APDF), random/.test(name) ||
    /^(ADM|APDM)\/APDF, (sequential ports|a block)/.test(name),
);

/** All pairs of the sides of a grid, and what has both behind one NAT. */
export function punchCases(grid: 'core' | 'full'): PunchCase[] {
  const sides = grid === 'core' ? CORE : FULL;
  return [...sides.flatMap((a, index) => sides.slice(index).map((b) => caseOf(a, b))), ...NEAR];
}

function sideOf(scenario: Scenario, ports: BenchSide['ports']): BenchSide {
  const tracks = scenario.layers.some((layer) => layer.kind === 'linux-router' && !layer.inputDrop);
  return { name: scenario.name, scenario, ports, tracks: tracks && ports !== 'random' };
}

function caseOf(a: BenchSide, b: BenchSide): PunchCase {
  return {
    name: `${a.name} × ${b.name}`,
    group: groupOf(a, b),
    a: a.scenario.layers,
    b: b.scenario.layers,
    natLayers: [countNats(a.scenario), countNats(b.scenario)],
  };
}

function countNats({ layers }: Scenario): number {
  return Math.max(1, layers.filter(({ kind }) => kind === 'nat' || kind === 'linux-router').length);
}

function groupOf(a: BenchSide, b: BenchSide): CaseGroup {
  const [one, other] = [a.scenario.truth as Behaviour, b.scenario.truth as Behaviour];
  if (punchesPlainly(one, other)) return a.tracks || b.tracks ? 'tracked' : 'plain';
  const moving = [a, b].filter(({ scenario }) => /^(ADM|APDM)|fully random/.test(scenario.name));
  const isCounted = moving.every(({ ports }) => ports === 'counted' || ports === 'block');
  if (moving.length === 2) return moving.every(({ ports }) => ports === 'counted') ? 'both counted' : 'other';
  return isCounted ? 'counted × strict' : moving[0]!.ports === 'random' ? 'random × strict' : 'other';
}

function homeNat(hairpin: 'none' | 'external-source'): Layer {
  const behaviour = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports: { kind: 'random' },
    hairpin,
  } as const;
  return { kind: 'nat', behaviour };
}

const NEAR: readonly PunchCase[] = [
  nearCase('one LAN', [], [homeNat('none')], 1),
  nearCase('one LAN behind a NAT that hairpins', [], [homeNat('external-source')], 1),
  nearCase('two homes under a carrier that hairpins', [homeNat('none')], [homeNat('external-source')], 2),
];

function nearCase(
  name: string,
  own: readonly Layer[],
  common: readonly Layer[],
  natLayers: number,
): PunchCase {
  return { name, group: 'near', a: own, b: own, common, near: true, natLayers: [natLayers, natLayers] };
}
