/**
 * The time in which a server was awake: what it stood still (a busy machine, a process that was stopped) is taken
 * out, since nobody's silence counts in it. Told from how late it is woken. Pure; times in milliseconds.
 */
export class AwakeClock {
  /** From when on all has been read that came in while it last stood still; -Infinity if it never did. */
  settledAt = -Infinity;

  private readonly startedAt: number;
  private stalledMs = 0;

  constructor(startedAt: number) {
    this.startedAt = startedAt;
  }

  /** To be called whenever something happens, which is at `due` at the latest unless it stands still. */
  noteWake(due: number, now: number): void {
    const lateMs = now - due;
    if (lateMs < STALL_MS) return;
    this.stalledMs = Math.min(MOST_STALLED_MS, this.stalledMs + lateMs);
    this.settledAt = now + SETTLE_MS;
  }

  /** How long it has been awake since the start. */
  awakeMs(now: number): number {
    return now - this.startedAt - this.stalledMs;
  }

  /** When it will have been awake for that long if it doesn't stand still again. */
  timeAt(awakeMs: number): number {
    return this.startedAt + awakeMs + this.stalledMs;
  }
}

/** A timer that is less late than this is a busy machine's, which does go on. */
const STALL_MS = 200;
/** Sockets, and the threads that read them, have handed over by then what had come in. */
const SETTLE_MS = 100;
/** More is not made up for, so that whatever goes by this clock ends. */
export const MOST_STALLED_MS = 10_000;
