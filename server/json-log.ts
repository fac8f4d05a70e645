import { pino } from 'pino';
import type { Log, LogLevel } from './log.ts';

/** Pino's numbers, by which other programs filter. */
const LEVELS: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warning: 40, error: 50 };

/** NDJSON: time, level, message, and whatever fields go with it. */
export function createJsonLog(lowest: LogLevel, write: (line: string) => void, now: () => Date): Log {
  const logger = pino<LogLevel, true>(
    {
      customLevels: LEVELS,
      useOnlyCustomLevels: true,
      level: lowest,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${now().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
    },
    { write },
  );
  return (level, message, fields) => logger[level](fields ?? {}, message);
}
