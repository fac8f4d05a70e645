/** Asks a running natprobed for its metrics. */
import { readBoundedText } from '../../shared/bounded-text.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { systemErrorCode } from '../bind-error.ts';
import { Reading } from './readings.ts';

const TIMEOUT_MS = 5000;
/** Some hundred kilobytes with every lane of the largest machine. */
const MAX_BYTES = 4 << 20;

/** Rejects with ERR_METRICS_UNREACHABLE, ERR_NO_METRICS, ERR_TOKEN, or as the signal says. */
export async function fetchReading(
  url: URL,
  token: string | undefined,
  signal?: AbortSignal,
): Promise<Reading> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let text: string | undefined;
  let status: number;
  try {
    const response = await fetch(new URL('metrics', url), {
      // A token is for nobody else.
      redirect: 'manual',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      headers: { accept: 'text/plain', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    });
    ({ status } = response);
    const body: AsyncIterable<Uint8Array> | undefined = response.body ?? undefined;
    text = await readBoundedText(body ?? [], MAX_BYTES);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const detail = timeout.aborted ? `no answer in ${TIMEOUT_MS / 1000} s` : failureOf(error);
    throw new NatprobeError('ERR_METRICS_UNREACHABLE', url.href, detail, { cause: error });
  }
  if (status === 401) {
    const detail =
      token === undefined
        ? 'natprobed top takes one from --token-file or NATPROBED_TOKENS'
        : 'the server knows another one than was given';
    throw new NatprobeError('ERR_TOKEN', url.href, detail);
  }
  const reading = status === 200 && text !== undefined ? Reading.parse(text, performance.now()) : undefined;
  if (reading !== undefined) return reading;
  const detail = status === 200 ? 'it has no metrics of natprobed' : `status ${status}`;
  throw new NatprobeError('ERR_NO_METRICS', url.href, detail);
}

/** fetch hides the system's error in its cause, and several of them in an AggregateError there. */
function failureOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const first = cause instanceof AggregateError ? (cause.errors as unknown[])[0] : cause;
  return systemErrorCode(first ?? error) ?? String(first ?? error);
}
