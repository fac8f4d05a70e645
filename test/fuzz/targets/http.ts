import type { InjectOptions } from 'fastify';
import { Check } from 'typebox/value';
import { Problem } from '../../../server/http/problem.ts';
import { readAccessSettings } from '../../../server/http/settings.ts';
import { ERROR_CATALOGUE } from '../../../shared/errors.ts';
import { openTestApp, readSample } from '../../http/app.ts';
import type { Random } from '../../sim/random.ts';
import { mutate, mutateJson } from '../mutate.ts';
import { ensure, type FuzzTarget } from '../target.ts';

const METHODS = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'] as const;
/** What a client may write there, and what HTTP itself would refuse: tested elsewhere, over a connection. */
const PATH = /^\/[\x21-\x7e]{0,2000}$/;
const HEADER = /^([a-z-]{1,30}): ?([\x20-\x7e]{0,500})$/;
/** How a body is framed is for Node to decide. */
const NOT_HERE = new Set(['content-length', 'transfer-encoding', 'connection', 'upgrade', 'expect', 'host']);
const OUTSIDE = '203.0.113.9';

/** The app itself: requests as text, `METHOD PATH`, headers, an empty line, the body. */
export async function openHttpTarget(): Promise<FuzzTarget> {
  // Without limits, which would soon be all that it met.
  const access = readAccessSettings({ rateLimit: false });
  const { app, errors, close } = await openTestApp({}, { access });
  return {
    name: 'http',
    invariant:
      'no request makes the app fail (5xx), and each that is refused is told so by a problem document with a code',
    seeds: () => requests().map((text) => Buffer.from(text)),
    invent,
    async check(input) {
      const request = readRequest(input);
      if (request === undefined) return;
      const response = await app.inject(request);
      const { statusCode } = response;
      ensure(errors.length === 0, `it failed: ${errors[0]?.stack}`);
      ensure(statusCode < 500, `it answers ${statusCode}`);
      if (statusCode < 400 || request.method === 'HEAD') return;
      ensure(
        response.headers['content-type'] === 'application/problem+json; charset=utf-8' ||
          String(response.headers['content-type']).startsWith('text/html'),
        `${statusCode} with ${String(response.headers['content-type'])}`,
      );
      if (String(response.headers['content-type']).startsWith('text/html')) return;
      const problem = response.json<Problem>();
      ensure(Check(Problem, problem), 'no problem document');
      ensure(problem.status === statusCode && problem.code in ERROR_CATALOGUE, `code ${problem.code}`);
    },
    close,
  };
}

/** A request whose body has one value changed, or whose address has. */
function invent(random: Random): Uint8Array {
  const all = requests();
  const text = all[random.integer(0, all.length - 1)]!;
  const [head = '', body] = text.split('\n\n');
  if (body !== undefined) return Buffer.from(`${head}\n\n${mutateJson(body, random)}`);
  const [line = '', ...headers] = head.split('\n');
  const changed = Buffer.from(mutate([Buffer.from(line)], random)).toString('latin1');
  const path = changed
    .slice(changed.indexOf(' ') + 1)
    .replace(/[^\x21-\x7e]/g, (byte) => encodeURIComponent(byte));
  return Buffer.from([`${line.split(' ')[0]!} /${path.replace(/^\//, '')}`, ...headers].join('\n'));
}

/** Undefined for what HTTP itself refuses. */
function readRequest(input: Uint8Array): InjectOptions | undefined {
  const bytes = Buffer.from(input);
  const end = bytes.indexOf('\n\n');
  const [line = '', ...lines] = bytes
    .subarray(0, end < 0 ? undefined : end)
    .toString('latin1')
    .split('\n');
  const [name = '', path = ''] = line.split(' ');
  if (!PATH.test(path)) return undefined;
  const method = METHODS.find((known) => known === name) ?? 'GET';
  const headers: Record<string, string> = {};
  for (const text of lines) {
    const [, header, value] = HEADER.exec(text) ?? [];
    if (header !== undefined && !NOT_HERE.has(header)) headers[header] = value!;
  }
  const payload = end < 0 ? undefined : bytes.subarray(end + 2);
  return {
    method,
    // Its own way of taking a URL apart would throw at some of these.
    url: { pathname: path.split('?')[0]!, query: path.split('?').slice(1).join('?') },
    headers,
    // From here one may read more than from elsewhere.
    remoteAddress: path.length % 2 === 0 ? '127.0.0.1' : OUTSIDE,
    ...(method === 'POST' && payload !== undefined && { payload }),
  };
}

function requests(): string[] {
  const json = 'content-type: application/json';
  const report = JSON.stringify(readSample('udp-blocked'));
  return [
    `POST /classify\n${json}\n\n${report}`,
    `POST /preflight\n${json}\n\n{"a":"EIM/APDF","b":{"mapping":"none","filtering":"unknown"}}`,
    `GET /predict?a=symmetric&b=fw/ADF`,
    `GET /classify?limit=2&type=symmetric&since=2026-01-01T00:00:00Z&after=x\naccept: application/json`,
    `GET /classify/export?format=csv&family=ipv4`,
    `GET /classify/AAAAAAAAAAAAAAAAAAAAAA\naccept: text/html`,
    `GET /stats\naccept: text/html;q=0.9,*/*\nauthorization: Bearer x\norigin: https://a.example`,
    `OPTIONS /classify\norigin: https://a.example\naccess-control-request-method: POST`,
    `GET /openapi.json\nif-none-match: "x"`,
    `GET /healthz`,
    `GET /metrics`,
  ];
}
