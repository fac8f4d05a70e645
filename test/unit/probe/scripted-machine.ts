import type {
  ClassifierAction,
  ClassifierEvent,
  ClassifierInput,
  ClassifierResult,
} from '../../../probe/classify/io.ts';
import type { ClassifierMachine } from '../../../probe/drive/run-probe.ts';

/** A machine that a test plays: it keeps what it is told and passes on what it is given to want. */
export class ScriptedMachine implements ClassifierMachine {
  readonly inputs: ClassifierInput[] = [];
  readonly timeouts: number[] = [];
  timeoutAt: number | undefined;
  /** What to do about an input; runs before the driver drains. */
  onInput: (input: ClassifierInput, now: number) => void = () => undefined;
  onTimeout: (now: number) => void = () => undefined;
  readonly #actions: ClassifierAction[] = [];
  readonly #events: ClassifierEvent[] = [];

  want(...actions: ClassifierAction[]): this {
    this.#actions.push(...actions);
    return this;
  }

  end(change: Partial<ClassifierResult> = {}): void {
    this.#events.push({ kind: 'done', result: { ...RESULT, ...change } });
  }

  tell(event: ClassifierEvent): void {
    this.#events.push(event);
  }

  handleInput(input: ClassifierInput, now: number): void {
    this.inputs.push(input);
    this.onInput(input, now);
  }

  handleTimeout(now: number): void {
    this.timeouts.push(now);
    this.timeoutAt = undefined;
    this.onTimeout(now);
  }

  pollAction(): ClassifierAction | undefined {
    return this.#actions.shift();
  }

  pollTimeout(): number | undefined {
    return this.timeoutAt;
  }

  pollEvent(): ClassifierEvent | undefined {
    return this.#events.shift();
  }
}

/** A result to tell apart from others by its family and time. */
export const RESULT: ClassifierResult = {
  family: 'ipv4',
  outcome: {
    kind: 'verdict',
    verdict: {
      type: 'open',
      mapping: 'none',
      filtering: 'endpoint-independent',
      confidence: 1,
      reasons: [],
    },
  },
  endpoints: {},
  timing: { totalMs: 1 },
  evidence: [],
};
