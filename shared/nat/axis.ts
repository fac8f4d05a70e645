import type { Reason } from './verdict.ts';

/**
 * One thing that a NAT does or doesn't, as judged from the evidence of its own inquiry: a value from
 * a closed list, or `unknown`, with the probability that it holds and why.
 */
export interface Axis<Value extends string> {
  readonly value: Value | 'unknown';
  /** 0 to 1; 0 for `unknown`. */
  readonly confidence: number;
  readonly reasons: readonly Reason[];
}

/** An axis about which nothing could be learned, and why. */
export function unknownAxis(code: string, text: string): Axis<never> {
  return { value: 'unknown', confidence: 0, reasons: [{ code, text }] };
}
