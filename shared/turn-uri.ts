import type { HostPort } from './endpoint.ts';

/** Where a TURN server is, and how it is spoken to (RFC 7065). */
export interface TurnUri extends HostPort {
  /** Over TLS, or DTLS. */
  readonly isSecure: boolean;
  readonly transport: 'udp' | 'tcp';
}

/** RFC 7065 §3.1. */
const TURN_URI =
  /^(turns?):(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}[a-z0-9])?)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?$/i;

/** Undefined for what is none. */
export function parseTurnUri(text: string): TurnUri | undefined {
  const [, scheme, host, port, transport] = TURN_URI.exec(text) ?? [];
  if (scheme === undefined || host === undefined) return undefined;
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return undefined;
  const isSecure = scheme.toLowerCase() === 'turns';
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? undefined : Number(port),
    isSecure,
    transport: transport?.toLowerCase() === 'tcp' || (isSecure && transport === undefined) ? 'tcp' : 'udp',
  };
}
