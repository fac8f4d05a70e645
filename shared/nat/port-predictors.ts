/** What each model of port-models.ts expects of the next mapping, and learns from it. */
import {
  chanceOfSkips,
  FIRST_PORT,
  LAST_PORT,
  PORT_COUNT,
  type Skips,
  spreadDensity,
  type WeightedLaw,
  wrapPort,
} from './port-law.ts';

/** One new mapping, in the order in which the NAT made them. */
export interface Allocation {
  readonly localPort: number;
  /** The public address: a NAT counts for each of its own. */
  readonly address: string;
  readonly port: number;
  readonly atMs: number;
  /** The last port that the same socket was mapped to before; absent for its first mapping. */
  readonly ownPort?: number;
}

export interface Predictor {
  /** Of the port that it got, given what was learned before. */
  chanceOf(allocation: Allocation): number;
  learn(allocation: Allocation): void;
  /** What it expects of the next; `endMs` is when the measuring ended. Weights sum to 1. */
  laws(endMs: number): WeightedLaw[];
}

/** What none of the models foresees may be any port. */
const ANY_PORT = 1 / PORT_COUNT;
const ANYWHERE = { kind: 'uniform', first: FIRST_PORT, last: LAST_PORT, sameParity: false } as const;

/** Shape of the prior of a rate: one that may well be far below or above its mean. */
const RATE_SHAPE = 0.5;

/** How often a law holds: Beta, 39 of 40 before anything is seen. */
class Reliability {
  #held = 39;
  #seen = 40;

  get share(): number {
    return this.#held / this.#seen;
  }

  count(held: boolean): void {
    this.#held += held ? 1 : 0;
    this.#seen++;
  }

  mix(laws: readonly WeightedLaw[]): WeightedLaw[] {
    return [
      ...laws.map(({ weight, law }) => ({ weight: weight * this.share, law })),
      { weight: 1 - this.share, law: ANYWHERE },
    ];
  }
}

export class Preserver implements Predictor {
  readonly #reliability = new Reliability();

  chanceOf({ localPort, port }: Allocation): number {
    const { share } = this.#reliability;
    return (port === localPort ? share : 0) + (1 - share) * ANY_PORT;
  }

  learn({ localPort, port }: Allocation): void {
    this.#reliability.count(port === localPort);
  }

  laws(): WeightedLaw[] {
    return this.#reliability.mix([{ weight: 1, law: { kind: 'preserved' } }]);
  }
}

interface LastPort {
  readonly port: number;
  readonly atMs: number;
  /** How many mappings of its address there were. */
  readonly seen: number;
}

/** One counter for each public address, which everybody's mappings advance. */
export class Counter implements Predictor {
  readonly #delta: number;
  readonly #known: readonly Allocation[];
  readonly #reliability = new Reliability();
  readonly #last = new Map<string, LastPort>();
  #skips: Skips;

  constructor(delta: number, trafficMs: number, known: readonly Allocation[]) {
    this.#delta = delta;
    this.#known = known;
    this.#skips = { shape: RATE_SHAPE, rate: RATE_SHAPE * trafficMs };
  }

  get skips(): Skips {
    return this.#skips;
  }

  chanceOf(allocation: Allocation): number {
    const { share } = this.#reliability;
    return share * this.#chanceInOrder(allocation) + (1 - share) * ANY_PORT;
  }

  learn(allocation: Allocation): void {
    const { address, port, atMs } = allocation;
    const last = this.#last.get(address);
    this.#last.set(address, { port, atMs, seen: (last?.seen ?? 0) + 1 });
    if (last === undefined) return;
    const { share } = this.#reliability;
    const inOrder = share * this.#chanceInOrder(allocation, last) > (1 - share) * ANY_PORT;
    this.#reliability.count(inOrder);
    if (!inOrder) return;
    const { shape, rate } = this.#skips;
    this.#skips = {
      shape: shape + stepsTo(last.port, port, this.#delta, this.#known)!,
      rate: rate + atMs - last.atMs,
    };
  }

  #chanceInOrder({ address, port, atMs }: Allocation, last = this.#last.get(address)): number {
    if (last === undefined) return ANY_PORT;
    const skipped = stepsTo(last.port, port, this.#delta, this.#known);
    return skipped === undefined ? 0 : chanceOfSkips(this.#skips, skipped, Math.max(1, atMs - last.atMs));
  }

  /** The last port in order, or one that must have come after it although its place isn't known. */
  #furthest(address: string, last: LastPort, endMs: number): LastPort {
    const { shape, rate } = this.#skips;
    const most = 64 + (4 * (endMs - last.atMs) * shape) / rate;
    let furthest = last;
    let steps = 0;
    for (const { address: itsAddress, port, atMs } of this.#known) {
      const ahead = itsAddress === address ? stepsTo(last.port, port, this.#delta, []) : undefined;
      if (ahead === undefined || ahead < steps || ahead > most) continue;
      furthest = { port, atMs: Math.max(atMs, last.atMs), seen: last.seen };
      steps = ahead;
    }
    return furthest;
  }

  laws(endMs: number): WeightedLaw[] {
    const addresses = [...this.#last].map(([address, last]) => this.#furthest(address, last, endMs));
    const seen = addresses.reduce((sum, last) => sum + last.seen, 0);
    if (seen === 0) return [{ weight: 1, law: ANYWHERE }];
    return this.#reliability.mix(
      addresses.map((last) => ({
        weight: last.seen / seen,
        law: {
          kind: 'after-last',
          delta: this.#delta,
          last: last.port,
          agoMs: endMs - last.atMs,
          skips: this.#skips,
        },
      })),
    );
  }
}

/** One counter for each socket, that begins at its local port. */
export class OwnCounter implements Predictor {
  readonly #delta: number;
  readonly #reliability = new Reliability();
  #skips: Skips = { shape: RATE_SHAPE, rate: RATE_SHAPE };

  constructor(delta: number) {
    this.#delta = delta;
  }

  chanceOf(allocation: Allocation): number {
    const { share } = this.#reliability;
    return share * this.#chanceInOrder(allocation) + (1 - share) * ANY_PORT;
  }

  learn(allocation: Allocation): void {
    const { share } = this.#reliability;
    const inOrder = share * this.#chanceInOrder(allocation) > (1 - share) * ANY_PORT;
    this.#reliability.count(inOrder);
    if (!inOrder) return;
    const { shape, rate } = this.#skips;
    const skipped = stepsTo(allocation.ownPort!, allocation.port, this.#delta, [])!;
    this.#skips = { shape: shape + skipped, rate: rate + 1 };
  }

  #chanceInOrder({ ownPort, port }: Allocation): number {
    const skipped = stepsTo(ownPort!, port, this.#delta, []);
    return skipped === undefined ? 0 : chanceOfSkips(this.#skips, skipped, 1);
  }

  laws(): WeightedLaw[] {
    return this.#reliability.mix([
      { weight: 1, law: { kind: 'after-own', delta: this.#delta, skips: this.#skips } },
    ]);
  }
}

/** More skips than this between two mappings of one run are no counter's. */
const MOST_SKIPS = 4096;

/** How many steps of `delta` lie between two ports, `known` ones left out; undefined if the second isn't ahead. */
function stepsTo(from: number, to: number, delta: number, known: readonly Allocation[]): number | undefined {
  const distance = delta > 0 ? wrapPort(FIRST_PORT + to - from) : wrapPort(FIRST_PORT + from - to);
  const ahead = distance - FIRST_PORT;
  const size = Math.abs(delta);
  if (ahead === 0 || ahead % size !== 0 || ahead / size > MOST_SKIPS) return undefined;
  const own = known.filter(
    ({ port }) => (port - from) * delta > 0 && (to - port) * delta > 0 && (port - from) % size === 0,
  );
  return Math.max(0, ahead / size - 1 - own.length);
}

/** Draws from some set of ports; from one of a block's size where `block` says so. */
export type Drawing = Predictor & { readonly block?: { readonly first: number; readonly size: number } };

export class RangeDrawing implements Drawing {
  readonly #law: Extract<WeightedLaw['law'], { kind: 'uniform' }>;
  readonly #reliability = new Reliability();

  constructor(first: number, last: number, sameParity: boolean) {
    this.#law = { kind: 'uniform', first, last, sameParity };
  }

  chanceOf({ localPort, port }: Allocation): number {
    const { first, last } = this.#law;
    const { share } = this.#reliability;
    return (share * drawChance(this.#law, localPort, port)) / (last - first + 1) + (1 - share) * ANY_PORT;
  }

  learn({ localPort, port }: Allocation): void {
    this.#reliability.count(drawChance(this.#law, localPort, port) > 0);
  }

  laws(): WeightedLaw[] {
    return this.#reliability.mix([{ weight: 1, law: this.#law }]);
  }
}

/** One block of an even size, known from the first port that came from it. */
export class BlockDrawing implements Drawing {
  readonly #size: number;
  readonly #origin: number;
  readonly #sameParity: boolean;
  readonly #reliability = new Reliability();
  #first: number | undefined;

  constructor(size: number, origin: number, sameParity: boolean) {
    this.#size = size;
    this.#origin = origin;
    this.#sameParity = sameParity;
  }

  get block(): { first: number; size: number } {
    return { first: this.#first ?? this.#origin, size: this.#size };
  }

  chanceOf({ localPort, port }: Allocation): number {
    if (this.#first === undefined) return parityFactor(this.#sameParity, localPort, port) * ANY_PORT;
    const { share } = this.#reliability;
    const held = drawChance(this.#law(this.#first), localPort, port);
    return (share * held) / this.#size + (1 - share) * ANY_PORT;
  }

  learn({ localPort, port }: Allocation): void {
    if (this.#first === undefined) {
      this.#first = this.#origin + Math.floor((port - this.#origin) / this.#size) * this.#size;
      return;
    }
    this.#reliability.count(drawChance(this.#law(this.#first), localPort, port) > 0);
  }

  laws(): WeightedLaw[] {
    if (this.#first === undefined) return [{ weight: 1, law: ANYWHERE }];
    return this.#reliability.mix([{ weight: 1, law: this.#law(this.#first) }]);
  }

  #law(first: number): Extract<WeightedLaw['law'], { kind: 'uniform' }> {
    return {
      kind: 'uniform',
      first: Math.max(1, first),
      last: Math.min(LAST_PORT, first + this.#size - 1),
      sameParity: this.#sameParity,
    };
  }
}

/** A range of which nothing is known but the ports that came from it. */
export class SpreadDrawing implements Drawing {
  readonly #sameParity: boolean;
  #lowest = Infinity;
  #highest = -Infinity;
  #samples = 0;

  constructor(sameParity: boolean) {
    this.#sameParity = sameParity;
  }

  chanceOf({ localPort, port }: Allocation): number {
    const factor = parityFactor(this.#sameParity, localPort, port);
    if (this.#samples < 2) return factor * ANY_PORT;
    const beyond = Math.max(0, this.#lowest - port, port - this.#highest);
    return factor * spreadDensity(this.#highest - this.#lowest + 1, this.#samples, beyond);
  }

  learn({ port }: Allocation): void {
    this.#lowest = Math.min(this.#lowest, port);
    this.#highest = Math.max(this.#highest, port);
    this.#samples++;
  }

  laws(): WeightedLaw[] {
    if (this.#samples < 2) return [{ weight: 1, law: ANYWHERE }];
    return [
      {
        weight: 1,
        law: {
          kind: 'spread',
          lowest: this.#lowest,
          highest: this.#highest,
          samples: this.#samples,
          sameParity: this.#sameParity,
        },
      },
    ];
  }
}

/** 0 outside of the law's ports, else 1, or 2 where only half of them come into question. */
function drawChance(
  { first, last, sameParity }: Extract<WeightedLaw['law'], { kind: 'uniform' }>,
  localPort: number,
  port: number,
): number {
  return port < first || port > last ? 0 : parityFactor(sameParity, localPort, port);
}

function parityFactor(sameParity: boolean, localPort: number, port: number): number {
  if (!sameParity) return 1;
  return (localPort ^ port) & 1 ? 0 : 2;
}
