/** How the punches of a member went, said once each, and kept while there is no connection to say it on. */
import type { ClientMessage, Plan } from '../../shared/broker/messages.ts';
import type { ReportedOutcome } from './io.ts';

export class Outcomes {
  /** Plans on whose outcome nothing has been said. */
  readonly #open = new Map<number, Plan>();
  /** By peer the introduction that came to nothing, and after which there is another attempt. */
  readonly #between = new Map<number, number>();
  #waiting: ClientMessage[] = [];

  expect(plan: Plan): void {
    this.#open.set(plan.introduction, plan);
    this.#between.delete(plan.peer.number);
  }

  /** Only the first word on a plan counts. */
  add(introduction: number, outcome: ReportedOutcome): void {
    const plan = this.#open.get(introduction);
    if (plan === undefined) return;
    this.#open.delete(introduction);
    this.#waiting.push({ kind: 'outcome', introduction, ...outcome });
    const { attempt, attempts } = plan.plan;
    if (outcome.outcome === 'failed' && attempt < attempts) this.#between.set(plan.peer.number, introduction);
  }

  /** That punch is no more, and nothing is to be said of it; false if that is so already. */
  drop(introduction: number): boolean {
    const waiting = [...this.#between].find(([, failed]) => failed === introduction);
    if (waiting !== undefined) this.#between.delete(waiting[0]);
    return this.#open.delete(introduction) || waiting !== undefined;
  }

  /** What is to be said, and now is. */
  take(): ClientMessage[] {
    return this.#waiting.splice(0);
  }

  /** The broker knows nothing of those plans any more. */
  forget(): void {
    this.#open.clear();
    this.#between.clear();
    this.#waiting = [];
  }
}
