/** Things that are due a fixed time after they were set: the first one set is the first one due, however many there are. */
export class Deadlines<Key> {
  private readonly afterMs: number;
  private readonly due = new Map<Key, number>();

  constructor(afterMs: number) {
    this.afterMs = afterMs;
  }

  /** From `now` on; what was set before for this key holds no more. */
  set(key: Key, now: number): void {
    this.due.delete(key);
    this.due.set(key, now + this.afterMs);
  }

  delete(key: Key): void {
    this.due.delete(key);
  }

  get size(): number {
    return this.due.size;
  }

  next(): number | undefined {
    for (const at of this.due.values()) return at;
    return undefined;
  }

  /** Those that are due; they are set no more. */
  takeDue(now: number): Key[] {
    const taken: Key[] = [];
    for (const [key, at] of this.due) {
      if (at > now) break;
      taken.push(key);
      this.due.delete(key);
    }
    return taken;
  }
}
