#!/usr/bin/env node
/** natprobed: reads the command line, starts the server, tells what went wrong. */
import { NatprobeError } from '../shared/errors.ts';
import { createLog } from './log.ts';
import { parseCommandLine } from './program.ts';

// A reader of the log that has gone away must not end the server.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

const args = process.argv.slice(2);
const json = args.includes('--json');
const log = createLog(
  json,
  (line) => process.stderr.write(`${line}\n`),
  () => new Date(),
);
try {
  const line = parseCommandLine(args);
  if (line?.command === 'serve') {
    const { serve } = await import('./serve.ts');
    await serve(line.flags, json, log);
  } else if (line?.command === 'export') {
    const { exportReports } = await import('./export.ts');
    await exportReports(line.flags, process.stdout);
  }
} catch (error) {
  // All that is foreseen is in the catalogue; the rest is a bug, and shows its stack.
  if (!(error instanceof NatprobeError)) throw error;
  log('error', error.message, { code: error.code });
  process.exitCode = error.exitCode;
}
