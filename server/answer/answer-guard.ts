/** What may not be sent over UDP though it was asked for: sources can be forged, and whoever is named would get it. */
import type { DropReason } from './answer-counters.ts';
import type { SourceAddress } from './source-address.ts';
import { LIMITER_BYTES, SourceLimiter, type SourceRates } from './source-limiter.ts';

export interface AnswerLimits {
  /** Without them every request is answered. */
  readonly rates?: SourceRates;
  /** Bytes sent for one request at most, as a multiple of its own; without it as answer-rules.ts has it. */
  readonly amplification?: number;
}

/** What the guards of several threads have in common: one limit then holds for all of them. */
export interface SharedLimits {
  readonly limits: AnswerLimits;
  readonly seed: number;
  readonly memory: SharedArrayBuffer;
}

/** `seed` is 32 random bits. */
export function shareLimits(limits: AnswerLimits, seed: number): SharedLimits {
  return { limits, seed, memory: new SharedArrayBuffer(LIMITER_BYTES) };
}

export class AnswerGuard {
  private readonly limiter: SourceLimiter | undefined;
  private readonly amplification: number;

  constructor({ limits, seed, memory }: SharedLimits) {
    this.limiter = limits.rates && new SourceLimiter(limits.rates, seed, memory);
    this.amplification = limits.amplification ?? Infinity;
  }

  /** The time, for what is asked next; milliseconds of a clock that all threads have and that never goes back. */
  set now(now: number) {
    if (this.limiter !== undefined) this.limiter.now = now;
  }

  /** Why `count` datagrams, `answerBytes` together, may not be sent for that request; undefined if they may. */
  refusal(
    source: SourceAddress,
    requestBytes: number,
    answerBytes: number,
    count: number,
  ): DropReason | undefined {
    if (answerBytes > this.amplification * requestBytes) return 'amplification';
    return this.limiter?.admit(source, count) === false ? 'rate-limit' : undefined;
  }
}
