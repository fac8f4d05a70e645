import { type ErrorCode, NatprobeError } from '../shared/errors.ts';

/** The flags that an endpoint comes from: one for its address, one for its port. */
export interface BindPlace {
  readonly addressFlag: string;
  readonly portFlag: string;
  /** `UDP 192.0.2.1:3478`. */
  readonly endpoint: string;
}

/** What the system said when a socket was bound, as an error for a person. */
export function bindError(error: unknown, place: BindPlace): NatprobeError {
  const code = systemErrorCode(error);
  const [catalogued, flag] = BIND_ERRORS[code ?? ''] ?? (['ERR_SOCKET', 'portFlag'] as const);
  const detail = `${place.endpoint}${catalogued === 'ERR_SOCKET' ? `: ${code ?? String(error)}` : ''}`;
  return new NatprobeError(catalogued, place[flag], detail, { cause: error });
}

export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

const BIND_ERRORS: Readonly<Partial<Record<string, readonly [ErrorCode, 'addressFlag' | 'portFlag']>>> = {
  EADDRINUSE: ['ERR_PORT_IN_USE', 'portFlag'],
  EACCES: ['ERR_PORT_FORBIDDEN', 'portFlag'],
  EADDRNOTAVAIL: ['ERR_ADDRESS_NOT_LOCAL', 'addressFlag'],
  // No such family on this machine.
  EAFNOSUPPORT: ['ERR_ADDRESS_NOT_LOCAL', 'addressFlag'],
  ENOTFOUND: ['ERR_ADDRESS_NOT_LOCAL', 'addressFlag'],
};
