/** What limits of answers take of the world: a seed and a clock. */
import { randomInt } from 'node:crypto';
import { type AnswerLimits, type SharedLimits, shareLimits } from '../answer/answer-guard.ts';

/** For guards of any thread; undefined where nothing is limited. */
export function openLimits(limits: AnswerLimits | undefined): SharedLimits | undefined {
  return limits && shareLimits(limits, randomInt(2 ** 32));
}

/** Milliseconds of a clock that all threads of this process have in common, and that is never set. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
