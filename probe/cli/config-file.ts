import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseHostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { messageOf } from '../../shared/thrown.ts';

/** What a configuration file may hold. `timeout` is in seconds, `server` one or several. */
export interface ConfigFile {
  readonly server?: string | readonly string[];
  readonly alt?: string;
  readonly family?: FamilyChoice;
  readonly localPort?: number;
  readonly timeout?: number;
  readonly gentle?: boolean;
  readonly color?: boolean;
}

export type FamilyChoice = 'ipv4' | 'ipv6' | 'both';

/** `$XDG_CONFIG_HOME/natprobe/config.json`, or `~/.config/natprobe/config.json`. */
export function defaultConfigPath(env: NodeJS.ProcessEnv): string {
  const base = env.XDG_CONFIG_HOME;
  // The XDG specification has relative paths ignored.
  const folder = base?.startsWith('/') === true ? base : join(homedir(), '.config');
  return join(folder, 'natprobe', 'config.json');
}

/**
 * Reads the file that was named, or else the default one if there is one.
 * Throws ERR_CONFIG_FILE naming the file, and the key where one is wrong.
 */
export function readConfigFile(named: string | undefined, env: NodeJS.ProcessEnv): ConfigFile {
  const path = named ?? defaultConfigPath(env);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    if (named === undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return {};
    throw new NatprobeError('ERR_CONFIG_FILE', path, code, { cause: error });
  }
  return checkConfig(parseJson(text, path), path);
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const detail = messageOf(error);
    throw new NatprobeError('ERR_CONFIG_FILE', path, detail, { cause: error });
  }
}

interface Check {
  readonly wanted: string;
  readonly holds: (value: unknown) => boolean;
}

const CHECKS: Readonly<Record<keyof ConfigFile, Check>> = {
  server: {
    wanted: 'HOST[:PORT], or a list of them',
    holds: (value) => isHost(value) || (Array.isArray(value) && value.length > 0 && value.every(isHost)),
  },
  alt: { wanted: 'HOST[:PORT]', holds: isHost },
  family: { wanted: '"ipv4", "ipv6" or "both"', holds: (value) => FAMILY_CHOICES.has(value) },
  localPort: {
    wanted: 'a port from 1 to 65535',
    holds: (value) => isWithin(value, 1, 65535) && Number.isInteger(value),
  },
  timeout: {
    wanted: 'seconds, above 0 and up to 3600',
    holds: (value) => isWithin(value, 0, 3600) && value !== 0,
  },
  gentle: { wanted: 'true or false', holds: (value) => typeof value === 'boolean' },
  color: { wanted: 'true or false', holds: (value) => typeof value === 'boolean' },
};

const FAMILY_CHOICES: ReadonlySet<unknown> = new Set<FamilyChoice>(['ipv4', 'ipv6', 'both']);

function checkConfig(value: unknown, path: string): ConfigFile {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new NatprobeError('ERR_CONFIG_FILE', path, 'wanted a JSON object');
  }
  for (const [key, entry] of Object.entries(value)) {
    if (!isKnownKey(key)) {
      const known = Object.keys(CHECKS).join(', ');
      throw new NatprobeError('ERR_CONFIG_FILE', path, `unknown key "${key}", known are ${known}`);
    }
    if (!CHECKS[key].holds(entry)) {
      const got = JSON.stringify(entry);
      throw new NatprobeError(
        'ERR_CONFIG_FILE',
        path,
        `key "${key}": got ${got}, wanted ${CHECKS[key].wanted}`,
      );
    }
  }
  return value;
}

function isKnownKey(key: string): key is keyof ConfigFile {
  return Object.hasOwn(CHECKS, key);
}

function isHost(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  try {
    parseHostPort(value, '');
    return true;
  } catch {
    return false;
  }
}

function isWithin(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && value >= least && value <= most;
}
