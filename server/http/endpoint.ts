/** Where HTTP listens, and where clients are told that it is. Pure. */
import { DEFAULT_HTTP_PORT } from '../../shared/default-ports.ts';
import { parseHostPort } from '../../shared/endpoint.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import { DEFAULT_HTTP_HOST } from '../default-http.ts';
import { isLoopback } from '../local-addresses.ts';

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
 * without --public-url it is given only if HTTP is on the STUN addresses. Throws ERR_URL.
 */
export function readService({ publicUrl, http, scheme, addresses }: ServiceSources): Service | undefined {
  if (publicUrl !== undefined) return serviceOfUrl(publicUrl);
  if (http === undefined) return undefined;
  const { host, port } = http;
  const sharesHost =
    host === '0.0.0.0' ||
    host === '::' ||
    addresses.includes(host) ||
    (isLoopback(host) && addresses.every(isLoopback));
  return sharesHost ? { scheme, port } : undefined;
}

function serviceOfUrl(text: string): Service {
  const url = parseHttpUrl(text, '--public-url');
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return { scheme, port: url.port === '' ? (scheme === 'http' ? 80 : 443) : Number(url.port) };
}
