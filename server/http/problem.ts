/** Errors over HTTP: problem documents (RFC 9457) with a code from the one catalogue. */
import { STATUS_CODES } from 'node:http';
import Type from 'typebox';
import { ERROR_CATALOGUE, type ErrorCode, type NatprobeError } from '../../shared/errors.ts';

/** `type` is about:blank, so the title is the status's own; programs go by `code`. */
export const Problem = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable: ERR_FIELD, ERR_NO_REPORT, …' }),
    detail: Type.String({ description: 'What is wrong, for people' }),
    remedy: Type.String({ description: 'What to change' }),
    field: Type.Optional(
      Type.String({ description: 'Which part of the request is meant: a JSON pointer into it (RFC 6901)' }),
    ),
  },
  { title: 'Problem', description: 'What went wrong (RFC 9457)' },
);
export type Problem = Type.Static<typeof Problem>;

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** The codes that HTTP answers with, and the status of each. Other errors of the catalogue are never a client's. */
export const PROBLEM_STATUS = {
  ERR_REQUEST: 400,
  ERR_JSON: 400,
  ERR_FIELD: 400,
  ERR_BEHAVIOUR: 400,
  ERR_PAGE: 400,
  ERR_TIME: 400,
  ERR_OFFER: 400,
  ERR_TOKEN: 401,
  ERR_NOT_FOUND: 404,
  ERR_NO_REPORT: 404,
  ERR_NO_BROWSER_SESSION: 404,
  ERR_METHOD: 405,
  ERR_NONCE_USED: 409,
  ERR_BODY_TOO_LARGE: 413,
  ERR_MEDIA_TYPE: 415,
  ERR_EVIDENCE: 422,
  ERR_TOO_MANY_REQUESTS: 429,
  ERR_BROWSER_SESSIONS: 429,
  ERR_INTERNAL: 500,
  ERR_NOT_READY: 503,
  ERR_STORE: 503,
} as const satisfies Partial<Record<ErrorCode, number>>;
export type ProblemCode = keyof typeof PROBLEM_STATUS;

export interface ProblemOptions {
  readonly field?: string;
  /** Where one code has several statuses: those that HTTP itself has for a bad request. */
  readonly status?: number;
}

export function problem(code: ProblemCode, detail?: string, options: ProblemOptions = {}): Problem {
  const entry = ERROR_CATALOGUE[code];
  const status = options.status ?? PROBLEM_STATUS[code];
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code,
    detail: detail === undefined ? entry.problem : `${entry.problem}: ${detail}`,
    remedy: entry.remedy,
    ...(options.field !== undefined && { field: options.field }),
  };
}

/** An error to answer with, thrown by a route. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(code: ProblemCode, detail?: string, options?: ProblemOptions) {
    super(detail ?? ERROR_CATALOGUE[code].problem);
    this.name = 'ProblemError';
    this.problem = problem(code, detail, options);
  }
}

/** As a problem, if the error is one that HTTP answers with. */
export function problemOfError({ code, place, detail }: NatprobeError): Problem | undefined {
  if (!isProblemCode(code)) return undefined;
  // What went wrong inside is nobody else's business.
  if (PROBLEM_STATUS[code] >= 500) return problem(code);
  return problem(code, detail, { field: `/${place}` });
}

function isProblemCode(code: ErrorCode): code is ProblemCode {
  return code in PROBLEM_STATUS;
}

/** For a route's schema: the statuses that it may answer with besides its own. */
export function problemResponses(...statuses: number[]): Record<number, object> {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      { description: STATUS_CODES[status]!, content: { [PROBLEM_CONTENT_TYPE]: { schema: Problem } } },
    ]),
  );
}
