/**
 * A punch over all its attempts, be it over UDP or TCP: what they have taken so far, and until when the
 * plan for another one is waited for.
 */
import type { PunchPlan } from '../../shared/punch/plan.ts';
import { type FailedPunch, type PunchFailure, RENEW_MS } from './io.ts';

/** Which of how many one is. */
type Count = Pick<PunchPlan, 'attempt' | 'attempts'>;

export class Attempts {
  #plan: Count | undefined;
  #begun = 0;
  /** The first one's start. */
  #startedAt = 0;
  /** What those that are over have sent. */
  #packets = 0;
  #planBy: number | undefined;

  /** How many have begun, those of holes that were lost counted in. */
  get begun(): number {
    return this.#begun;
  }

  get packets(): number {
    return this.#packets;
  }

  /** When a plan that was asked for has to be there. */
  get planBy(): number | undefined {
    return this.#planBy;
  }

  /** From the first one's start; the peer's first packet may come ahead of that. */
  tookMs(now: number): number {
    return Math.max(0, now - this.#startedAt);
  }

  /** Another one, by the plan that has come. */
  begin(plan: Count, startAt: number): void {
    if (this.#plan === undefined || plan.attempt === 1) this.#startedAt = startAt;
    this.#plan = plan;
    this.#begun += 1;
    this.#planBy = undefined;
  }

  /** One is over, and has sent so much. */
  end(packets: number): void {
    this.#packets += packets;
  }

  /** The hole that they have led to is gone: what comes next is a punch of its own. */
  forgetPackets(): void {
    this.#packets = 0;
  }

  /** Has a plan for another one asked for. */
  renew(attempt: number, now: number, patienceMs = RENEW_MS): { kind: 'renew'; attempt: number } {
    this.#planBy = now + patienceMs;
    return { kind: 'renew', attempt };
  }

  /** What is told of one that has come to nothing; undefined if there is no other. */
  retrying(reason: PunchFailure, now: number): ({ kind: 'retrying' } & FailedPunch) | undefined {
    const { attempt, attempts } = this.#plan!;
    if (attempt >= attempts) return undefined;
    return { kind: 'retrying', ...this.#failedWith(reason, attempt + 1, now) };
  }

  /** What is told when there is no other, or none is wanted. */
  fail(reason: PunchFailure, now: number): { kind: 'failed' } & FailedPunch {
    this.#planBy = undefined;
    return { kind: 'failed', ...this.#failedWith(reason, this.#plan?.attempt ?? 0, now) };
  }

  #failedWith(reason: PunchFailure, attempt: number, now: number): FailedPunch {
    return { reason, attempt, packets: this.#packets, tookMs: this.tookMs(now) };
  }
}
