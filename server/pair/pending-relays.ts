import type { RelayedAnswer } from '../answer/relayed-answer.ts';

/** As long as RFC 8489 §6.2.1 has a client wait before it asks again. */
export const RELAY_TIMEOUT_MS = 500;
/** More under way than any partner leaves waiting. */
const MOST_PENDING = 4096;

export interface PendingRelay {
  /** Who was asked. */
  readonly by: string;
  readonly answer: RelayedAnswer;
  readonly askedAt: number;
}

/** What a partner has been asked to send and has not yet said anything of, the oldest first. */
export class PendingRelays {
  private readonly relays = new Map<number, PendingRelay>();
  private lastNumber = 0;

  /** The number that it goes by; undefined if there are too many. */
  add(by: string, answer: RelayedAnswer, now: number): number | undefined {
    if (this.relays.size >= MOST_PENDING) return undefined;
    this.relays.set(++this.lastNumber, { by, answer, askedAt: now });
    return this.lastNumber;
  }

  /** If that host was asked for it and nothing is known of it yet. */
  take(by: string, number: number): PendingRelay | undefined {
    const relay = this.relays.get(number);
    if (relay?.by !== by) return undefined;
    this.relays.delete(number);
    return relay;
  }

  takeAll(): PendingRelay[] {
    const all = [...this.relays.values()];
    this.relays.clear();
    return all;
  }

  takeExpired(now: number): PendingRelay[] {
    const expired: PendingRelay[] = [];
    for (const [number, relay] of this.relays) {
      if (now < relay.askedAt + RELAY_TIMEOUT_MS) break;
      this.relays.delete(number);
      expired.push(relay);
    }
    return expired;
  }

  nextExpiry(): number | undefined {
    for (const { askedAt } of this.relays.values()) return askedAt + RELAY_TIMEOUT_MS;
    return undefined;
  }
}
