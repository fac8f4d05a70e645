/** What somebody may use of something: so much a second, and twice that at once (a token bucket). */
export class Allowance {
  private readonly perSecond: number;
  private left: number;
  private countedAt: number;

  constructor(perSecond: number, now: number) {
    this.perSecond = perSecond;
    this.left = 2 * perSecond;
    this.countedAt = now;
  }

  /** False, and nothing taken, if there is not so much left. */
  take(amount: number, now: number): boolean {
    const gained = ((now - this.countedAt) / 1000) * this.perSecond;
    this.left = Math.min(2 * this.perSecond, this.left + gained);
    this.countedAt = now;
    if (amount > this.left) return false;
    this.left -= amount;
    return true;
  }
}
