/**
 * The likeliest ports under a mixture of laws. Runs of ports that are alike are kept as one: most laws
 * make a handful of them, where going over all ports takes a hundred times as long.
 */
import {
  drawnBy,
  type DrawnPorts,
  eachPoint,
  FIRST_PORT,
  isDrawn,
  LAST_PORT,
  type PortLaw,
  type PortRange,
  rangesOf,
  type Situation,
  type WeightedLaw,
} from '../nat/port-law.ts';

/** Ports that are alike, `mass` each. */
export interface PortRun extends PortRange {
  readonly mass: number;
}

/** All ports that have any mass, in runs that don't share ports. */
export function runsOf(laws: readonly WeightedLaw[], situation: Situation): PortRun[] {
  const parts = laws.filter(({ weight }) => weight > 0).map((law) => partOf(law, situation));
  const runs: PortRun[] = [];
  const add = (first: number, last: number, step: number): void => {
    const mass = massIn(parts, first);
    if (mass > 0 && first <= last) runs.push({ first, last: last - ((last - first) % step), step, mass });
  };
  const edges = edgesOf(parts);
  for (let index = 0; index + 1 < edges.length; index++) {
    const [first, last] = [edges[index]!, edges[index + 1]! - 1];
    const drawn = parts.flatMap((part) =>
      part.drawn && covers(part.drawn, first, last) ? [part.drawn] : [],
    );
    if (drawn.some(({ flatFrom, flatTo }) => last < flatFrom || first > flatTo)) {
      for (let port = first; port <= last; port++) add(port, port, 1);
    } else if (drawn.some(({ step }) => step > 1)) {
      add(first, last, 2);
      add(first + 1, last, 2);
    } else add(first, last, 1);
  }
  return runs;
}

/** The mass of the `rank`-th likeliest port; 0 if fewer have any. By quickselect: sorting takes longer. */
export function massAtRank(runs: readonly PortRun[], rank: number): number {
  let rest = runs;
  let left = rank;
  while (rest.length > 0) {
    const pivot = middleMass(rest);
    const above = rest.filter(({ mass }) => mass > pivot);
    const countAbove = countPorts(above);
    if (left <= countAbove) {
      rest = above;
      continue;
    }
    const alike = countPorts(rest.filter(({ mass }) => mass === pivot));
    if (left <= countAbove + alike) return pivot;
    left -= countAbove + alike;
    rest = rest.filter(({ mass }) => mass < pivot);
  }
  return 0;
}

/** At most `count` ports from FIRST_PORT on with at least `least` each: the likeliest first, of those alike the lowest. */
export function likeliestOf(runs: readonly PortRun[], least: number, count: number): PortRun[] {
  const sorted = runs
    .filter(({ first, mass }) => first >= FIRST_PORT && mass >= least)
    .sort((a, b) => b.mass - a.mass || a.first - b.first);
  const taken: PortRun[] = [];
  let left = count;
  for (const run of sorted) {
    if (left <= 0) break;
    const ports = Math.min(left, countPorts([run]));
    taken.push({ ...run, last: run.first + (ports - 1) * run.step });
    left -= ports;
  }
  return taken;
}

/** Each port of the runs, in their order. */
export function portsIn(runs: readonly PortRange[]): number[] {
  const ports: number[] = [];
  for (const { first, last, step } of runs)
    for (let port = first; port <= last; port += step) ports.push(port);
  return ports;
}

/** What the runs, in any order, have as ranges: the same as rangesOf makes of all their ports. */
export function mergeRuns(runs: readonly PortRange[]): PortRange[] {
  const sorted = [...runs].sort((a, b) => a.first - b.first);
  if (sorted.some(({ step }) => step > 1)) return rangesOf(portsIn(sorted).sort((a, b) => a - b));
  const merged: PortRange[] = [];
  for (const { first, last } of sorted) {
    const before = merged.at(-1);
    if (before?.last === first - 1) merged[merged.length - 1] = { ...before, last };
    else merged.push({ first, last, step: 1 });
  }
  // Single ports may be a series.
  const isSingle = ({ first, last }: PortRange): boolean => first === last;
  const mayBeSeries = merged.some(
    (range, index) => index > 0 && isSingle(range) && isSingle(merged[index - 1]!),
  );
  return mayBeSeries ? rangesOf(portsIn(merged)) : merged;
}

export function countPorts(runs: readonly PortRange[]): number {
  return runs.reduce((sum, { first, last, step }) => sum + Math.floor((last - first) / step) + 1, 0);
}

export function massOfRuns(runs: readonly PortRun[]): number {
  return runs.reduce((sum, run) => sum + run.mass * countPorts([run]), 0);
}

/** How likely each port is under one law. */
export function massesUnder(law: PortLaw, situation: Situation): (port: number) => number {
  const parts = [partOf({ weight: 1, law }, situation)];
  return (port) => massIn(parts, port);
}

interface Part {
  readonly weight: number;
  readonly drawn?: DrawnPorts;
  readonly points?: ReadonlyMap<number, number>;
}

function partOf({ weight, law }: WeightedLaw, situation: Situation): Part {
  if (isDrawn(law)) return { weight, drawn: drawnBy(law, situation.localPort) };
  const points = new Map<number, number>();
  eachPoint(law, situation, (port, mass) => points.set(port, (points.get(port) ?? 0) + mass));
  return { weight, points };
}

/** Between one and the next all ports are in the same part of each law. */
function edgesOf(parts: readonly Part[]): Uint32Array {
  const edges = new Set([0, FIRST_PORT, LAST_PORT + 1]);
  for (const { drawn, points } of parts) {
    if (drawn !== undefined)
      for (const edge of [drawn.first, drawn.flatFrom, drawn.flatTo + 1, drawn.last + 1]) edges.add(edge);
    for (const port of points?.keys() ?? []) edges.add(port).add(port + 1);
  }
  return Uint32Array.from(edges).sort();
}

function covers({ first, last }: PortRange, from: number, to: number): boolean {
  return first <= to && last >= from;
}

function massIn(parts: readonly Part[], port: number): number {
  let mass = 0;
  for (const { weight, drawn, points } of parts) {
    if (points !== undefined) mass += weight * (points.get(port) ?? 0);
    else if (covers(drawn!, port, port) && (port - drawn!.first) % drawn!.step === 0)
      mass += weight * drawn!.massAt(port);
  }
  return mass;
}

/** Of three, at the quarters: masses often rise to the middle and fall after it. */
function middleMass(runs: readonly PortRun[]): number {
  const [one, other, third] = [1, 2, 3].map((quarter) => runs[(quarter * runs.length) >> 2]!.mass) as [
    number,
    number,
    number,
  ];
  return Math.max(Math.min(one, other), Math.min(Math.max(one, other), third));
}
