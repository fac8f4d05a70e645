/** A report that a server keeps, by its id or its address. */
import type { HostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { parseHttpUrl } from '../../shared/http-url.ts';
import type { Report } from '../../shared/report/report.ts';
import { askApi } from './api-client.ts';
import { findApi } from './find-api.ts';

/** Where to look for it, if its address isn't given: at `api`, or at the API that one of the servers names. */
export interface ReportPlace {
  readonly servers: readonly HostPort[];
  readonly api?: string;
}

/**
 * `which` is an id, or the address that `natprobe --report` printed. Rejects with ERR_REPORT_ID where it
 * is neither, with ERR_NO_REPORT where no such report is kept, and as findApi and askApi do.
 */
export async function fetchReport(which: string, { servers, api }: ReportPlace): Promise<Report> {
  const address = /^https?:\/\//i.test(which) ? parseHttpUrl(which, '--peer-report') : undefined;
  const id = address === undefined ? which : /\/classify\/([^/]+)\/$/.exec(address.pathname)?.[1];
  if (id === undefined || !ID.test(id))
    throw new NatprobeError('ERR_REPORT_ID', '--peer-report', `got ${JSON.stringify(which.slice(0, SHOWN))}`);
  const base =
    address === undefined
      ? api === undefined
        ? await findApi(servers)
        : parseHttpUrl(api, '--api')
      : new URL('../..', address);
  const { body, url } = await askApi(base, { method: 'GET', path: `classify/${id}` });
  return readStored(body, url);
}

/** URL-safe Base64, as the server makes them. */
const ID = /^[\w-]{1,64}$/;
const SHOWN = 80;

async function readStored(body: unknown, from: URL): Promise<Report> {
  const [{ ReportSchema }, { Check }] = await Promise.all([
    import('../../shared/report/schema.ts'),
    import('typebox/value'),
  ]);
  const report = typeof body === 'object' && body !== null && 'report' in body ? body.report : undefined;
  if (Check(ReportSchema, report)) return report;
  throw new NatprobeError('ERR_API_ANSWER', from.href, 'it is no report');
}
