import { readFileSync } from 'node:fs';
import { NatprobeError } from '../../shared/errors.ts';

/** Where a secret may come from. On a command line everybody on the machine can read it, in a shell's history too. */
export interface SecretSources {
  /** The option that names a file, for errors: `--psk-file`. */
  readonly fileFlag: string;
  readonly file: string | undefined;
  /** The option that gives the secret itself, where there is one. */
  readonly flag?: string;
  readonly given?: string | undefined;
  readonly variable: string;
}

/**
 * A secret from the command line or from the first line of a file, else from the environment; undefined
 * where none is given. Throws ERR_FLAGS for two at once, ERR_SECRET for one that can't be read. What is
 * secret is never repeated.
 */
export function readSecret(sources: SecretSources, env: NodeJS.ProcessEnv): string | undefined {
  const { fileFlag, file, flag, given, variable } = sources;
  if (file !== undefined && given !== undefined)
    throw new NatprobeError('ERR_FLAGS', `${flag ?? variable} and ${fileFlag}`, 'give one of them');
  if (given !== undefined) return checkSecret(given, flag ?? variable);
  if (file !== undefined) return checkSecret(readFirstLine(file, fileFlag), fileFlag);
  const fromEnvironment = env[variable];
  // An empty variable is one that was switched off, as everywhere here.
  return fromEnvironment === undefined || fromEnvironment === '' ? undefined : fromEnvironment;
}

function readFirstLine(file: string, place: string): string {
  try {
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0]!;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new NatprobeError('ERR_SECRET', place, code, { cause: error });
  }
}

function checkSecret(secret: string, place: string): string {
  if (secret === '') throw new NatprobeError('ERR_SECRET', place, 'it is empty');
  return secret;
}
