import { BROKER_ERRORS } from './errors/broker.ts';
import { HOLE_ERRORS } from './errors/hole.ts';
import { HTTP_ERRORS } from './errors/http.ts';
import { PROBE_ERRORS } from './errors/probe.ts';
import { SERVER_ERRORS } from './errors/server.ts';
import { USAGE_ERRORS } from './errors/usage.ts';

/**
 * The one catalogue of errors that a person meets: what went wrong and what to change.
 * `exitCode` is what a command ends with (DESIGN.md's list: 1 inconclusive, 2 usage, 3 unreachable).
 */
export const ERROR_CATALOGUE = {
  ...USAGE_ERRORS,
  ...PROBE_ERRORS,
  ...SERVER_ERRORS,
  ...HTTP_ERRORS,
  ...BROKER_ERRORS,
  ...HOLE_ERRORS,
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** An error for a person: a catalogued code, the place it concerns (a flag, a file) and a detail. */
export class NatprobeError extends Error {
  readonly code: ErrorCode;
  readonly place: string;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, place: string, detail?: string, options?: ErrorOptions) {
    const entry = ERROR_CATALOGUE[code];
    super(
      `${place}: ${entry.problem}${detail === undefined ? '' : ` (${detail})`}; ${entry.remedy}`,
      options,
    );
    this.name = 'NatprobeError';
    this.code = code;
    this.place = place;
    this.detail = detail;
  }

  get exitCode(): number {
    return ERROR_CATALOGUE[this.code].exitCode;
  }
}
