import type { Random } from './random.ts';

/** How a NAT picks the external port of a new mapping (RFC 4787 §4.2). */
export type PortAllocation =
  /** The internal port if it is free, else as `onCollision` says. */
  | { readonly kind: 'preserve'; readonly onCollision: 'sequential' | 'random' }
  /** `delta` above the last one, whoever had that: one counter for all hosts. */
  | { readonly kind: 'sequential'; readonly first: number; readonly delta: number }
  | { readonly kind: 'random' }
  /** At random, even for even and odd for odd, as long as there is one (RFC 4787 §4.2.2). */
  | { readonly kind: 'parity' }
  /**
   * A carrier-grade NAT's port blocks (RFC 6888 §3, RFC 7422): each internal address has a block of
   * `size` ports, and another once that is full; within it ports go up or are drawn.
   */
  | {
      readonly kind: 'block';
      readonly base: number;
      readonly size: number;
      readonly within: 'sequential' | 'random';
    };

/** Where ports that aren't preserved come from (RFC 4787 §4.2.1: not the well-known ones). */
const FIRST_PORT = 1024;
const LAST_PORT = 65535;

/** The ports of one external address. `isFree` says whether no live mapping holds a port there. */
export interface PortAllocator {
  /** Undefined if there is none left. */
  allocate(
    internalAddress: string,
    internalPort: number,
    isFree: (port: number) => boolean,
  ): number | undefined;
}

export function createPortAllocator(allocation: PortAllocation, random: Random): PortAllocator {
  switch (allocation.kind) {
    case 'preserve':
      return {
        allocate(_internalAddress, internalPort, isFree) {
          if (isFree(internalPort)) return internalPort;
          return allocation.onCollision === 'random'
            ? randomFreePort(FIRST_PORT, LAST_PORT, random, isFree)
            : nextFreePort(internalPort, 1, FIRST_PORT, LAST_PORT, isFree);
        },
      };
    case 'sequential': {
      let next = allocation.first;
      return {
        allocate(_internalAddress, _internalPort, isFree) {
          const port = nextFreePort(next, allocation.delta, FIRST_PORT, LAST_PORT, isFree);
          if (port !== undefined) next = port + allocation.delta;
          return port;
        },
      };
    }
    case 'random':
      return {
        allocate: (_internalAddress, _internalPort, isFree) =>
          randomFreePort(FIRST_PORT, LAST_PORT, random, isFree),
      };
    case 'parity':
      return {
        allocate(_internalAddress, internalPort, isFree) {
          const even = random.integer(FIRST_PORT / 2, (LAST_PORT - 1) / 2) * 2;
          return (
            nextFreePort(even + (internalPort % 2), 2, FIRST_PORT, LAST_PORT, isFree) ??
            randomFreePort(FIRST_PORT, LAST_PORT, random, isFree)
          );
        },
      };
    case 'block':
      return new BlockAllocator(allocation, random);
  }
}

class BlockAllocator implements PortAllocator {
  readonly #allocation: PortAllocation & { kind: 'block' };
  readonly #random: Random;
  readonly #blocksOf = new Map<string, number[]>();
  readonly #unusedBlocks: number[] = [];

  constructor(allocation: PortAllocation & { kind: 'block' }, random: Random) {
    this.#allocation = allocation;
    this.#random = random;
    for (let first = allocation.base; first + allocation.size - 1 <= LAST_PORT; first += allocation.size) {
      this.#unusedBlocks.push(first);
    }
  }

  allocate(
    internalAddress: string,
    _internalPort: number,
    isFree: (port: number) => boolean,
  ): number | undefined {
    let blocks = this.#blocksOf.get(internalAddress);
    if (blocks === undefined) this.#blocksOf.set(internalAddress, (blocks = []));
    for (const first of blocks) {
      const port = this.#allocateWithin(first, isFree);
      if (port !== undefined) return port;
    }
    if (this.#unusedBlocks.length === 0) return undefined;
    const [first] = this.#unusedBlocks.splice(this.#random.integer(0, this.#unusedBlocks.length - 1), 1);
    blocks.push(first!);
    return this.#allocateWithin(first!, isFree);
  }

  #allocateWithin(first: number, isFree: (port: number) => boolean): number | undefined {
    const last = first + this.#allocation.size - 1;
    return this.#allocation.within === 'random'
      ? randomFreePort(first, last, this.#random, isFree)
      : nextFreePort(first, 1, first, last, isFree);
  }
}

/** `start`, `start + delta`, … wrapping round from `last` to `first`, until one is free. */
function nextFreePort(
  start: number,
  delta: number,
  first: number,
  last: number,
  isFree: (port: number) => boolean,
): number | undefined {
  const count = last - first + 1;
  for (let step = 0; step < count; step += 1) {
    const offset = (start - first + step * delta) % count;
    const port = first + (offset < 0 ? offset + count : offset);
    if (isFree(port)) return port;
  }
  return undefined;
}

function randomFreePort(
  first: number,
  last: number,
  random: Random,
  isFree: (port: number) => boolean,
): number | undefined {
  return nextFreePort(random.integer(first, last), 1, first, last, isFree);
}
