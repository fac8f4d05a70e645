import type { PunchStep } from '../../shared/punch/plan.ts';

/** The steps of a plan that haven't begun. */
export class StepQueue {
  readonly #startAt: number;
  /** The next one last. */
  readonly #steps: PunchStep[];

  constructor(steps: readonly PunchStep[], startAt: number) {
    this.#startAt = startAt;
    this.#steps = [...steps].sort((one, other) => other.atMs - one.atMs);
  }

  nextAt(): number | undefined {
    const step = this.#steps.at(-1);
    return step && this.#startAt + step.atMs;
  }

  /** Those that begin by now, the earliest first. */
  takeDue(now: number): PunchStep[] {
    const due: PunchStep[] = [];
    for (let at = this.nextAt(); at !== undefined && at <= now; at = this.nextAt())
      due.push(this.#steps.pop()!);
    return due;
  }
}
