/** The log: lines for people, or NDJSON by pino for programs. */
import { NatprobeError } from '../shared/errors.ts';

export const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const DEFAULT_LOG_LEVEL: LogLevel = 'info';

export const LOG_FORMATS = ['text', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** Tells an operator something; `fields` are for programs that read the log. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

export interface LogSettings {
  readonly format: LogFormat;
  /** What is below it is left out. */
  readonly level: LogLevel;
}

/** As typed. */
export interface LogFlags {
  readonly json?: boolean;
  readonly logFormat?: string;
  readonly logLevel?: string;
}

/** Throws ERR_USAGE. */
export function readLogSettings({
  json = false,
  logFormat,
  logLevel = DEFAULT_LOG_LEVEL,
}: LogFlags): LogSettings {
  return {
    format:
      logFormat === undefined ? (json ? 'json' : 'text') : readChoice(logFormat, LOG_FORMATS, '--log-format'),
    level: readChoice(logLevel, LOG_LEVELS, '--log-level'),
  };
}

/** Each line is handed to `write`, with its end. */
export async function createLog(
  settings: LogSettings,
  write: (line: string) => void,
  now: () => Date,
): Promise<Log> {
  if (settings.format === 'text') return createTextLog(settings.level, write);
  // Loaded late: who reads lines needs no pino.
  const { createJsonLog } = await import('./json-log.ts');
  return createJsonLog(settings.level, write, now);
}

export const SILENT_LOG: Log = () => undefined;

function createTextLog(lowest: LogLevel, write: (line: string) => void): Log {
  const rank = LOG_LEVELS.indexOf(lowest);
  return (level, message) => {
    if (LOG_LEVELS.indexOf(level) < rank) return;
    const isPlain = level === 'info' || level === 'debug';
    write(isPlain ? `natprobed: ${message}\n` : `natprobed: ${level}: ${message}\n`);
  };
}

function readChoice<Choice extends string>(text: string, choices: readonly Choice[], flag: string): Choice {
  const choice = choices.find((item) => item === text);
  if (choice !== undefined) return choice;
  const detail = `got ${JSON.stringify(text)}; it takes ${choices.join(', ')}`;
  throw new NatprobeError('ERR_USAGE', flag, detail);
}
