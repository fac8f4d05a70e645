/** Every error over HTTP is a problem document with a code that the README explains. */
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { Check } from 'typebox/value';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Problem, PROBLEM_STATUS, type ProblemCode } from '../../server/http/problem.ts';
import { ERROR_CATALOGUE } from '../../shared/errors.ts';
import { openTestApp, post, problemOf } from './app.ts';

const { app, errors, close } = await openTestApp();
beforeAll(async () => {
  await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(close);

const LARGE = Buffer.alloc(10 << 20, ' ');

describe('a request that cannot be answered draws a problem', () => {
  it('404 for a path that is none', async () => {
    const problem = problemOf(await app.inject('/nothing?secret=1'));
    expect(problem).toEqual({
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'ERR_NOT_FOUND',
      detail: 'nothing is there: GET /nothing',
      remedy: 'check the path; /docs lists what there is',
    });
  });

  it('405 for a wrong method, naming the right ones', async () => {
    const response = await app.inject({ method: 'DELETE', url: '/classify' });
    expect(problemOf(response)).toMatchObject({ status: 405, code: 'ERR_METHOD' });
    expect(response.headers.allow).toBe('POST, GET, HEAD');
    expect(problemOf(await post(app, '/classify/x', '{}')).code).toBe('ERR_METHOD');
  });

  const bodies: [string, string | Buffer, Record<string, string>, number, ProblemCode][] = [
    ['400 for what is no JSON', '{', {}, 400, 'ERR_JSON'],
    ['400 for an empty body', '', {}, 400, 'ERR_JSON'],
    ['400 for bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'ERR_JSON'],
    ['400 for deep nesting', '['.repeat(100_000), {}, 400, 'ERR_JSON'],
    ['400 for a prototype', '{"__proto__":{"schema":1}}', {}, 400, 'ERR_JSON'],
    ['400 for a constructor’s prototype', '{"constructor":{"prototype":{}}}', {}, 400, 'ERR_JSON'],
    ['400 for JSON that is no report', '[]', {}, 400, 'ERR_FIELD'],
    ['413 for 10 MB', LARGE, {}, 413, 'ERR_BODY_TOO_LARGE'],
    ['415 for another type', '{}', { 'content-type': 'text/plain' }, 415, 'ERR_MEDIA_TYPE'],
    ['415 for a compressed body', '{}', { 'content-encoding': 'gzip' }, 415, 'ERR_MEDIA_TYPE'],
  ];
  it.each(bodies)('%s', async (_what, body, headers, status, code) => {
    const problem = problemOf(await post(app, '/classify', body, headers));
    expect(problem).toMatchObject({ status, code });
    expect(Check(Problem, problem)).toBe(true);
  });

  it('415 without a type', async () => {
    const response = await app.inject({ method: 'POST', url: '/classify', payload: '{}', headers: {} });
    expect(problemOf(response).code).toBe('ERR_MEDIA_TYPE');
  });

  it('400 for a path that is no text', async () => {
    expect(problemOf(await app.inject('/%c0'))).toMatchObject({ status: 400, code: 'ERR_REQUEST' });
  });

  const rude: [string, string, number][] = [
    ['400 for what is no HTTP', 'HELLO\r\n\r\n', 400],
    ['431 for headers that are too long', `GET / HTTP/1.1\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
  ];
  it.each(rude)('%s', async (_what, bytes, status) => {
    const answer = await exchange(bytes);
    expect(answer).toContain(`HTTP/1.1 ${status} ${STATUS_CODES[status]!}\r\n`);
    expect(answer).toContain('\r\nContent-Type: application/problem+json\r\n');
    const problem: unknown = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
    expect(problem).toMatchObject({ status, code: 'ERR_REQUEST' });
  });

  it('413 over a real connection, before the body is there', async () => {
    const head = 'POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const answer = await exchange(`${head}Content-Length: ${10 << 20}\r\n\r\n{`);
    expect(answer).toContain('413 Payload Too Large');
    expect(answer).toContain('ERR_BODY_TOO_LARGE');
    expect(answer.toLowerCase()).toContain('connection: close');
  });

  it('and none of that is the operator’s to know', () => {
    expect(errors).toEqual([]);
  });
});

describe('the README’s table of problems', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| (\d{3}) \| `(ERR_\w+)` \| (.+) \|$/gm)];

  it('lists every code that HTTP answers with, its status and the words of the catalogue', () => {
    const listed = rows.map(([, status, code, problem]) => [Number(status), code, problem]);
    const codes = Object.keys(PROBLEM_STATUS) as ProblemCode[];
    const wanted = codes.map((code) => [PROBLEM_STATUS[code], code, ERROR_CATALOGUE[code].problem]);
    expect(listed).toEqual(wanted);
  });
});

/** What the server says to these bytes before it closes the connection. */
function exchange(bytes: string): Promise<string> {
  const { port } = app.server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    let heard = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(heard));
  });
}
