/** Where the keys of witnesses come from: made at the start and changed every hour, or a file that servers share. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { NatprobeError } from '../shared/errors.ts';
import type { Log } from './log.ts';
import { WITNESS_SECRET_BYTES, WitnessKeys, type WitnessKey, witnessKeyOf } from './witness/witness-keys.ts';

/** Far longer than a witness is good, so that the key before the current one covers all that are. */
const ROTATION_MS = 3_600_000;
/** How soon a changed file is noticed. */
const RELOAD_MS = 30_000;

export interface WitnessKeySource {
  readonly keys: WitnessKeys;
  /** Changes no key any more. */
  readonly close: () => Promise<void>;
}

/**
 * The keys in `file`, one a line in hexadecimal, of which the first makes witnesses and all check; read
 * again every now and then, and if it can't be used then, the keys stay as they are. Without a file the
 * keys are this process's own. Throws ERR_WITNESS_KEYS.
 */
export function openWitnessKeys(file: string | undefined, log: Log): WitnessKeySource {
  return file === undefined ? rotateOwnKeys() : followFile(file, log);
}

function rotateOwnKeys(): WitnessKeySource {
  const create = (): WitnessKey => witnessKeyOf(randomBytes(WITNESS_SECRET_BYTES));
  const keys = new WitnessKeys(create());
  return { keys, close: repeat(ROTATION_MS, () => keys.rotate(create())) };
}

function followFile(file: string, log: Log): WitnessKeySource {
  const keys = new WitnessKeys(...readKeyFile(file));
  let told = '';
  const close = repeat(RELOAD_MS, () => {
    try {
      keys.replace(...readKeyFile(file));
      told = '';
    } catch (error) {
      if (!(error instanceof NatprobeError)) throw error;
      if (error.message !== told) log('warning', `the witness keys stay as they were: ${error.message}`);
      told = error.message;
    }
  });
  return { keys, close };
}

/** Throws ERR_WITNESS_KEYS. */
export function readKeyFile(file: string): [WitnessKey, ...WitnessKey[]] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new NatprobeError('ERR_WITNESS_KEYS', '--witness-key-file', code, { cause: error });
  }
  const [first, ...others] = text.split('\n').flatMap((line, index) => readKeyLine(line.trim(), index + 1));
  if (first === undefined) throw new NatprobeError('ERR_WITNESS_KEYS', '--witness-key-file', 'it is empty');
  return [first, ...others];
}

/** None for an empty line and a comment. */
function readKeyLine(line: string, number: number): WitnessKey[] {
  if (line === '' || line.startsWith('#')) return [];
  // What stands there is a secret, or meant for one: it is not repeated.
  if (!/^[0-9a-fA-F]{64}$/.test(line)) {
    throw new NatprobeError('ERR_WITNESS_KEYS', '--witness-key-file', `line ${number} is no key`);
  }
  return [witnessKeyOf(Buffer.from(line, 'hex'))];
}

function repeat(intervalMs: number, action: () => void): () => Promise<void> {
  const timer = setInterval(action, intervalMs);
  // It keeps no process alive.
  timer.unref();
  return () => {
    clearInterval(timer);
    return Promise.resolve();
  };
}
