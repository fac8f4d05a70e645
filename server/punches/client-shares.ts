/**
 * How many outcomes of one network count: two peers of one somebody agree on whatever they like, so that
 * no network may teach more than a few a day, nor fill the store. Networks are held in memory alone.
 */
export interface ShareLimits {
  /** That teach, of one network and day. */
  readonly taught: number;
  /** That are kept. */
  readonly kept: number;
  /** Of which something is remembered: beyond, nobody teaches until the day is over. */
  readonly networks: number;
}

export const DEFAULT_SHARE_LIMITS: ShareLimits = { taught: 4, kept: 1000, networks: 100_000 };

interface Share {
  taught: number;
  kept: number;
}

export class ClientShares {
  private readonly limits: ShareLimits;
  private readonly shares = new Map<string, Share>();
  private day = -Infinity;

  constructor(limits: ShareLimits = DEFAULT_SHARE_LIMITS) {
    this.limits = limits;
  }

  /** What may be done with an outcome of peers of these networks; it is counted as done. `day` counts days. */
  take(networks: readonly string[], mayTeach: boolean, day: number): 'teach' | 'keep' | 'drop' {
    if (day !== this.day) this.shares.clear();
    this.day = day;
    const shares = [...new Set(networks)].map((network) => this.shareOf(network));
    if (shares.some((share) => share === undefined || share.kept >= this.limits.kept)) return 'drop';
    const teaches = mayTeach && shares.every((share) => share!.taught < this.limits.taught);
    for (const share of shares) {
      share!.kept++;
      if (teaches) share!.taught++;
    }
    return teaches ? 'teach' : 'keep';
  }

  private shareOf(network: string): Share | undefined {
    const known = this.shares.get(network);
    if (known !== undefined || this.shares.size >= this.limits.networks) return known;
    const share = { taught: 0, kept: 0 };
    this.shares.set(network, share);
    return share;
  }
}
