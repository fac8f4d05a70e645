/** Removes what is too old, at once and then every hour. */
import { messageOf } from '../../shared/thrown.ts';
import type { Log } from '../log.ts';
import type { ReportStore } from './report-store.ts';

const SWEEP_EVERY_MS = 60 * 60 * 1000;
/** No correction by NTP is as large; a clock that was set wrong is. */
const MOST_CORRECTION_MS = 10 * 60 * 1000;

export interface Retention {
  /** Resolves once no sweep is under way any more. */
  stop(): Promise<void>;
}

export interface RetentionOptions {
  /** What the log calls it. */
  readonly what: string;
  readonly keepMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds of a clock that nobody sets. */
  readonly monotonicNow: () => number;
  readonly log: Log;
}

/**
 * A sweep that fails is logged; the next one makes up for it. One before which the clock was put forward
 * removes nothing: a wrong clock would cost what is not old at all. Once it has gone on from there for an hour it is believed.
 */
export function startRetention(
  store: Pick<ReportStore, 'removeBefore'>,
  { what, keepMs, now, monotonicNow, log }: RetentionOptions,
): Retention {
  let sweeping: Promise<void> | undefined;
  // What the clock shows when the other one is at 0, as of the last sweep.
  let originMs: number | undefined;
  const forwardMs = (at: number): number => {
    const before = originMs;
    originMs = at - monotonicNow();
    return before === undefined ? 0 : originMs - before;
  };
  const sweep = async (): Promise<void> => {
    const at = now();
    const jumpMs = forwardMs(at);
    try {
      if (jumpMs > MOST_CORRECTION_MS) {
        const minutes = Math.round(jumpMs / 60_000);
        log('warning', `${what}: the clock was put forward by ${minutes} minutes; none is removed this hour`);
        return;
      }
      const removed = await store.removeBefore(new Date(at - keepMs).toISOString());
      if (removed > 0) log('info', `${what}: removed ${removed} that were too old`, { removed });
    } catch (error) {
      log('error', `${what}: ${messageOf(error)}`);
    }
  };
  const begin = (): void => {
    sweeping ??= sweep().finally(() => (sweeping = undefined));
  };
  begin();
  const timer = setInterval(begin, SWEEP_EVERY_MS).unref();
  return {
    async stop() {
      clearInterval(timer);
      await sweeping;
    },
  };
}
