/** What natprobed is told about who may ask over HTTP, and how often: flags in, settings out. Pure. */
import { NatprobeError } from '../../shared/errors.ts';
import { createRangeCheck, type RangeCheck } from './address-ranges.ts';
import {
  DEFAULT_LOGGED_ADDRESSES,
  DEFAULT_POST_RATE,
  DEFAULT_READ_RATE,
  LOGGED_ADDRESSES,
  type LoggedAddresses,
} from './defaults.ts';

/** As typed. */
export interface AccessFlags {
  /** Origins, or `*`. */
  readonly cors?: readonly string[];
  /** Each a list of addresses and ranges, separated by commas. */
  readonly trustProxy?: readonly string[];
  /** False for no limits. */
  readonly rateLimit?: string | false;
  readonly readRateLimit?: string;
  readonly tokenFile?: string;
  readonly metricsPublic?: boolean;
  readonly logAddresses?: string;
}

/** Requests a minute from one client. */
export interface RateLimits {
  readonly post: number;
  readonly read: number;
}

export interface AccessSettings {
  /** Origins whose pages may ask; `*` for all. */
  readonly corsOrigins: readonly string[];
  /** Whether what this address says of its client is believed; undefined: nobody is. */
  readonly isTrustedProxy?: RangeCheck;
  readonly rateLimits?: RateLimits;
  readonly tokenFile?: string;
  readonly metricsPublic: boolean;
  readonly loggedAddresses: LoggedAddresses;
}

/** Throws ERR_ORIGIN, ERR_RANGE, ERR_NUMBER, ERR_FLAGS or ERR_USAGE. */
export function readAccessSettings(flags: AccessFlags): AccessSettings {
  const { cors = [], trustProxy = [], rateLimit, logAddresses = DEFAULT_LOGGED_ADDRESSES } = flags;
  const loggedAddresses = LOGGED_ADDRESSES.find((item) => item === logAddresses);
  if (loggedAddresses === undefined) {
    const detail = `got ${JSON.stringify(logAddresses)}; it takes ${LOGGED_ADDRESSES.join(', ')}`;
    throw new NatprobeError('ERR_USAGE', '--log-addresses', detail);
  }
  const read = readRate(flags.readRateLimit, '--read-rate-limit') ?? DEFAULT_READ_RATE;
  if (rateLimit === false && flags.readRateLimit !== undefined) {
    throw new NatprobeError('ERR_FLAGS', '--read-rate-limit', 'not with --no-rate-limit');
  }
  const post = rateLimit === false ? undefined : (readRate(rateLimit, '--rate-limit') ?? DEFAULT_POST_RATE);
  return {
    corsOrigins: cors.map(readOrigin),
    ...(trustProxy.length > 0 && { isTrustedProxy: readProxies(trustProxy) }),
    ...(post !== undefined && { rateLimits: { post, read } }),
    ...(flags.tokenFile !== undefined && { tokenFile: flags.tokenFile }),
    metricsPublic: flags.metricsPublic ?? false,
    loggedAddresses,
  };
}

/** As a browser sends it: scheme, host and port, and no more. */
function readOrigin(text: string): string {
  if (text === '*') return text;
  const origin = URL.canParse(text) ? new URL(text).origin : undefined;
  if (origin === undefined || origin === 'null' || origin !== text.replace(/\/$/, '').toLowerCase()) {
    throw new NatprobeError('ERR_ORIGIN', '--cors', `got ${JSON.stringify(text)}`);
  }
  return origin;
}

function readProxies(texts: readonly string[]): RangeCheck {
  const ranges = texts.flatMap((text) => text.split(',').map((range) => range.trim()));
  return createRangeCheck(ranges, '--trust-proxy');
}

const HIGHEST_RATE = 1_000_000;

function readRate(text: string | undefined, place: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,7}$/.test(text) || Number(text) < 1 || Number(text) > HIGHEST_RATE) {
    const detail = `got ${JSON.stringify(text)}; it takes requests a minute, from 1 to ${HIGHEST_RATE}`;
    throw new NatprobeError('ERR_NUMBER', place, detail);
  }
  return Number(text);
}
