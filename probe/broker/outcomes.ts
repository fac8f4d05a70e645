/** How the punches of a member went, said once each, and kept while there is no connection to say it on. */
import type { ClientMessage } from '../../shared/broker/messages.ts';
import type { ReportedOutcome } from './io.ts';

export class Outcomes {
  /** Plans on whose outcome nothing has been said. */
  readonly #open = new Set<number>();
  #waiting: ClientMessage[] = [];

  expect(introduction: number): void {
    this.#open.add(introduction);
  }

  /** Only the first word on a plan counts. */
  add(introduction: number, outcome: ReportedOutcome): void {
    if (this.#open.delete(introduction)) this.#waiting.push({ kind: 'outcome', introduction, ...outcome });
  }

  /** Nothing is to be said on that plan any more; false if that is so already. */
  drop(introduction: number): boolean {
    return this.#open.delete(introduction);
  }

  /** What is to be said, and now is. */
  take(): ClientMessage[] {
    return this.#waiting.splice(0);
  }

  /** The broker knows nothing of those plans any more. */
  forget(): void {
    this.#open.clear();
    this.#waiting = [];
  }
}
