export type LogLevel = 'info' | 'warning' | 'error';

/** Tells an operator something; `fields` are for programs that read the log. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Lines for people, or NDJSON, each a line handed to `write`. */
export function createLog(json: boolean, write: (line: string) => void, now: () => Date): Log {
  if (json) {
    return (level, message, fields) =>
      write(JSON.stringify({ time: now().toISOString(), level, message, ...fields }));
  }
  return (level, message) =>
    write(level === 'info' ? `natprobed: ${message}` : `natprobed: ${level}: ${message}`);
}

export const SILENT_LOG: Log = () => undefined;
