/** What is fuzzed: inputs that are bytes, and what has to hold whatever they are. */
import type { Random } from '../sim/random.ts';

export interface FuzzTarget {
  readonly name: string;
  /** What holds for each input, in one sentence. */
  readonly invariant: string;
  /** Inputs as they should be, which others are made of. */
  readonly seeds: () => readonly Uint8Array[];
  /** An input that is made otherwise than by changing another one; not asked for where there is none. */
  readonly invent?: (random: Random) => Uint8Array;
  /** Throws, or rejects, where the invariant doesn't hold for this input. One input doesn't depend on another. */
  readonly check: (input: Uint8Array) => void | Promise<void>;
  /** Ends what the target has opened. */
  readonly close?: () => Promise<void>;
}

export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
