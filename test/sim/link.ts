import { createLossModel, type LossModel, type LossOptions } from './loss.ts';
import type { Network } from './network.ts';
import type { Packet } from './packet.ts';
import type { Random } from './random.ts';

/** What one direction of a link does to packets. Everything left out doesn't happen. */
export interface DirectionOptions {
  /** What every packet takes at least. */
  readonly delayMs?: number;
  readonly jitter?: Jitter;
  readonly loss?: LossOptions;
  /** The share of packets held back by `reorderByMs`, so that later ones overtake them. */
  readonly reorder?: number;
  readonly reorderByMs?: number;
  /** The share of packets that arrive twice, the copy `duplicateAfterMs` (0) later. */
  readonly duplicate?: number;
  readonly duplicateAfterMs?: number;
}

/** What is added to `delayMs`. Packets stay in order: a late one holds up those behind it, as a queue does. */
export type Jitter =
  | { readonly kind: 'uniform'; readonly maxMs: number }
  | { readonly kind: 'exponential'; readonly meanMs: number }
  /** Cut off at zero. */
  | { readonly kind: 'normal'; readonly meanMs: number; readonly deviationMs: number };

/** `up` leads towards the realm that the link is attached to, `down` away from it. */
export interface LinkOptions {
  readonly up?: DirectionOptions;
  readonly down?: DirectionOptions;
}

export class Link {
  readonly up: Direction;
  readonly down: Direction;

  constructor(network: Network, options: LinkOptions) {
    this.up = new Direction(network, options.up ?? {});
    this.down = new Direction(network, options.down ?? {});
  }
}

/** One direction of a link, with its own chance. */
export class Direction {
  readonly #network: Network;
  readonly #options: DirectionOptions;
  readonly #random: Random;
  readonly #loss: LossModel;
  /** When the packet before this one arrives. */
  #lastArrival = 0;

  constructor(network: Network, options: DirectionOptions) {
    this.#network = network;
    this.#options = options;
    this.#random = network.random.fork();
    this.#loss = createLossModel(options.loss ?? { kind: 'none' }, this.#random);
  }

  /** Loses the packet, or hands it (and perhaps a copy) to `arrive` after its delay. */
  carry(packet: Packet, arrive: (packet: Packet) => void): void {
    const at = this.arrivalTime();
    if (at === undefined) {
      this.#network.trace?.('lost', packet);
      return;
    }
    this.#network.schedule(at, () => arrive(packet));
    if (this.#random.chance(this.#options.duplicate ?? 0)) {
      const copy = { ...packet };
      this.#network.schedule(at + (this.#options.duplicateAfterMs ?? 0), () => arrive(copy));
    }
  }

  /** When something sent now arrives, or undefined if it is lost. */
  arrivalTime(): number | undefined {
    const now = this.#network.now;
    if (this.#loss.isLost(now)) return undefined;
    const { delayMs = 0, jitter, reorder = 0, reorderByMs = 0 } = this.#options;
    const at = now + delayMs + (jitter === undefined ? 0 : drawJitter(jitter, this.#random));
    // A packet that is held back took another way: it doesn't hold up the queue.
    if (this.#random.chance(reorder)) return at + reorderByMs;
    this.#lastArrival = Math.max(this.#lastArrival, at);
    return this.#lastArrival;
  }
}

function drawJitter(jitter: Jitter, random: Random): number {
  switch (jitter.kind) {
    case 'uniform':
      return random.fraction() * jitter.maxMs;
    case 'exponential':
      return random.exponential(jitter.meanMs);
    case 'normal':
      return Math.max(0, jitter.meanMs + random.normal(jitter.deviationMs));
  }
}
