/** The library's sendReport(): hands a report to a server's `/classify`. */
import { type HostPort, parseHostPort } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import { parseHttpUrl, isHttpUrl } from '../shared/http-url.ts';
import type { Report, ReportDelivery, SentReport } from '../shared/report/report.ts';
import type { ReportSubmission, ReportWitnesses } from '../shared/report/witnesses.ts';
import type { Enclosures } from './classify/enclosures.ts';
import { askApi } from './drive/api-client.ts';
import { chooseApi, findApi } from './drive/find-api.ts';

export interface SendReportOptions {
  /** The address of the HTTP API. If it isn't given, the servers of the report are asked for theirs. */
  readonly api?: string;
  /** For handing it over, in milliseconds: 10,000 if not given. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Sends the report, and resolves with where it is and what the server says of it. Its endpoints are
 * witnessed only where `classify({ report: true })` sends it. Rejects with a NatprobeError: ERR_URL,
 * ERR_NO_API, ERR_RESOLVE, ERR_API_UNREACHABLE, ERR_API_ANSWER, ERR_API_REFUSED or the code that the
 * server gives, ERR_ABORTED.
 */
export async function sendReport(report: Report, options: SendReportOptions = {}): Promise<SentReport> {
  const api =
    options.api === undefined
      ? await findApi(serversOf(report), options.signal)
      : parseHttpUrl(options.api, 'api');
  return postReport(report, undefined, api, options);
}

/** What a run has learnt that its report doesn't say. */
export interface ReportedRun {
  readonly servers: Parameters<typeof chooseApi>[0];
  /** That its witnesses are under. */
  readonly nonce: Uint8Array;
  readonly enclosures: readonly Enclosures[];
}

/** As sendReport, to a known API and with the witnesses of the run. */
async function postReport(
  report: Report,
  witnesses: ReportWitnesses | undefined,
  api: URL,
  { timeoutMs, signal }: Omit<SendReportOptions, 'api'>,
): Promise<SentReport> {
  // Where it was sent before is no part of what is sent.
  const submission = {
    ...report,
    report: undefined,
    ...(witnesses !== undefined && { witnesses }),
  } satisfies Omit<ReportSubmission, 'report'> & { report: undefined };
  const { body, url } = await askApi(api, {
    method: 'POST',
    path: 'classify',
    body: submission,
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(signal && { signal }),
  });
  return readReceipt(body, url);
}

function serversOf({ server }: Report): HostPort[] {
  return server.asked.map((text) => parseHostPort(text, 'report'));
}

/**
 * Hands over the report of a run with its witnesses, to `api` or to where the run has learnt that the
 * API is. The report stands, whatever becomes of that. Rejects only with ERR_ABORTED.
 */
export async function deliverReport(
  report: Report,
  run: ReportedRun,
  options: Pick<SendReportOptions, 'api' | 'signal'>,
): Promise<ReportDelivery> {
  try {
    const api =
      options.api === undefined
        ? chooseApi(
            run.servers,
            run.enclosures.flatMap(({ services }) => services),
          )
        : parseHttpUrl(options.api, 'api');
    const witnesses = {
      nonce: Buffer.from(run.nonce).toString('hex'),
      given: run.enclosures.flatMap((enclosed) => enclosed.witnesses),
    };
    return await postReport(report, witnesses, api, options);
  } catch (error) {
    if (!(error instanceof NatprobeError) || error.code === 'ERR_ABORTED') throw error;
    return { failed: { code: error.code, text: error.message } };
  }
}

/** What the server answered, as far as it is passed on. Throws ERR_API_ANSWER for anything else. */
function readReceipt(body: unknown, from: URL): SentReport {
  const answer: Record<string, unknown> = typeof body === 'object' && body !== null ? { ...body } : {};
  const { id, url, endpointsWitnessed, claimsFollow } = answer;
  const isWitnessed =
    endpointsWitnessed === true || endpointsWitnessed === false || endpointsWitnessed === 'partly';
  if (
    typeof id !== 'string' ||
    typeof url !== 'string' ||
    !URL.canParse(url, from.href) ||
    !isWitnessed ||
    typeof claimsFollow !== 'boolean'
  ) {
    throw new NatprobeError('ERR_API_ANSWER', from.href, 'it says nothing of a report');
  }
  const address = new URL(url, from);
  if (!isHttpUrl(address)) {
    throw new NatprobeError('ERR_API_ANSWER', from.href, 'the report would not be on the web');
  }
  return { url: address.href, id, endpointsWitnessed, claimsFollow };
}
