/** What the library says of punches before they are made: from types, behaviours or reports. */
import type { Transport } from '../shared/punch/plan.ts';
import { preflight as decide, type Preflight, predictOverTransport } from '../shared/punch/preflight.ts';
import type { Prediction } from '../shared/punch/predict.ts';
import { behaviourOfSubject, type PunchSubject } from '../shared/punch/subject.ts';

export type { Preflight, PreflightDecision } from '../shared/punch/preflight.ts';
export type { PredictedOutcome, PredictedSide, Prediction } from '../shared/punch/predict.ts';
export type { Strategy, StrategyName } from '../shared/punch/strategy.ts';
export type { PunchSubject, StatedBehaviour } from '../shared/punch/subject.ts';

export interface ForesightOptions {
  /** UDP if not given. */
  readonly transport?: Transport;
}

/**
 * Whether a punch between two sides will work, how and why. A side is a type name or short form
 * (`port-restricted-cone`, `EIM/APDF`), a mapping and a filtering, or a report. Throws ERR_BEHAVIOUR.
 */
export function predict(
  a: PunchSubject,
  b: PunchSubject,
  { transport = 'udp' }: ForesightOptions = {},
): Prediction {
  return predictOverTransport(behaviourOfSubject(a, 'a'), behaviourOfSubject(b, 'b'), transport);
}

/** Whether to make that punch: go, go with a strategy, or no-go. Throws ERR_BEHAVIOUR. */
export function preflight(
  a: PunchSubject,
  b: PunchSubject,
  { transport = 'udp' }: ForesightOptions = {},
): Preflight {
  return decide(behaviourOfSubject(a, 'a'), behaviourOfSubject(b, 'b'), transport);
}
