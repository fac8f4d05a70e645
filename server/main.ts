#!/usr/bin/env node
/** natprobed: reads the command line, starts the server, tells what went wrong. */
import { NatprobeError } from '../shared/errors.ts';
import { createLog, type Log, type LogSettings, readLogSettings } from './log.ts';
import { parseCommandLine } from './program.ts';

// A reader of the log that has gone away must not end the server.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const args = process.argv.slice(2);
const openLog = (settings: LogSettings): Promise<Log> =>
  createLog(
    settings,
    (line) => process.stderr.write(line),
    () => new Date(),
  );
// Of what the command line is not understood to say.
let logSettings: LogSettings = { format: args.includes('--json') ? 'json' : 'text', level: 'info' };
try {
  const line = parseCommandLine(args);
  if (line?.command === 'serve') {
    logSettings = readLogSettings(line.flags);
    const { serve } = await import('./serve.ts');
    await serve(line.flags, await openLog(logSettings));
  } else if (line?.command === 'export') {
    const { exportReports } = await import('./export.ts');
    await exportReports(line.flags, process.stdout);
  } else if (line?.command === 'top') {
    const { top } = await import('./top/top.ts');
    await top(line.flags, process);
  } else if (line?.command === 'check') {
    const { check } = await import('./check/check.ts');
    process.exitCode = await check(line.flags, process);
  }
} catch (error) {
  // All that is foreseen is in the catalogue; the rest is a bug, and shows its stack.
  if (!(error instanceof NatprobeError)) throw error;
  const log = await openLog(logSettings);
  log('error', error.message, { code: error.code });
  process.exitCode = error.exitCode;
}
