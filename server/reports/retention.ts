/** Removes what is too old, at once and then every hour. */
import type { Log } from '../log.ts';
import type { ReportStore } from './report-store.ts';

const SWEEP_EVERY_MS = 60 * 60 * 1000;

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
  readonly log: Log;
}

/** A sweep that fails is logged; the next one makes up for it. */
export function startRetention(
  store: Pick<ReportStore, 'removeBefore'>,
  { what, keepMs, now, log }: RetentionOptions,
): Retention {
  let sweeping: Promise<void> | undefined;
  const sweep = async (): Promise<void> => {
    try {
      const removed = await store.removeBefore(new Date(now() - keepMs).toISOString());
      if (removed > 0) log('info', `${what}: removed ${removed} that were too old`, { removed });
    } catch (error) {
      log('error', `${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
    sweeping = undefined;
  };
  const begin = (): void => {
    sweeping ??= sweep();
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
