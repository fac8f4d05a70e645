import type { Random } from './random.ts';

/** How a link loses packets. */
export type LossOptions =
  | { readonly kind: 'none' }
  /** Each packet with this probability, independent of all others. */
  | { readonly kind: 'independent'; readonly probability: number }
  | GilbertElliott
  | TimedGilbertElliott;

/**
 * Gilbert and Elliott's two-state chain, one step before each packet: the good state turns bad with
 * probability `p`, the bad one good with `r`; a packet is lost with the probability of its state.
 */
export interface GilbertElliott {
  readonly kind: 'gilbert-elliott';
  readonly p: number;
  readonly r: number;
  readonly lossGood: number;
  readonly lossBad: number;
}

/**
 * The same chain in time, for bursts that take whatever comes in a while, however sparse the
 * packets: the dwell times in the two states are exponential with these means, in milliseconds.
 */
export interface TimedGilbertElliott {
  readonly kind: 'timed-gilbert-elliott';
  readonly meanGoodMs: number;
  readonly meanBadMs: number;
  readonly lossGood: number;
  readonly lossBad: number;
}

/** Says for each packet in turn whether it is lost. */
export interface LossModel {
  isLost(now: number): boolean;
}

/** One direction of one link, in its stationary state from the first packet on. */
export function createLossModel(options: LossOptions, random: Random): LossModel {
  switch (options.kind) {
    case 'none':
      return { isLost: () => false };
    case 'independent':
      return { isLost: () => random.chance(options.probability) };
    case 'gilbert-elliott':
      return new GilbertElliottLoss(options, random);
    case 'timed-gilbert-elliott':
      return new TimedGilbertElliottLoss(options, random);
  }
}

/**
 * The share of packets lost in the long run.
 *
 * With pi = p / (p + r) (packets) or meanBadMs / (meanGoodMs + meanBadMs) (time) as the share of
 * the bad state: (1 - pi) * lossGood + pi * lossBad.
 */
export function meanLossOf(options: LossOptions): number {
  switch (options.kind) {
    case 'none':
      return 0;
    case 'independent':
      return options.probability;
    case 'gilbert-elliott':
    case 'timed-gilbert-elliott': {
      const bad = badShareOf(options);
      return (1 - bad) * options.lossGood + bad * options.lossBad;
    }
  }
}

/**
 * The mean number of packets lost in a row: the share lost over the share that begins a run, which
 * is the sum over states i, j of pi_i * (1 - loss_i) * P_ij * loss_j. For lossGood = 0 and
 * lossBad = 1 that is 1 / r; for independent loss 1 / (1 - probability).
 */
export function meanBurstOf(options: LossOptions & { kind: 'independent' | 'gilbert-elliott' }): number {
  if (options.kind === 'independent') return 1 / (1 - options.probability);
  const { p, r, lossGood, lossBad } = options;
  const bad = badShareOf(options);
  const begins =
    (1 - bad) * (1 - lossGood) * ((1 - p) * lossGood + p * lossBad) +
    bad * (1 - lossBad) * (r * lossGood + (1 - r) * lossBad);
  return meanLossOf(options) / begins;
}

function badShareOf(options: GilbertElliott | TimedGilbertElliott): number {
  return options.kind === 'gilbert-elliott'
    ? options.p / (options.p + options.r)
    : options.meanBadMs / (options.meanGoodMs + options.meanBadMs);
}

class GilbertElliottLoss implements LossModel {
  readonly #options: GilbertElliott;
  readonly #random: Random;
  #bad: boolean;

  constructor(options: GilbertElliott, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#bad = random.chance(badShareOf(options));
  }

  isLost(): boolean {
    const { p, r, lossGood, lossBad } = this.#options;
    if (this.#random.chance(this.#bad ? r : p)) this.#bad = !this.#bad;
    return this.#random.chance(this.#bad ? lossBad : lossGood);
  }
}

class TimedGilbertElliottLoss implements LossModel {
  readonly #options: TimedGilbertElliott;
  readonly #random: Random;
  readonly #badShare: number;
  /** How fast the chain forgets, per millisecond: the sum of both rates. */
  readonly #forgets: number;
  #bad: boolean;
  #at = 0;

  constructor(options: TimedGilbertElliott, random: Random) {
    this.#options = options;
    this.#random = random;
    this.#badShare = badShareOf(options);
    this.#forgets = 1 / options.meanGoodMs + 1 / options.meanBadMs;
    this.#bad = random.chance(this.#badShare);
  }

  isLost(now: number): boolean {
    // The chain's exact transition over the time since the last packet, in one draw.
    const remembered = Math.exp(-this.#forgets * (now - this.#at));
    const badNow = this.#badShare + ((this.#bad ? 1 : 0) - this.#badShare) * remembered;
    this.#bad = this.#random.chance(badNow);
    this.#at = now;
    return this.#random.chance(this.#bad ? this.#options.lossBad : this.#options.lossGood);
  }
}
