import { EventQueue, type TimedEvent } from './event-queue.ts';
import type { Packet } from './packet.ts';
import { Random } from './random.ts';
import { Realm } from './realm.ts';

/** What happened to a packet. `no-route`: nobody has the address, and there is no gateway; `expired`: its TTL was too low. */
export type Fate =
  'sent' | 'delivered' | 'lost' | 'dropped' | 'rejected' | 'no-port' | 'no-route' | 'expired';

/**
 * A simulated network in virtual time: nothing happens but in `run`, the clock jumps from event to
 * event, and all chance comes from the seed, so that a seed is a whole run.
 */
export class Network {
  readonly random: Random;
  /** The realm of public addresses, at the root of all others. */
  readonly internet: Realm;
  /** Told each packet's fate as it stands at that moment. For traces; undefined costs nothing. */
  trace: ((fate: Fate, packet: Packet) => void) | undefined;
  readonly #events = new EventQueue();
  #now = 0;
  #stopped = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.internet = new Realm(this, 'internet', 1);
  }

  /** Virtual milliseconds since the network began. */
  get now(): number {
    return this.#now;
  }

  schedule(at: number, run: () => void): TimedEvent {
    return this.#events.schedule(Math.max(at, this.#now), run);
  }

  cancel(event: TimedEvent): void {
    this.#events.cancel(event);
  }

  /**
   * Lets happen what is due until `untilMs` (included), or until somebody calls `stop`. The clock
   * then stands at the last event or, if it wasn't stopped, at `untilMs`.
   */
  run(untilMs: number): void {
    this.#stopped = false;
    for (;;) {
      const at = this.#events.nextAt();
      if (at === undefined || at > untilMs) break;
      const event = this.#events.takeNext()!;
      this.#now = at;
      event.run!();
      if (this.#stopped as boolean) return;
    }
    this.#now = Math.max(this.#now, untilMs);
  }

  /** Makes `run` return after the present event. */
  stop(): void {
    this.#stopped = true;
  }
}
