import { createClassifier, type ClassifierOptions } from '../../probe/classify/classifier.ts';
import { DEFAULT_PACE_MS, DEFAULT_TIMEOUT_MS } from '../../probe/index.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { runMachine, type MachineRun } from './machine-driver.ts';
import type { Truth, World } from './scenario.ts';

/** How a verdict stands to the truth; `wrong` is also none at all, and an unreachable server. */
export type Mark = 'right' | 'inconclusive' | 'wrong';

/** Runs the probe's classifier, with its defaults, on a world's client. */
export function classifyIn(world: World, options: Partial<ClassifierOptions> = {}): MachineRun {
  const random = world.network.random.fork();
  const machine = createClassifier({
    family: world.family,
    servers: [world.server.primary],
    ...(world.nat64 && { nat64: world.nat64 }),
    timeoutMs: DEFAULT_TIMEOUT_MS,
    paceMs: DEFAULT_PACE_MS,
    random: (length) => random.bytes(length),
    ...options,
  });
  return runMachine(world.client, machine, 2 * (options.timeoutMs ?? DEFAULT_TIMEOUT_MS));
}

/** The verdict, or undefined if there was none: the server unreachable, or no end. */
export function verdictOf(run: MachineRun): Verdict | undefined {
  return run.result?.outcome.kind === 'verdict' ? run.result.outcome.verdict : undefined;
}

/** `TYPE MAPPING FILTERING`, or why there is none. */
export function describeRun(run: MachineRun): string {
  if (run.result === undefined) return 'no end';
  const { outcome } = run.result;
  return outcome.kind === 'verdict' ? describeAnswer(outcome.verdict) : `unreachable: ${outcome.reason}`;
}

export function describeAnswer({ type, mapping, filtering }: Truth): string {
  return `${type} ${mapping} ${filtering}`;
}

export function markRun(run: MachineRun, truth: Truth): Mark {
  const verdict = verdictOf(run);
  if (verdict?.type === 'inconclusive') return 'inconclusive';
  return describeRun(run) === describeAnswer(truth) ? 'right' : 'wrong';
}
