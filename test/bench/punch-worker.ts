/** The worker of punch.ts: makes the punches that it is sent, one task after the other. */
import { parentPort } from 'node:worker_threads';
import type { Transport } from '../../shared/punch/plan.ts';
import type { Side } from '../../shared/punch/plain.ts';
import { startCrossTraffic } from '../sim/cross-traffic.ts';
import { Host } from '../sim/host.ts';
import type { LossOptions } from '../sim/loss.ts';
import { measureSide } from '../sim/measure-side.ts';
import { type KnownSide, PunchMatch, type PunchRun } from '../sim/punch.ts';
import { buildPunchWorld, type PunchWorld } from '../sim/punch-world.ts';
import { type PunchCase, punchCases } from './punch-setups.ts';
import { punchTcpCase, tcpPunchCases } from './tcp-punches.ts';

export const RTT_MS = 50;

/** A part of one line's runs: worlds from `firstSeed` on. */
export interface Task {
  readonly line: number;
  readonly transport: Transport;
  /** Of UDP. */
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
  readonly packets: number;
  /** How it was opened, or why it wasn't. */
  readonly by: string;
}

parentPort?.on('message', (task: Task) => parentPort!.postMessage(runTask(task)));

/** What a report is used for: so many punches, with so much quiet in between that no NAT remembers the last one. */
export const PUNCHES_A_WORLD = 5;
const QUIET_MS = 310_000;

function runTask(task: Task): TaskResult {
  const { line, transport, index, loss, firstSeed, runs } = task;
  if (transport === 'udp') return punchOverUdp(task);
  const item = tcpPunchCases()[index]!;
  const probability = loss.kind === 'independent' ? loss.probability : 0;
  return { line, outcomes: punchTcpCase(item, { rttMs: RTT_MS, loss: probability, firstSeed, runs }) };
}

function punchOverUdp({ line, grid, index, loss, flowsPerSecond, firstSeed, runs }: Task): TaskResult {
  const item = punchCases(grid)[index]!;
  const outcomes: PunchOutcome[] = [];
  for (let seed = firstSeed; outcomes.length < runs; seed++) {
    const world = buildPunchWorld({ ...item, seed, rttMs: RTT_MS, loss });
    const neighbours = flowsPerSecond > 0 ? neighboursIn(world, item) : [];
    const stopTraffic = startTraffic(neighbours, flowsPerSecond);
    const known = measureBoth(world, item);
    stopTraffic();
    for (let punch = 0; punch < PUNCHES_A_WORLD && outcomes.length < runs; punch++) {
      world.network.run(world.network.now + QUIET_MS);
      const stop = startTraffic(neighbours, flowsPerSecond);
      world.network.run(world.network.now + WARM_UP_MS);
      const match = new PunchMatch(world, { ...known, near: item.near === true, skewMs: 10 });
      outcomes.push(outcomeOf(match.run()));
      match.stop();
      stop();
    }
  }
  return { line, outcomes };
}

/** For the neighbours to make some mappings first. */
const WARM_UP_MS = 1000;

function measureBoth(world: PunchWorld, { near = false, natLayers }: PunchCase): Record<Side, KnownSide> {
  const known = (side: Side, layers: number): KnownSide => ({
    ...measureSide(world, side, { hairpin: near }),
    natLayers: layers,
  });
  return { a: known('a', natLayers[0]), b: known('b', natLayers[1]) };
}

/** One of each side that is behind a NAT; one where both have the same. */
function neighboursIn({ realms, hosts }: PunchWorld, { a, b, common }: PunchCase): Host[] {
  const sides: Side[] = a.length === 0 && b.length === 0 && common !== undefined ? ['a'] : ['a', 'b'];
  return sides
    .filter((side) => hosts[side].addressOf('ipv4')!.startsWith('10.'))
    .map((side) => new Host(realms[side], ['10.0.0.9']));
}

function startTraffic(neighbours: readonly Host[], flowsPerSecond: number): () => void {
  const stops = neighbours.map((host) => startCrossTraffic(host, flowsPerSecond));
  return () => {
    for (const stop of stops) stop();
  };
}

function outcomeOf({ a, holes, carries, tookMs, packets, predicted }: PunchRun): PunchOutcome {
  const isOpen = holes !== undefined && carries;
  const end = a.at(-1);
  return {
    predicted,
    isOpen,
    attempt: isOpen ? Math.max(holes.a.attempt, holes.b.attempt) : undefined,
    tookMs,
    packets,
    by: isOpen ? holes.a.strategy : end?.kind === 'failed' ? end.reason.code : 'no end',
  };
}
