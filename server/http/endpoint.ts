/** Where HTTP listens, and where clients are told that it is. Pure. */
import { DEFAULT_HTTP_PORT } from '../../shared/default-ports.ts';
import { canonicalAddress, familyOf, parseHostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import { DEFAULT_HTTP_HOST } from '../default-http.ts';

export interface HttpConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Asked for: then a port that is taken is an error, else it is logged and HTTP stays off. */
  readonly required: boolean;
}

/** The scheme and port of the HTTP API as clients reach it. */
export interface Service {
  readonly scheme: 'http' | 'https';
  readonly port: number;
}

/** Throws ERR_ENDPOINT or ERR_PORT. */
export function readHttp(flag: string | false | undefined): HttpConfig | undefined {
  if (flag === false) return undefined;
  if (flag === undefined) return { host: DEFAULT_HTTP_HOST, port: DEFAULT_HTTP_PORT, required: false };
  if (/^\d+$/.test(flag))
    throw new NatprobeError(
      'ERR_ENDPOINT',
      '--http',
      `${flag} is a port alone; ${DEFAULT_HTTP_HOST}:${flag}, say`,
    );
  const { host, port } = parseHostPort(flag, '--http');
  return { host, port: port ?? DEFAULT_HTTP_PORT, required: true };
}

export interface ServiceSources {
  readonly publicUrl: string | undefined;
  readonly http: HttpConfig | undefined;
  readonly scheme: Service['scheme'];
  /** Where STUN listens. */
  readonly addresses: readonly string[];
}

/**
 * What SERVICE names. It says only scheme and port, the host being the one that the client asked; so
 * without --public-url it is given only if HTTP is on one of the STUN addresses, to those who ask there:
 * isServiceAt says to whom. Throws ERR_URL.
 */
export function readService({ publicUrl, http, scheme, addresses }: ServiceSources): Service | undefined {
  if (publicUrl !== undefined) return serviceOfUrl(publicUrl);
  if (http === undefined) return undefined;
  const { host, port } = http;
  return addresses.some((address) => isReachedAt(address, host)) ? { scheme, port } : undefined;
}

export interface ServicePlace {
  readonly publicUrl?: string | undefined;
  /** Where HTTP listens, each as --http takes it; undefined where it is none of this server's. */
  readonly hosts?: readonly string[] | undefined;
}

/**
 * Whether who asks STUN at `address` finds by SERVICE what listens there, or what the public URL leads to:
 * one with an address is of that family, one with a name may be of both.
 */
export function isServiceAt(address: string, { publicUrl, hosts }: ServicePlace): boolean {
  if (publicUrl === undefined) return hosts?.some((host) => isReachedAt(address, host)) ?? true;
  const named = canonicalAddress(new URL(publicUrl).hostname.replace(/^\[|\]$/g, ''));
  return named === undefined || familyOf(named) === familyOf(address);
}

/** Whether a connection to `address` reaches a socket on `host`. */
function isReachedAt(address: string, host: string): boolean {
  // Node's sockets there take both families.
  if (host === '::') return true;
  if (host === '0.0.0.0') return familyOf(address) === 'ipv4';
  if (host === 'localhost') return LOCALHOST.includes(address);
  return canonicalAddress(host) === address;
}

/** RFC 6761 §6.3. */
const LOCALHOST: readonly string[] = ['127.0.0.1', '::1'];

function serviceOfUrl(text: string): Service {
  const url = parseHttpUrl(text, '--public-url');
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return { scheme, port: url.port === '' ? (scheme === 'http' ? 80 : 443) : Number(url.port) };
}
