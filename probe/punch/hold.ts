/** Holds a hole open, and notices when it is gone: consent freshness as RFC 7675 has it, at a NAT's pace. */
import { sameEndpoint } from '../../shared/endpoint.ts';
import type { Exchange, SentCheck } from './exchange.ts';
import type { Path } from './paths.ts';

/** From one unanswered check to the next. */
const RETRY_MS = 500;
/** At 20 % loss each way so many in a row, and their answers, are lost once in 3500 times. */
const TRIES = 8;
/** From the first unanswered check until the hole counts as gone. */
export const LOSS_MS = TRIES * RETRY_MS;

export class Hold {
  readonly path: Path;
  readonly #exchange: Exchange;
  readonly #keepaliveMs: number;
  #unanswered = 0;
  #aliveAt: number;
  #nextAt: number;

  constructor(path: Path, exchange: Exchange, keepaliveMs: number, now: number) {
    this.path = path;
    this.#exchange = exchange;
    this.#keepaliveMs = keepaliveMs;
    this.#aliveAt = now;
    this.#nextAt = now + keepaliveMs;
  }

  /** When something was last answered there. */
  get aliveAt(): number {
    return this.#aliveAt;
  }

  get nextAt(): number {
    return this.#nextAt;
  }

  get isLost(): boolean {
    return this.#unanswered > TRIES;
  }

  handleAnswer({ socket, to }: SentCheck, now: number): void {
    if (socket !== this.path.socket || !sameEndpoint(to, this.path.remote)) return;
    this.#aliveAt = now;
    this.#unanswered = 0;
    this.#nextAt = now + this.#keepaliveMs;
  }

  handleTimeout(now: number): void {
    if (now < this.#nextAt) return;
    const { socket, remote, strategy } = this.path;
    if (this.#unanswered === 0) this.#exchange.forget();
    this.#unanswered += 1;
    if (this.isLost) return;
    this.#exchange.check({ socket, to: remote, strategy }, {}, now);
    this.#nextAt = now + RETRY_MS;
  }
}
