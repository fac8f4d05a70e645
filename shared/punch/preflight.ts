/** Whether an application should punch at all: a prediction boiled down to what to do. */
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import type { Transport } from './plan.ts';
import { predict, type Prediction } from './predict.ts';
import type { Budget, StrategyName } from './strategy.ts';
import { predictTcp } from './tcp-predict.ts';

export const PREFLIGHT_SCHEMA = 'natprobe/preflight@1';

/**
 * `go`: sending to each other's public endpoints is enough. `go-with-strategy`: it takes the strategy
 * named, or more luck than 0.8. `no-go`: use a relay.
 */
export const PREFLIGHT_DECISIONS = ['go', 'go-with-strategy', 'no-go'] as const;
export type PreflightDecision = (typeof PREFLIGHT_DECISIONS)[number];

/** What `natprobe preflight --json` prints. */
export interface Preflight {
  readonly schema: typeof PREFLIGHT_SCHEMA;
  readonly decision: PreflightDecision;
  readonly strategy: StrategyName;
  /** That the strategy opens a hole within its budget, 0 to 1. */
  readonly probability: number;
  /** Both sides together. */
  readonly budget: Budget;
  readonly reasons: readonly Reason[];
}

/** Decides for a punch that `a` asks for. */
export function preflight(a: PunchBehaviour, b: PunchBehaviour, transport: Transport = 'udp'): Preflight {
  return preflightOf(predictOverTransport(a, b, transport));
}

/** Predicts a punch that `a` asks for. */
export function predictOverTransport(a: PunchBehaviour, b: PunchBehaviour, transport: Transport): Prediction {
  return transport === 'tcp' ? predictTcp(a, b) : predict(a, b);
}

/** What a prediction comes to. */
export function preflightOf(prediction: Prediction): Preflight {
  const { strategy, probability, strategies } = prediction;
  const { packets, timeMs, reasons } = strategies.find(({ name }) => name === strategy)!;
  return {
    schema: PREFLIGHT_SCHEMA,
    decision: decidePreflight(prediction),
    strategy,
    probability,
    budget: { packets, timeMs },
    reasons: [...reasons, ...prediction.reasons],
  };
}

/** Whether to punch, after what was predicted. */
export function decidePreflight({
  outcome,
  strategy,
}: Pick<Prediction, 'outcome' | 'strategy'>): PreflightDecision {
  if (outcome === 'relay') return 'no-go';
  return outcome !== 'unlikely' && SIMPLE.has(strategy) ? 'go' : 'go-with-strategy';
}

/** Those that every application makes that sends to what it was told, and replies to what it hears. */
const SIMPLE: ReadonlySet<StrategyName> = new Set(['direct', 'reversal', 'plain']);
