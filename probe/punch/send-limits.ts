/** How much one side may send, whatever its plan says and its peer asks for. */
import { MOST_SENT, type PunchLimits } from '../../shared/punch/plan.ts';

/** What may go out at once, as a share of a second's packets; the rest of them comes evenly. */
const BURST_SHARE = 0.1;
/** What guesses leave for answers and for what was heard, of all packets and of those that may go out at once. */
const RESERVE = 64;
const BURST_RESERVE = 0.25;
/** A whole packet, but for what adding fractions leaves out. */
const WHOLE = 1 - 1e-6;

/**
 * In no second more than `packetsPerSecond`, and until `lift` no more than `packets`; never more than
 * MOST_SENT. `before` is what an earlier attempt was held to, so that attempts in a row gain nothing.
 */
export class SendLimits {
  readonly #burst: number;
  readonly #perMs: number;
  #left: number;
  #tokens: number;
  #filledAt: number;

  constructor(limits: PunchLimits, now: number, before?: SendLimits) {
    const packetsPerSecond = Math.min(limits.packetsPerSecond, MOST_SENT.packetsPerSecond);
    this.#burst = Math.min(packetsPerSecond, Math.max(1, Math.floor(packetsPerSecond * BURST_SHARE)));
    this.#perMs = (packetsPerSecond - this.#burst) / 1000;
    this.#left = Math.min(limits.packets, MOST_SENT.packets);
    this.#tokens = before === undefined ? this.#burst : Math.min(this.#burst, before.#tokensAt(now));
    this.#filledAt = now;
  }

  /** Takes one packet, or says that it must not be sent. A guess is refused earlier. */
  take(now: number, isGuess = false): boolean {
    this.#fill(now);
    const [kept, left] = isGuess ? [this.#keptBack, RESERVE] : [0, 0];
    if (this.#tokens < WHOLE + kept || this.#left <= left) return false;
    this.#tokens -= 1;
    this.#left -= 1;
    return true;
  }

  /** When the next packet may be sent, or the next guess, as far as the pace goes. */
  nextAt(isGuess = false): number {
    const missing = 1 + (isGuess ? this.#keptBack : 0) - this.#tokens;
    return missing <= 1 - WHOLE ? this.#filledAt : this.#filledAt + missing / this.#perMs;
  }

  get #keptBack(): number {
    return Math.floor(this.#burst * BURST_RESERVE);
  }

  /** Whether guessing has to end. */
  get isSpent(): boolean {
    return this.#left <= RESERVE;
  }

  /** Once the hole is open only the pace is limited. */
  lift(): void {
    this.#left = Infinity;
  }

  #fill(now: number): void {
    this.#tokens = this.#tokensAt(now);
    this.#filledAt = now;
  }

  #tokensAt(now: number): number {
    return Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#perMs);
  }
}
