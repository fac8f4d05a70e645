/** Something that happens at a virtual time. */
export interface TimedEvent {
  /** Virtual milliseconds. */
  readonly at: number;
  /** Events of one instant happen in the order in which they were scheduled. */
  readonly order: number;
  /** Undefined once cancelled. */
  run: (() => void) | undefined;
}

/** A binary heap of events, earliest first. */
export class EventQueue {
  readonly #heap: TimedEvent[] = [];
  #scheduled = 0;

  schedule(at: number, run: () => void): TimedEvent {
    const event: TimedEvent = { at, order: this.#scheduled, run };
    this.#scheduled += 1;
    this.#heap.push(event);
    this.#siftUp(this.#heap.length - 1);
    return event;
  }

  cancel(event: TimedEvent): void {
    event.run = undefined;
  }

  /** The time of the next event that wasn't cancelled. */
  nextAt(): number | undefined {
    let first = this.#heap[0];
    while (first !== undefined && first.run === undefined) {
      this.#removeFirst();
      first = this.#heap[0];
    }
    return first?.at;
  }

  /** Removes the next event and returns it, or undefined if none is left. */
  takeNext(): TimedEvent | undefined {
    if (this.nextAt() === undefined) return undefined;
    const first = this.#heap[0];
    this.#removeFirst();
    return first;
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!;
    if (this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#siftDown();
  }

  #siftUp(from: number): void {
    const heap = this.#heap;
    const event = heap[from]!;
    let index = from;
    while (index > 0) {
      const above = (index - 1) >> 1;
      if (!isEarlier(event, heap[above]!)) break;
      heap[index] = heap[above]!;
      index = above;
    }
    heap[index] = event;
  }

  #siftDown(): void {
    const heap = this.#heap;
    const event = heap[0]!;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isEarlier(heap[below + 1]!, heap[below]!)) below += 1;
      if (!isEarlier(heap[below]!, event)) break;
      heap[index] = heap[below]!;
      index = below;
    }
    heap[index] = event;
  }
}

function isEarlier(a: TimedEvent, b: TimedEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
