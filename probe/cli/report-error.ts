import { ERROR_CATALOGUE, NatprobeError, type ErrorCode } from '../../shared/errors.ts';
import { EXIT } from './exit-codes.ts';

/** What `--json` prints in place of a report. */
export interface ErrorDocument {
  readonly schema: 'natprobe/error@1';
  readonly code: ErrorCode;
  /** The option, file or host that it concerns. */
  readonly place: string;
  readonly message: string;
  readonly remedy: string;
  readonly exitCode: number;
}

/**
 * Tells a person on stderr, and a program on stdout if it asked for JSON. Returns the exit code.
 * An error that isn't in the catalogue is a bug and is thrown on, with its stack.
 */
export function reportError(error: unknown, json: boolean): number {
  if (!(error instanceof NatprobeError)) throw error;
  process.stderr.write(`natprobe: error: ${error.message}\n`);
  if (json) process.stdout.write(`${JSON.stringify(describeError(error), undefined, 2)}\n`);
  return error.code === 'ERR_ABORTED' ? EXIT.interrupted : error.exitCode;
}

function describeError(error: NatprobeError): ErrorDocument {
  return {
    schema: 'natprobe/error@1',
    code: error.code,
    place: error.place,
    message: error.message,
    remedy: ERROR_CATALOGUE[error.code].remedy,
    exitCode: error.exitCode,
  };
}
