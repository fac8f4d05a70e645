/** Collects what is asked for at the same time and does it in one go: commits cost the same for one as for many. */

/** An item's result, or what its promise rejects with. */
export type Settled<Result> = { readonly result: Result } | { readonly error: Error };

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Batches<Item, Result> {
  readonly #handle: (items: readonly Item[]) => Promise<readonly Settled<Result>[]>;
  readonly #most: number;
  #waiting: Waiting<Item, Result>[] = [];
  #running: Promise<void> | undefined;

  /**
   * `handle` gets at most `most` items and settles each, in their order; if it rejects, all of them do,
   * and so do those that wait: whoever is kept waiting for a database that is away waits in vain. It is never called again before it has ended.
   */
  constructor(most: number, handle: (items: readonly Item[]) => Promise<readonly Settled<Result>[]>) {
    this.#most = most;
    this.#handle = handle;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves once all that was added is settled. */
  async drain(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Let in what has arrived in the meantime, and let others have their turn.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#settle(this.#waiting.splice(0, this.#most));
    }
    this.#running = undefined;
  }

  async #settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const settled = await this.#handle(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const outcome = settled[index]!;
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.result);
      }
    } catch (error) {
      for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(error);
    }
  }
}
