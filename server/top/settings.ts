/** What `natprobed top` is told, checked: flags and environment in, settings out. */
import { DEFAULT_HTTP_PORT } from '../../shared/default-ports.ts';
import { formatEndpoint, parseHostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import { askableHost, DEFAULT_HTTP_HOST } from '../default-http.ts';
import { openTokens } from '../http/tokens.ts';
import { DEFAULT_INTERVAL_SECONDS } from './defaults.ts';

/** As typed. */
export interface TopFlags {
  /** HOST[:PORT] or URL. */
  readonly http?: string;
  readonly tokenFile?: string;
  /** Seconds. */
  readonly interval?: string;
  readonly once?: boolean;
  readonly json?: boolean;
  /** False where it was switched off. */
  readonly color?: boolean;
}

export interface TopSettings {
  /** Of the HTTP side; its path ends in a slash. */
  readonly url: URL;
  readonly token: string | undefined;
  readonly intervalMs: number;
  readonly once: boolean;
  readonly json: boolean;
  readonly isColourAllowed: boolean;
}

/** More often than that, from elsewhere, a server may limit. */
const SHORTEST_SECONDS = 0.2;
const LONGEST_SECONDS = 3600;

/** Throws ERR_ENDPOINT, ERR_PORT, ERR_URL, ERR_NUMBER or ERR_TOKENS. */
export function readTopSettings(flags: TopFlags, env: NodeJS.ProcessEnv): TopSettings {
  const { http, tokenFile, interval, once = false, json = false, color = true } = flags;
  // A file that was named is meant.
  const [token] = openTokens(tokenFile, tokenFile === undefined ? env['NATPROBED_TOKENS'] : '').filter(
    (item) => item !== '',
  );
  return {
    url: readUrl(http),
    token,
    intervalMs: readInterval(interval),
    once,
    json,
    isColourAllowed: color,
  };
}

function readUrl(text: string | undefined): URL {
  if (text?.includes('://') === true) return parseHttpUrl(text, '--http');
  const { host, port } =
    text === undefined ? { host: DEFAULT_HTTP_HOST, port: undefined } : parseHostPort(text, '--http');
  return new URL(
    `http://${formatEndpoint({ address: askableHost(host), port: port ?? DEFAULT_HTTP_PORT })}/`,
  );
}

function readInterval(text: string | undefined): number {
  if (text === undefined) return 1000 * DEFAULT_INTERVAL_SECONDS;
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds < SHORTEST_SECONDS || seconds > LONGEST_SECONDS) {
    const detail = `got ${JSON.stringify(text)}; it takes seconds, from ${SHORTEST_SECONDS} to ${LONGEST_SECONDS}`;
    throw new NatprobeError('ERR_NUMBER', '--interval', detail);
  }
  return 1000 * seconds;
}
