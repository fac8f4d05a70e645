/** What natprobed keeps of punches that it planned: what was predicted, and what came of it. No names, no addresses. */
import type { ReportedOutcome } from '../broker/punches.ts';
import type { Transport } from '../../shared/punch/plan.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';

/** The behaviours of two sides in short (`EIM/APDF`), whoever of them asked, and over what. */
export interface PunchPair {
  readonly a: string;
  readonly b: string;
  readonly transport: Transport;
}

export interface EndedPunch extends PunchPair {
  readonly attempt: number;
  /** As it was predicted from the behaviours, before anything learned. */
  readonly predicted: { readonly strategy: StrategyName; readonly probability: number };
  /** A side that reported nothing is absent. */
  readonly outcomes: { readonly a?: ReportedOutcome; readonly b?: ReportedOutcome };
  /** Whether it may teach: first attempts alone, of which both sides say the same (client-shares.ts has the rest). */
  readonly counts: boolean;
}

/** How many punches of a kind there were, and how many of those that count opened. */
export interface PunchCounts {
  /** Those that count. */
  readonly punches: number;
  readonly open: number;
  /** The mean of what was predicted of them; 0 if there are none. */
  readonly predicted: number;
}

export interface PunchStatistics {
  /** All that were planned and have ended, each attempt. */
  readonly punches: number;
  /** By what was predicted, from 0 on in steps of a tenth. */
  readonly bins: readonly (PunchCounts & { readonly from: number; readonly to: number })[];
  /** Those of which most count first; `learned` is what is reckoned from both, once there are enough. */
  readonly pairs: readonly (PunchPair & PunchCounts & { readonly learned?: number })[];
}

export interface PunchStore {
  /** Rejects with ERR_STORE if it could not be kept. */
  add(punch: EndedPunch): Promise<void>;
  /** By whole days (UTC). Rejects with ERR_TIME. */
  summarise(period: { readonly since?: string; readonly until?: string }): Promise<PunchStatistics>;
  /** How many were removed. */
  removeBefore(time: string): Promise<number>;
  /** Resolves once all that was added is kept. */
  drain(): Promise<void>;
}
