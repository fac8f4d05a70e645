/**
 * When one attempt turns to a relay, and when that has come to nothing. One relayed address is enough, since
 * the other side just sends to it: the controlling side allocates, the other one only where that takes long or
 * can't be had.
 */
import type { PunchPlan } from '../../shared/punch/plan.ts';
import {
  type FailureCode,
  failureOf,
  type PuncherAction,
  type PuncherInput,
  type PunchFailure,
  RELAY_MS,
} from './io.ts';

export interface RelayingOptions {
  readonly plan: Pick<PunchPlan, 'role' | 'attempt' | 'attempts' | 'timeMs'>;
  readonly startAt: number;
  readonly relay: Extract<PuncherInput, { kind: 'plan' }>['relay'];
  readonly act: (action: PuncherAction) => void;
}

/** With a relay 100 ms away the peer's is there before. */
const OTHER_SIDE_AFTER_MS = 2000;

export class Relaying {
  readonly #act: (action: PuncherAction) => void;
  /** Undefined where there is no relay, or its turn comes only with a later attempt. */
  readonly #beginsAt: number | undefined;
  #askAt: number | undefined;
  #ownFailure: string | undefined;
  #hasPeerFailed = false;
  #isFound = false;

  constructor({ plan, startAt, relay, act }: RelayingOptions) {
    this.#act = act;
    if (relay === 'at-once') this.#beginsAt = startAt;
    else if (relay === 'at-last' && plan.attempt >= plan.attempts) this.#beginsAt = startAt + plan.timeMs;
    if (this.#beginsAt !== undefined)
      this.#askAt = this.#beginsAt + (plan.role === 'controlling' ? 0 : OTHER_SIDE_AFTER_MS);
  }

  /** Until when a path by a relay may be agreed on; undefined where there is none. */
  get deadlineAt(): number | undefined {
    return this.#beginsAt === undefined || this.#isHopeless ? undefined : this.#beginsAt + RELAY_MS;
  }

  nextAt(): number | undefined {
    return this.#askAt;
  }

  handleTimeout(now: number): void {
    if (this.#askAt === undefined || now < this.#askAt) return;
    this.#askAt = undefined;
    this.#act({ kind: 'relay' });
  }

  /** False where it isn't of use any more, or not yet. */
  handleFound(): boolean {
    this.#isFound = this.#beginsAt !== undefined;
    return this.#isFound;
  }

  /** Then this side's is wanted at once, unless it has failed as well. */
  handleFailed(failed: Extract<PuncherInput, { kind: 'relay-failed' }>, now: number): void {
    if (failed.side === 'own') this.#ownFailure = failed.text;
    else this.#hasPeerFailed = true;
    if (failed.side === 'peer' && this.#askAt !== undefined) this.#askAt = Math.max(now, this.#beginsAt!);
  }

  /** Why there is no hole, if the attempt without a relay came to `code`. */
  explain(code: FailureCode): PunchFailure {
    const direct = failureOf(code);
    if (this.#beginsAt === undefined) return direct;
    const relayed: PunchFailure =
      this.#ownFailure === undefined || this.#isFound
        ? failureOf('relay-not-through')
        : { code: 'no-relay', text: `the relay ${this.#ownFailure}` };
    return { code: relayed.code, text: `${direct.text}, and ${relayed.text}` };
  }

  get #isHopeless(): boolean {
    return this.#ownFailure !== undefined && this.#hasPeerFailed && !this.#isFound;
  }
}
