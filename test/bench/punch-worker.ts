/** The worker of punch.ts: makes the punches that it is sent, one task after the other. */
import { parentPort } from 'node:worker_threads';
import type { Side } from '../../shared/punch/plain.ts';
import { startCrossTraffic } from '../sim/cross-traffic.ts';
import { Host } from '../sim/host.ts';
import type { LossOptions } from '../sim/loss.ts';
import { measureSide } from '../sim/measure-side.ts';
import { type KnownSide, punchIn, type PunchRun } from '../sim/punch.ts';
import { buildPunchWorld, type PunchWorld } from '../sim/punch-world.ts';
import { type PunchCase, punchCases } from './punch-setups.ts';

export const RTT_MS = 50;

/** A part of one line's runs: seeds from `firstSeed` on. */
export interface Task {
  readonly line: number;
  readonly grid: 'core' | 'full';
  /** Of the grid's cases. */
  readonly index: number;
  readonly loss: LossOptions;
  /** New mappings a second by another host behind each NAT. */
  readonly flowsPerSecond: number;
  readonly firstSeed: number;
  readonly runs: number;
}

export interface TaskResult {
  readonly line: number;
  readonly outcomes: readonly PunchOutcome[];
}

export interface PunchOutcome {
  readonly predicted: number;
  readonly isOpen: boolean;
  /** Undefined without a hole. */
  readonly attempt: number | undefined;
  readonly tookMs: number;
  readonly budgetMs: number;
  readonly packets: number;
  /** How it was opened, or why it wasn't. */
  readonly by: string;
}

parentPort?.on('message', (task: Task) => parentPort!.postMessage(runTask(task)));

function runTask({ line, grid, index, loss, flowsPerSecond, firstSeed, runs }: Task): TaskResult {
  const item = punchCases(grid)[index]!;
  const outcomes = Array.from({ length: runs }, (_, run) => {
    const world = buildPunchWorld({ ...item, seed: firstSeed + run, rttMs: RTT_MS, loss });
    if (flowsPerSecond > 0) addCrossTraffic(world, item, flowsPerSecond);
    return outcomeOf(punchBetween(world, item));
  });
  return { line, outcomes };
}

function punchBetween(world: PunchWorld, { near = false, natLayers }: PunchCase): PunchRun {
  const known = (side: Side, layers: number): KnownSide => ({
    ...measureSide(world, side, { hairpin: near }),
    natLayers: layers,
  });
  return punchIn(world, { a: known('a', natLayers[0]), b: known('b', natLayers[1]), near, skewMs: 10 });
}

/** Of a neighbour of each side that is behind a NAT; of one where both have the same. */
function addCrossTraffic(
  { realms, hosts }: PunchWorld,
  { a, b, common }: PunchCase,
  flowsPerSecond: number,
): void {
  const sides: Side[] = a.length === 0 && b.length === 0 && common !== undefined ? ['a'] : ['a', 'b'];
  for (const side of sides)
    if (hosts[side].addressOf('ipv4')!.startsWith('10.'))
      startCrossTraffic(new Host(realms[side], ['10.0.0.9']), flowsPerSecond);
}

function outcomeOf({ a, holes, carries, tookMs, packets, predicted, plans }: PunchRun): PunchOutcome {
  const isOpen = holes !== undefined && carries;
  const end = a.at(-1);
  return {
    predicted,
    isOpen,
    attempt: isOpen ? Math.max(holes.a.attempt, holes.b.attempt) : undefined,
    tookMs,
    budgetMs: plans.a.attempts * plans.a.timeMs,
    packets,
    by: isOpen ? holes.a.strategy : end?.kind === 'failed' ? end.reason.code : 'no end',
  };
}
