/** Asks natprobed at a steady rate until it is told to stop, and tells each second how it went. */
import type { Endpoint } from '../../../shared/endpoint.ts';
import { loadSystemCalls } from '../../../server/udp/batched/system-calls.ts';
import { type AskCounts, Asker, BATCH } from './ask.ts';

/** What it is told first. Then `stop` is all that it hears. */
export interface LoadTask {
  readonly endpoints: readonly Endpoint[];
  /** Requests a second. */
  readonly rate: number;
}

/** Counts since the start; latencies of the last second, in milliseconds. */
export interface LoadSecond extends AskCounts {
  readonly kind: 'second' | 'end';
  readonly seconds: number;
  readonly drops: number;
  /** Requests that were due and not asked, since this program had been held up. */
  readonly skipped: number;
  readonly p50: number;
  readonly p99: number;
  readonly firstWrong: string | undefined;
}

const SOCKETS = 16;
/** Turns of asking and hearing last so long; then messages of the parent are read. */
const SLICE_MS = 20;
/** Who was held up for longer doesn't make up for it: that would be a flood, and no steady rate. */
const MOST_BEHIND_MS = 10;
/** Answers that are still under way at the end come within this. */
const LINGER_MS = 2000;
/** By 10 µs, up to 200 ms. */
const BUCKET_MS = 0.01;
const BUCKETS = 20_000;

const calls = await loadSystemCalls();
const latencies = new Uint32Array(BUCKETS);
let stopping = false;

process.once('message', ({ endpoints, rate }: LoadTask) => {
  const asker = new Asker(calls, endpoints, SOCKETS);
  asker.learn();
  process.on('message', () => (stopping = true));
  process.on('disconnect', () => process.exit(1));
  keepAsking(asker, rate);
});

function keepAsking(asker: Asker, rate: number): void {
  const startedAt = performance.now();
  let due = 0;
  let done = 0;
  let skipped = 0;
  let nextSecond = 1;
  // A whole batch, or what a millisecond brings.
  const least = Math.max(1, Math.min(BATCH, Math.floor(rate / 1000)));
  const turn = (): void => {
    const until = performance.now() + SLICE_MS;
    for (let now = performance.now(); now < until; now = performance.now()) {
      due = Math.floor(((now - startedAt) / 1000) * rate);
      const behind = due - done - Math.max(BATCH, (rate * MOST_BEHIND_MS) / 1000);
      if (behind > 0) {
        skipped += Math.ceil(behind);
        done += Math.ceil(behind);
      }
      for (let left = due - done; left >= least; left = due - done) {
        const count = Math.min(left, BATCH);
        asker.ask(count, performance.now());
        done += count;
      }
      asker.hear(1, countLatency);
      const seconds = (now - startedAt) / 1000;
      if (seconds < nextSecond) continue;
      tell(asker, 'second', seconds, skipped);
      nextSecond = Math.floor(seconds) + 1;
    }
    if (!stopping) setImmediate(turn);
    else {
      const end = performance.now() + LINGER_MS;
      while (performance.now() < end) asker.hear(10, countLatency);
      asker.giveUp();
      tell(asker, 'end', (end - LINGER_MS - startedAt) / 1000, skipped);
      asker.close();
      process.disconnect();
    }
  };
  turn();
}

function tell(asker: Asker, kind: LoadSecond['kind'], seconds: number, skipped: number): void {
  process.send!({
    kind,
    seconds,
    ...asker.counts,
    drops: asker.drops(),
    skipped,
    p50: percentile(0.5),
    p99: percentile(0.99),
    firstWrong: asker.firstWrong,
  } satisfies LoadSecond);
  latencies.fill(0);
}

function countLatency(tookMs: number): void {
  latencies[Math.min(BUCKETS - 1, Math.floor(tookMs / BUCKET_MS))]!++;
}

function percentile(share: number): number {
  const all = latencies.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  const bucket = latencies.findIndex((count) => (seen += count) >= share * all && seen > 0);
  return (Math.max(0, bucket) + 0.5) * BUCKET_MS;
}
