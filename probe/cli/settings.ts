import { parseHostPort, type Family } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { ConfigFile } from './config-file.ts';

/** As commander hands them over; what wasn't given is absent (but `color`, which is then true). */
export interface OutputFlags {
  readonly json?: boolean;
  readonly color: boolean;
}

/** Those of the commands that ask servers. */
export interface Flags extends OutputFlags {
  readonly server?: readonly string[];
  readonly alt?: string;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly localPort?: number;
  readonly timeout?: number;
  readonly gentle?: boolean;
  readonly full?: boolean;
  readonly hairpin?: boolean;
  readonly also?: string;
  readonly mapPort?: number;
  readonly keep?: boolean;
  readonly report?: boolean;
  readonly api?: string;
  readonly peerReport?: string;
  readonly verbose?: boolean;
  readonly config?: string;
}

/** Those of `natprobe watch`. */
export interface WatchFlags extends Flags {
  readonly every?: number;
  readonly count?: number;
}

/** Those of `natprobe lifetime`. */
export interface LifetimeFlags extends Flags {
  readonly max?: number;
  readonly resolution?: number;
}

/** What a run goes by. */
export interface Settings {
  readonly servers: readonly string[];
  readonly serversFrom: ServerSource;
  readonly alternate?: string;
  readonly families: readonly Family[];
  readonly localPort?: number;
  readonly timeoutMs?: number;
  readonly gentle: boolean;
  readonly full: boolean;
  readonly hairpin: boolean;
  readonly also?: string;
  readonly mapPort?: number;
  readonly keepMapping: boolean;
  readonly report: boolean;
  /** The address of the HTTP API, if not the one that the server names. */
  readonly api?: string;
  readonly json: boolean;
  readonly verbose: boolean;
  /** False if a flag or the file says no; else the terminal decides. */
  readonly color: boolean;
}

export type ServerSource = 'flag' | 'environment' | 'file' | 'default list';

/**
 * Settles each setting: flag over environment over file over default.
 * Throws ERR_FLAGS for flags that exclude each other, ERR_ENDPOINT for a bad NATPROBE_SERVER.
 */
export function settle(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  file: ConfigFile,
  defaultServers: readonly string[],
): Settings {
  if (flags.ipv4 === true && flags.ipv6 === true) {
    throw new NatprobeError('ERR_FLAGS', '-4 and -6', 'leave both out to test both families');
  }
  if (flags.keep === true && flags.mapPort === undefined) {
    throw new NatprobeError('ERR_FLAGS', '--keep', 'it keeps the mapping of --map-port, and none is given');
  }
  if (flags.api !== undefined && flags.report !== true && flags.peerReport === undefined) {
    throw new NatprobeError(
      'ERR_FLAGS',
      '--api',
      'it is where --report sends the report, and that is not given',
    );
  }
  const chosen = chooseServers(flags, env, file, defaultServers);
  const alternate = flags.alt ?? (chosen.serversFrom === 'file' ? file.alt : undefined);
  if (flags.alt !== undefined && chosen.serversFrom === 'default list') {
    throw new NatprobeError('ERR_FLAGS', '--alt', 'it is the other address of a --server, and none is given');
  }
  const localPort = flags.localPort ?? file.localPort;
  const timeout = flags.timeout ?? file.timeout;
  return {
    ...chosen,
    ...(alternate !== undefined && { alternate }),
    families: chooseFamilies(flags, file),
    ...(localPort !== undefined && { localPort }),
    ...(timeout !== undefined && { timeoutMs: timeout * 1000 }),
    gentle: flags.gentle ?? file.gentle ?? false,
    full: flags.full ?? false,
    hairpin: flags.hairpin ?? false,
    ...(flags.also !== undefined && { also: flags.also }),
    ...(flags.mapPort !== undefined && { mapPort: flags.mapPort }),
    keepMapping: flags.keep ?? false,
    report: flags.report ?? false,
    ...(flags.api !== undefined && { api: flags.api }),
    json: flags.json ?? false,
    verbose: flags.verbose ?? false,
    color: flags.color && (file.color ?? true),
  };
}

function chooseServers(
  flags: Flags,
  env: NodeJS.ProcessEnv,
  file: ConfigFile,
  defaultServers: readonly string[],
): Pick<Settings, 'servers' | 'serversFrom'> {
  if (flags.server !== undefined) return { servers: flags.server, serversFrom: 'flag' };
  const fromEnv = (env.NATPROBE_SERVER ?? '')
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  if (fromEnv.length > 0) {
    for (const text of fromEnv) parseHostPort(text, 'NATPROBE_SERVER');
    return { servers: fromEnv, serversFrom: 'environment' };
  }
  if (file.server !== undefined) {
    return { servers: typeof file.server === 'string' ? [file.server] : file.server, serversFrom: 'file' };
  }
  return { servers: defaultServers, serversFrom: 'default list' };
}

function chooseFamilies(flags: Flags, file: ConfigFile): readonly Family[] {
  if (flags.ipv4 === true) return ['ipv4'];
  if (flags.ipv6 === true) return ['ipv6'];
  if (file.family === 'ipv4' || file.family === 'ipv6') return [file.family];
  return ['ipv4', 'ipv6'];
}
