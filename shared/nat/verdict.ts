import type { Endpoint } from '../endpoint.ts';
import type { Filtering, Mapping, NatType } from './behaviour.ts';

/** Bumped whenever the same evidence may be judged otherwise. */
export const JUDGE_VERSION = 1;

/** Below this a conclusion from silence is not made. MEASURING.md §1. */
export const REQUIRED_CONFIDENCE = 0.999;

export interface Verdict {
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** Probability that type, mapping and filtering are all as said, given the evidence; 0 to 1. */
  readonly confidence: number;
  readonly reasons: readonly Reason[];
}

/** Why: a stable code for programs and a sentence for people. */
export interface Reason {
  readonly code: string;
  readonly text: string;
}

export interface Endpoints {
  /** As the kernel would send from; absent if no socket could be opened. */
  readonly local?: Endpoint;
  /** As the server saw it; absent if nothing came back. */
  readonly mapped?: Endpoint;
}
