/** How long to wait before the next try: longer each time, and never as long as somebody else. */
const FIRST_MS = 250;
const LONGEST_MS = 5000;

export class Backoff {
  readonly #random: (length: number) => Uint8Array;
  #tries = 0;

  constructor(random: (length: number) => Uint8Array) {
    this.#random = random;
  }

  /** Between half and all of a time that doubles with each try. */
  nextMs(): number {
    const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.#tries++);
    return (ms * (1 + this.#random(1)[0]! / 255)) / 2;
  }

  reset(): void {
    this.#tries = 0;
  }
}
