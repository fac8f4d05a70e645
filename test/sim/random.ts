/**
 * The simulator's only source of chance: sfc32 (Chris Doty-Humphrey's Small Fast Counting generator,
 * 128 bits of state, from PractRand). The same seed gives the same run on every machine.
 */
export class Random {
  readonly seed: number;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** `seed` is a whole number up to 2^53. */
  constructor(seed: number) {
    this.seed = seed;
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = 0x9e3779b9 | 0;
    // PractRand discards the first rounds too, so that near seeds don't give near streams.
    for (let round = 0; round < 15; round += 1) this.uint32();
  }

  /** A generator of its own, so that drawing more in one part leaves the others as they were. */
  fork(): Random {
    return new Random(this.uint32() * 2 ** 20 + (this.uint32() >>> 12));
  }

  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** Uniform from 0 (included) to 1 (excluded). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A whole number from `first` to `last`, both included. */
  integer(first: number, last: number): number {
    return first + Math.floor(this.fraction() * (last - first + 1));
  }

  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  /** Exponential with the given mean. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.fraction());
  }

  /** Normal with mean 0 (Box and Muller, one of the two values). */
  normal(standardDeviation: number): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.fraction()));
    return standardDeviation * radius * Math.cos(2 * Math.PI * this.fraction());
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index += 4) {
      const word = this.uint32();
      for (let byte = 0; byte < 4 && index + byte < length; byte += 1) {
        bytes[index + byte] = (word >>> (8 * byte)) & 0xff;
      }
    }
    return bytes;
  }
}
