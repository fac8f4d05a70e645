import { formatIpv4, formatIpv6, parseIpAddress } from './address.ts';
import { NatprobeError } from './errors.ts';

export type Family = 'ipv4' | 'ipv6';

/** A transport address. `address` is canonical text (dotted quad, or RFC 5952 without a zone). */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** A host as a person typed it: a name or an address, and the port if one was given. */
export interface HostPort {
  readonly host: string;
  readonly port: number | undefined;
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}

/** `192.0.2.1:3478`, `[2001:db8::1]:3478`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.address.includes(':')
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** Canonical text of an IP address, or undefined if it is none. Accepts any RFC 4291 spelling. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseIpAddress(text);
  if (bytes === undefined) return undefined;
  return bytes.length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
}

/**
 * Reads `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` or a bare IPv6 address.
 * Throws ERR_ENDPOINT naming `place` (the flag or field it was given in).
 */
export function parseHostPort(text: string, place: string): HostPort {
  // Of a URL the part behind the colon would be taken for a port.
  if (text.includes('/')) throw endpointError(text, place);
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text);
  if (bracketed) {
    const address = canonicalAddress(bracketed[1]!);
    if (address === undefined || !address.includes(':')) throw endpointError(text, place);
    return { host: address, port: bracketed[2] === undefined ? undefined : parsePort(bracketed[2], place) };
  }
  const colons = text.split(':').length - 1;
  if (colons > 1) {
    const address = canonicalAddress(text);
    if (address === undefined) throw endpointError(text, place);
    return { host: address, port: undefined };
  }
  const [host = '', port] = text.split(':');
  if (/^[\d.]+$/.test(host)) {
    const address = canonicalAddress(host);
    if (address === undefined) throw endpointError(text, place);
    return { host: address, port: port === undefined ? undefined : parsePort(port, place) };
  }
  if (!/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$/.test(host)) throw endpointError(text, place);
  return { host, port: port === undefined ? undefined : parsePort(port, place) };
}

/** Reads `ADDRESS:PORT` or `[V6]:PORT`; both are required. Throws ERR_ENDPOINT. */
export function parseEndpoint(text: string, place: string): Endpoint {
  const { host, port } = parseHostPort(text, place);
  const address = canonicalAddress(host);
  if (address === undefined || port === undefined) throw endpointError(text, place);
  return { address, port };
}

/** A port from 1 to 65535. Throws ERR_PORT naming `place`. */
export function parsePort(text: string, place: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new NatprobeError('ERR_PORT', place, `got ${JSON.stringify(text)}`);
  return port;
}

function endpointError(text: string, place: string): NatprobeError {
  return new NatprobeError('ERR_ENDPOINT', place, `got ${JSON.stringify(text)}`);
}
