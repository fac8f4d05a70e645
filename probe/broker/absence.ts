/** While a member's connection is lost: why, when to try again, and when to give up. */
import { NatprobeError } from '../../shared/errors.ts';

const FIRST_MS = 250;
const LONGEST_MS = 5000;

export class Absence {
  readonly #random: (length: number) => Uint8Array;
  #tries = 0;
  #giveUpAt = 0;
  #reason: NatprobeError | undefined;
  /** A connection was lost between a hello and what is said to it. */
  #isHelloUnheard = false;

  constructor(random: (length: number) => Uint8Array) {
    this.#random = random;
  }

  /** It is sought again for so long. */
  begin(now: number, patienceMs: number): void {
    this.#tries = 0;
    this.#isHelloUnheard = false;
    this.#giveUpAt = now + patienceMs;
  }

  /** Another try has come to nothing, or the first is to be made: when the next one is due. */
  nextAt(reason: NatprobeError, now: number): number {
    this.#reason = reason;
    const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#tries++);
    // Between half and all of it, so that not everybody comes at once.
    return Math.min(this.#giveUpAt, now + (ms * (1 + this.#random(1)[0]! / 255)) / 2);
  }

  missHello(): void {
    this.#isHelloUnheard = true;
  }

  /** The name may be held by that hello, with a token that was lost on the way: the broker lets go of it in a while. */
  handleNameTaken(now: number, patienceMs: number): void {
    if (this.#isHelloUnheard) this.#giveUpAt = now + patienceMs;
    this.#isHelloUnheard = false;
  }

  isOver(now: number): boolean {
    return now >= this.#giveUpAt;
  }

  error(): NatprobeError {
    const reason = this.#reason;
    return new NatprobeError('ERR_BROKER_LOST', 'the broker', reason?.detail ?? reason?.code, {
      cause: reason,
    });
  }
}
