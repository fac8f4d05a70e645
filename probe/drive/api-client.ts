/** One request to a server's HTTP API, within a time and a size; whatever goes wrong is a NatprobeError. */
import { readBoundedText } from '../../shared/bounded-text.ts';
import { ERROR_CATALOGUE, type ErrorCode, NatprobeError } from '../../shared/errors.ts';
import { isHttpUrl } from '../../shared/http-url.ts';
import { plainLine } from '../../shared/words.ts';
import { systemErrorCode } from './udp.ts';

/** What a server says ends up on a terminal: a few lines of it at most. */
const LONGEST_WORDS = 300;

export interface ApiRequest {
  readonly method: 'GET' | 'POST';
  /** Below the API's address, without a slash ahead. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** For the whole exchange: 10 s if not given. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
}

const DEFAULT_TIMEOUT_MS = 10_000;
/** Whoever answers with more is no natprobed. */
const MAX_ANSWER_BYTES = 4 << 20;
const MAX_REDIRECTS = 3;
/** Those that keep the method and the body (RFC 9110 §15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([307, 308]);

/**
 * Resolves with a successful answer. Rejects with ERR_API_UNREACHABLE, with ERR_API_ANSWER for what no
 * natprobed says, with the server's own code and words for what it refuses (ERR_API_REFUSED if it names
 * none that is known here), with ERR_ABORTED if the signal says so.
 */
export async function askApi(api: URL, request: ApiRequest): Promise<ApiAnswer> {
  const timeout = AbortSignal.timeout(request.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
  let url = new URL(request.path, api);
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await send(url, request, signal);
      const target = redirectOf(response, url);
      if (target === undefined) return await readAnswer(response, url);
      if (redirects === MAX_REDIRECTS) {
        throw new NatprobeError('ERR_API_ANSWER', url.href, `more than ${MAX_REDIRECTS} redirects`);
      }
      await response.body?.cancel();
      url = target;
    }
  } catch (error) {
    if (error instanceof NatprobeError) throw error;
    if (request.signal?.aborted === true) {
      throw new NatprobeError('ERR_ABORTED', url.href, undefined, { cause: error });
    }
    const seconds = (request.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000;
    const detail = timeout.aborted ? `no answer in ${seconds} s` : failureOf(error);
    throw new NatprobeError('ERR_API_UNREACHABLE', url.href, detail, { cause: error });
  }
}

function send(url: URL, { method, body }: ApiRequest, signal: AbortSignal): Promise<Response> {
  return fetch(url, {
    method,
    redirect: 'manual',
    signal,
    headers: {
      accept: 'application/json, application/problem+json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

/**
 * Where a redirect leads that is followed: on the same host, and not from https back to http. What is
 * sent was meant for that host alone. Throws ERR_API_ANSWER for any other redirect.
 */
function redirectOf({ status, headers }: Response, from: URL): URL | undefined {
  if (status < 300 || status >= 400) return undefined;
  const location = headers.get('location') ?? '';
  const target = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isFollowed =
    REDIRECTS.has(status) &&
    target !== undefined &&
    isHttpUrl(target) &&
    target.hostname === from.hostname &&
    (target.protocol === 'https:' || from.protocol === 'http:');
  if (isFollowed) return target;
  const where = target === undefined ? 'nowhere' : target.origin;
  throw new NatprobeError('ERR_API_ANSWER', from.href, `status ${status}, a redirect to ${where}`);
}

async function readAnswer(response: Response, url: URL): Promise<ApiAnswer> {
  const { status } = response;
  const stream: AsyncIterable<Uint8Array> | undefined = response.body ?? undefined;
  const text = await readBoundedText(stream ?? [], MAX_ANSWER_BYTES);
  if (text === undefined) {
    throw new NatprobeError('ERR_API_ANSWER', url.href, `more than ${MAX_ANSWER_BYTES} bytes`);
  }
  const body = parseJson(text);
  if (status >= 200 && status < 300) {
    if (body !== undefined) return { status, body, url };
    throw new NatprobeError('ERR_API_ANSWER', url.href, `status ${status}, and no JSON`);
  }
  throw refusalOf(status, body, url);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** From a problem document (RFC 9457), or from the status alone. */
function refusalOf(status: number, body: unknown, url: URL): NatprobeError {
  const problem: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {};
  const { code, detail, title, field } = problem;
  if (typeof code === 'string' && isErrorCode(code)) {
    const known = `${ERROR_CATALOGUE[code].problem}: `;
    const words = typeof detail === 'string' ? detail : undefined;
    const own = words?.startsWith(known) === true ? words.slice(known.length) : undefined;
    const place = typeof field === 'string' ? `${url.href} ${field}` : url.href;
    return new NatprobeError(
      code,
      plainLine(place, LONGEST_WORDS),
      own === undefined ? undefined : plainLine(own, LONGEST_WORDS),
    );
  }
  const said = [detail, title].find((text) => typeof text === 'string');
  const words = typeof said === 'string' ? `: ${plainLine(said, LONGEST_WORDS)}` : '';
  return new NatprobeError('ERR_API_REFUSED', url.href, `status ${status}${words}`);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CATALOGUE, code);
}

/** fetch hides the system's error in its cause, and several of them in an AggregateError there. */
function failureOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const first = cause instanceof AggregateError ? (cause.errors as unknown[])[0] : cause;
  return systemErrorCode(first ?? error);
}
