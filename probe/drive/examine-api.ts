/** Asks the HTTP API of a server, and its broker, whether they are there. */
import { ERROR_CATALOGUE, NatprobeError } from '../../shared/errors.ts';
import type { ApiFacts } from '../doctor/facts.ts';
import { askApi } from './api-client.ts';
import { connectBroker } from './broker-connection.ts';

const TIMEOUT_MS = 5000;

/** Rejects with ERR_ABORTED. */
export async function examineApi(api: URL | undefined, signal: AbortSignal): Promise<ApiFacts> {
  if (api === undefined) return { url: undefined };
  const url = api.href;
  const startedAt = performance.now();
  try {
    const answer = await askApi(api, { method: 'GET', path: 'healthz', timeoutMs: TIMEOUT_MS, signal });
    const timeMs = performance.now() - startedAt;
    const { status, version } = answer.body as { status?: unknown; version?: unknown };
    if (status !== 'ok')
      return {
        url,
        failure: {
          seen: `${url} answers, and is no natprobed`,
          remedy: ERROR_CATALOGUE.ERR_API_ANSWER.remedy,
        },
      };
    const brokerFailure = await findBrokerFailure(api, signal);
    return {
      url,
      timeMs,
      ...(typeof version === 'string' && { version }),
      ...(brokerFailure && { brokerFailure }),
    };
  } catch (error) {
    return { url, failure: describe(error) };
  }
}

async function findBrokerFailure(api: URL, signal: AbortSignal): Promise<ApiFacts['brokerFailure']> {
  const failure = await new Promise<NatprobeError | undefined>((resolve) => {
    const connection = connectBroker(api, {
      onOpen() {
        connection.close();
        resolve(undefined);
      },
      onFrame: () => undefined,
      onClosed: resolve,
    });
    signal.addEventListener('abort', () => {
      connection.close();
      resolve(undefined);
    });
  });
  return failure && describe(failure);
}

function describe(error: unknown): NonNullable<ApiFacts['failure']> {
  if (!(error instanceof NatprobeError) || error.code === 'ERR_ABORTED') throw error;
  const { problem, remedy } = ERROR_CATALOGUE[error.code];
  const detail = error.detail === undefined ? '' : ` (${error.detail})`;
  const isUntrusted = CERTIFICATE_CODES.test(error.detail ?? '');
  return { seen: `${error.place}: ${problem}${detail}`, remedy: isUntrusted ? CERTIFICATE_REMEDY : remedy };
}

/** Node's names for what is wrong with a certificate: DEPTH_ZERO_SELF_SIGNED_CERT, CERT_HAS_EXPIRED, ... */
const CERTIFICATE_CODES = /CERT|ERR_TLS|UNABLE_TO_/;
const CERTIFICATE_REMEDY =
  'give it a certificate for that name, of an authority that clients know, that has not expired';
