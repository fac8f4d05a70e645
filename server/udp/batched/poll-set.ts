import { Region } from './message-vector.ts';
import { EBADF, EINTR, POLLIN, type SystemCalls, systemError } from './system-calls.ts';

/** `struct pollfd`: the descriptor, then in the second word what is waited for and, above it, what has come. */
const POLLFD_BYTES = 8;
const POLLNVAL = 0x20;

/** File descriptors of which one waits for the first that can be read. */
export class PollSet {
  private readonly calls: SystemCalls;
  private readonly words: Int32Array;
  private readonly pointer: bigint;
  private readonly count: number;

  constructor(calls: SystemCalls, fds: readonly number[]) {
    this.calls = calls;
    this.count = fds.length;
    const region = new Region(calls, Math.max(1, fds.length) * 64);
    const offset = region.allocate(fds.length * POLLFD_BYTES);
    this.words = region.words.subarray(offset >> 2);
    this.pointer = region.pointerTo(offset);
    for (const [index, fd] of fds.entries()) {
      this.words[2 * index] = fd;
      this.words[2 * index + 1] = POLLIN;
    }
  }

  /** Waits; returns how many are ready, 0 also after a signal. Throws if one of them is no descriptor any more. */
  poll(timeoutMs: number): number {
    const ready = this.calls.poll(this.pointer, this.count, timeoutMs);
    if (ready >= 0) return ready;
    if (this.calls.errno() !== EINTR) throw systemError(this.calls, 'poll');
    return 0;
  }

  /** Whether the descriptor at `index` can be read, or has an error to tell. */
  isReady(index: number): boolean {
    const come = this.words[2 * index + 1]! >>> 16;
    if ((come & POLLNVAL) !== 0) throw Object.assign(new Error('poll EBADF'), { errno: -EBADF });
    return come !== 0;
  }
}
