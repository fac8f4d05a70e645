/** What the lanes and the main thread share: flags that the lanes heed, and counts that the main thread reads. */
import { ANSWER_COUNTER_LENGTH, type AnswerCounts, AnswerCounters } from '../../answer/answer-counters.ts';
import type { SendCounts } from '../answer-sender.ts';

/** Where each of the counts of sends stands. */
export const SEND = {
  responses: 0,
  receipts: 1,
  ice: 2,
  errors: 3,
  withheldReceipts: 4,
  queueFull: 5,
} as const satisfies Record<keyof SendCounts, number>;

const SEND_NAMES = Object.keys(SEND) as (keyof SendCounts)[];
const TALLY_LENGTH = ANSWER_COUNTER_LENGTH + SEND_NAMES.length;

/** Where a flag stands; after them come the lanes' numbers of datagrams on their way to the main thread. */
const STOP = 0;
const TAP = 1;
const FIRST_LANE = 2;

/** What a lane has counted for one family. */
export interface Tally {
  readonly answers: AnswerCounters;
  /** By SEND. */
  readonly sends: Float64Array;
}

/** Buffers that can be handed to a worker. */
export interface LaneStateBuffers {
  readonly flags: SharedArrayBuffer;
  readonly counts: SharedArrayBuffer;
}

export class LaneState {
  readonly buffers: LaneStateBuffers;
  /** By lane: for how long it has not been waiting for datagrams, in milliseconds. Written by that lane alone. */
  readonly busyMs: Float64Array;
  private readonly flags: Int32Array;
  private readonly families: number;

  /** On the buffers of another one, if given. */
  constructor(lanes: number, families: number, buffers?: LaneStateBuffers) {
    this.families = families;
    this.buffers = buffers ?? {
      flags: new SharedArrayBuffer((FIRST_LANE + lanes) * Int32Array.BYTES_PER_ELEMENT),
      counts: new SharedArrayBuffer(lanes * (families * TALLY_LENGTH + 1) * Float64Array.BYTES_PER_ELEMENT),
    };
    this.flags = new Int32Array(this.buffers.flags);
    const tallies = lanes * families * TALLY_LENGTH * Float64Array.BYTES_PER_ELEMENT;
    this.busyMs = new Float64Array(this.buffers.counts, tallies, lanes);
  }

  /** Written by that lane alone. A lane that is started again goes on counting where it was. */
  tally(lane: number, family: number): Tally {
    const start = (lane * this.families + family) * TALLY_LENGTH;
    const { BYTES_PER_ELEMENT } = Float64Array;
    const view = (from: number, length: number): Float64Array =>
      new Float64Array(this.buffers.counts, (start + from) * BYTES_PER_ELEMENT, length);
    return {
      answers: new AnswerCounters(view(0, ANSWER_COUNTER_LENGTH)),
      sends: view(ANSWER_COUNTER_LENGTH, SEND_NAMES.length),
    };
  }

  get isStopping(): boolean {
    return Atomics.load(this.flags, STOP) === 1;
  }

  stop(): void {
    Atomics.store(this.flags, STOP, 1);
  }

  /** Whether the main thread awaits datagrams that are not for the answer core. */
  get isTapped(): boolean {
    return Atomics.load(this.flags, TAP) === 1;
  }
  set isTapped(tapped: boolean) {
    Atomics.store(this.flags, TAP, tapped ? 1 : 0);
  }

  /** Counts a datagram that goes to the main thread, unless `most` are on their way already. */
  beginHandover(lane: number, most: number): boolean {
    if (Atomics.load(this.flags, FIRST_LANE + lane) >= most) return false;
    Atomics.add(this.flags, FIRST_LANE + lane, 1);
    return true;
  }

  endHandover(lane: number): void {
    Atomics.sub(this.flags, FIRST_LANE + lane, 1);
  }

  /** The lane has died, and what it had on its way may have died with it. */
  forgetHandovers(lane: number): void {
    Atomics.store(this.flags, FIRST_LANE + lane, 0);
  }
}

/** What the lanes have counted together, for one family. */
export function sumTallies(tallies: readonly Tally[]): AnswerCounts & { readonly sends: SendCounts } {
  const answers = AnswerCounters.sum(tallies.map((tally) => tally.answers));
  const sends = SEND_NAMES.map((name) => [
    name,
    tallies.reduce((sum, tally) => sum + tally.sends[SEND[name]]!, 0),
  ]);
  return { ...answers.snapshot(), sends: Object.fromEntries(sends) as Record<keyof SendCounts, number> };
}

export function addSends(a: SendCounts, b: SendCounts): SendCounts {
  return Object.fromEntries(SEND_NAMES.map((name) => [name, a[name] + b[name]])) as Record<
    keyof SendCounts,
    number
  >;
}
