/** Two punchers in worlds of every kind, and what came of it. */
import { behaviourOf, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { LINUX_WITH_DROP, LINUX_WITHOUT_DROP, WITHOUT_NAT } from './cells.ts';
import { measureSide } from './measure-side.ts';
import type { PortAllocation } from './ports.ts';
import { type KnownSide, punchIn, type PunchOptions, type PunchRun } from './punch.ts';
import { buildPunchWorld, type PunchSetup } from './punch-world.ts';
import type { Layer, Scenario } from './scenario.ts';

export const RTT_MS = 50;
export const SEEDS = Array.from({ length: 10 }, (_, index) => index + 1);
export const FIREWALLS = WITHOUT_NAT.filter(({ name }) => /^firewall.(ADF|APDF)/.test(name));
export const [STRICT] = LINUX_WITH_DROP.layers as readonly [Layer];
export const [TRACKING] = LINUX_WITHOUT_DROP.layers as readonly [Layer];

/** What is to be known of it where its type is. */
export function known(
  { truth: { mapping, filtering } }: Scenario,
  more: Partial<PunchBehaviour> = {},
): KnownSide {
  return { behaviour: { ...behaviourOf({ mapping, filtering }), unsolicited: 'dropped', ...more } };
}

/** Without having measured. */
export function punch(
  [a, b]: readonly [Scenario, Scenario],
  setup: Partial<PunchSetup> = {},
  options: Partial<PunchOptions> = {},
): PunchRun {
  const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: a.layers, b: b.layers, ...setup });
  return punchIn(world, { a: known(a), b: known(b), skewMs: 10, ...options });
}

/** With what the probe finds out about both. */
export function punchMeasured(a: Layer, b: Layer, setup: Partial<PunchSetup> = {}): PunchRun {
  const world = buildPunchWorld({ seed: 1, rttMs: RTT_MS, a: [a], b: [b], ...setup });
  return punchIn(world, { a: measureSide(world, 'a'), b: measureSide(world, 'b'), skewMs: 10 });
}

export function lossOf(probability: number): Partial<PunchSetup> {
  return probability === 0 ? {} : { loss: { kind: 'independent', probability } };
}

export function symmetric(ports: PortAllocation): Layer {
  const mapping = 'address-and-port-dependent';
  return { kind: 'nat', behaviour: { mapping, filtering: mapping, ports } };
}

/** How many of the runs opened a hole that carries data, and by what. */
export function countOpen(runs: readonly PunchRun[]): { open: number; by: string[] } {
  const open = runs.filter(({ holes, carries }) => holes !== undefined && carries);
  const by = open.flatMap(({ holes }) => [holes!.a.strategy, holes!.b.strategy]);
  return { open: open.length, by: [...new Set(by)].sort() };
}
