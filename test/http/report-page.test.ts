/** Reports and errors as pages for who prefers these, and as JSON for everybody else. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestApp, post, problemOf, readSample, type TestApp } from './app.ts';

/** As Chromium and Firefox ask for a page. */
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';

let running: TestApp;
let path: string;
beforeAll(async () => {
  running = await openTestApp();
  const posted = await post(running.app, '/classify', readSample('port-restricted-cone'));
  path = String(posted.headers['location']);
});
afterAll(() => running.close());

const get = (url: string, accept?: string) =>
  running.app.inject({ url, headers: accept === undefined ? {} : { accept } });

describe('GET /classify/:id', () => {
  it.each([BROWSER, 'text/html', 'application/json;q=0.5, text/html'])('is a page for %s', async (accept) => {
    const { statusCode, headers, body } = await get(path, accept);
    expect(statusCode).toBe(200);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['x-robots-tag']).toBe('noindex');
    expect(headers['cache-control']).toContain('private');
    expect(String(headers['vary']).toLowerCase()).toContain('accept');
    expect(body).toContain('NAT type: port-restricted cone');
    expect(body).toContain('<meta name="robots" content="noindex" />');
    expect(body.match(/<svg[^>]*role="img"/g)).toHaveLength(2);
    expect(body).toContain('none was let in');
    expect(body).not.toMatch(/<script|style="|onload=|https?:/);
  });

  it.each([undefined, '*/*', 'application/json', 'text/html;q=0, */*', 'text/html;q=0.5, application/json'])(
    'is JSON for %s',
    async (accept) => {
      const response = await get(path, accept);
      expect(response.json()).toMatchObject({ verdict: { type: 'port-restricted-cone' } });
      expect(String(response.headers['vary']).toLowerCase()).toContain('accept');
    },
  );

  it('links to the JSON of its own', async () => {
    const { body } = await get(path, BROWSER);
    const [, link] = /href="([^"]*format=json)"/.exec(body)!;
    expect((await get(link!, BROWSER)).json()).toMatchObject({ verdict: { type: 'port-restricted-cone' } });
  });

  it('that is not there is a page or a problem', async () => {
    const page = await get('/classify/nothing', BROWSER);
    expect(page.statusCode).toBe(404);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['cache-control']).toBe('no-store');
    expect(page.body).toContain('There is no such report.');
    expect(problemOf(await get('/classify/nothing')).code).toBe('ERR_NO_REPORT');
  });
});

it('an unknown path is a page for a browser, which shows the path as text', async () => {
  const { statusCode, body } = await get("/a&lt;b'c", BROWSER);
  expect(statusCode).toBe(404);
  expect(body).toContain('/a&amp;lt;b&#39;c');
});
