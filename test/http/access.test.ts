/** Who may ask, how often, what browsers are told to allow, and what of it is logged. */
import type { LightMyRequestResponse } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { type AccessFlags, readAccessSettings } from '../../server/http/settings.ts';
import type { Log } from '../../server/log.ts';
import { openTestApp, post, problemOf, readSample, storedReports, type TestApp } from './app.ts';

const opened: TestApp[] = [];
afterEach(async () => {
  for (const { close } of opened.splice(0)) await close();
});

async function open(
  flags: AccessFlags,
  more: Parameters<typeof openTestApp>[1] = {},
): Promise<
  TestApp & {
    readonly ask: (
      url: string,
      from: string,
      headers?: Record<string, string>,
    ) => Promise<LightMyRequestResponse>;
  }
> {
  const test = await openTestApp({}, { access: readAccessSettings(flags), ...more });
  opened.push(test);
  return {
    ...test,
    ask: (url, remoteAddress, headers = {}) => test.app.inject({ url, remoteAddress, headers }),
  };
}

describe('a client that asks too often', () => {
  it('draws 429 with the time to wait, apart from others, while loopback does not', async () => {
    const { app, ask } = await open({ readRateLimit: '3' });
    for (let i = 0; i < 3; i++) expect((await ask('/stats', '198.51.100.7')).statusCode).toBe(200);
    const response = await ask('/stats', '198.51.100.7');
    expect(problemOf(response)).toMatchObject({ status: 429, code: 'ERR_TOO_MANY_REQUESTS' });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
    expect(Number(response.headers['retry-after'])).toBeLessThanOrEqual(60);
    expect((await ask('/stats', '198.51.100.8')).statusCode).toBe(200);
    for (let i = 0; i < 5; i++) expect((await ask('/stats', '127.0.0.1')).statusCode).toBe(200);
    expect((await app.inject('/metrics')).body).toContain(
      'natprobed_http_rate_limited_total{scope="client"} 1\n',
    );
  });

  it('has a limit of its own for what the server works on', async () => {
    const { app } = await open({ rateLimit: '1' });
    const posts = [1, 2].map(() =>
      app.inject({ method: 'POST', url: '/preflight', remoteAddress: '198.51.100.7', payload: {} }),
    );
    const [first, second] = await Promise.all(posts);
    expect([first!.statusCode, second!.statusCode]).toEqual([400, 429]);
  });

  it('is one over all of an IPv6 /56, and its network is as a whole', async () => {
    const { ask } = await open({ readRateLimit: '1' });
    expect((await ask('/stats', '2001:db8:0:100::1')).statusCode).toBe(200);
    expect((await ask('/stats', '2001:db8:0:1ff::2')).statusCode).toBe(429);
    // The /48 may ask eight times as often as each /56.
    for (let i = 2; i <= 8; i++) expect((await ask('/stats', `2001:db8:0:${i}00::1`)).statusCode).toBe(200);
    expect((await ask('/stats', '2001:db8:0:900::1')).statusCode).toBe(429);
    expect((await ask('/stats', '2001:db8:1::1')).statusCode).toBe(200);
  });

  it('is nobody with --no-rate-limit', async () => {
    const { ask } = await open({ rateLimit: false });
    for (let i = 0; i < 20; i++) expect((await ask('/stats', '198.51.100.7')).statusCode).toBe(200);
  });
});

describe('--trust-proxy', () => {
  const forwarded = { 'x-forwarded-for': '203.0.113.5' };

  it('takes the client from X-Forwarded-For of those proxies, and of no others', async () => {
    const { ask } = await open({ readRateLimit: '1', trustProxy: ['10.0.0.0/8,192.0.2.1'] });
    expect((await ask('/stats', '10.1.1.1', forwarded)).statusCode).toBe(200);
    expect((await ask('/stats', '192.0.2.1', forwarded)).statusCode).toBe(429);
    expect((await ask('/stats', '203.0.113.5')).statusCode).toBe(429);
    expect((await ask('/stats', '192.0.2.2', forwarded)).statusCode).toBe(200);
    expect((await ask('/stats', '192.0.2.2', { 'x-forwarded-for': '203.0.113.9' })).statusCode).toBe(429);
    // What the client itself put there comes before what the proxy adds.
    const forged = { 'x-forwarded-for': '198.51.100.1, 203.0.113.5' };
    expect((await ask('/stats', '10.1.1.1', forged)).statusCode).toBe(429);
  });

  it('takes the proxy for the client where it says nothing of use', async () => {
    const { ask } = await open({ readRateLimit: '1', trustProxy: ['10.0.0.0/8'] });
    expect((await ask('/stats', '10.1.1.1', { 'x-forwarded-for': 'unknown' })).statusCode).toBe(200);
    expect((await ask('/stats', '10.1.1.1', { 'x-forwarded-for': '<script>' })).statusCode).toBe(429);
  });

  it('of loopback makes what comes from there no request of this machine', async () => {
    const { ask } = await open({ trustProxy: ['127.0.0.1'] });
    for (const url of ['/classify', '/classify/export', '/metrics']) {
      expect(problemOf(await ask(url, '127.0.0.1')).code).toBe('ERR_TOKEN');
    }
  });
});

describe('reading everything', () => {
  const token = 'abcdefghijklmnop';

  it('takes a token from elsewhere, for lists, exports and metrics', async () => {
    const { ask } = await open({}, { tokens: ['other-token-of-16', token] });
    for (const url of ['/classify', '/classify/export', '/metrics']) {
      const refused = await ask(url, '198.51.100.7');
      expect(problemOf(refused)).toMatchObject({ status: 401, code: 'ERR_TOKEN' });
      expect(refused.headers['www-authenticate']).toBe('Bearer');
      const authorization = `bearer ${token}`;
      expect((await ask(url, '198.51.100.7', { authorization })).statusCode).toBe(200);
      for (const wrong of [`Bearer ${token}x`, `Basic ${token}`, 'Bearer', 'Bearer  ']) {
        expect((await ask(url, '198.51.100.7', { authorization: wrong })).statusCode).toBe(401);
      }
    }
  });

  it('is not for pages of others, though their browser is on this machine', async () => {
    const { ask } = await open({ cors: ['*'] });
    const headers = { host: '127.0.0.1:8478', origin: 'https://evil.example.org' };
    expect((await ask('/classify', '127.0.0.1', headers)).statusCode).toBe(401);
    expect((await ask('/classify', '127.0.0.1', { host: '127.0.0.1:8478' })).statusCode).toBe(200);
  });

  it('gives the metrics to everybody with --metrics-public', async () => {
    const { ask } = await open({ metricsPublic: true });
    expect((await ask('/metrics', '198.51.100.7')).statusCode).toBe(200);
    expect((await ask('/classify', '198.51.100.7')).statusCode).toBe(401);
  });
});

describe('GET /classify/export', () => {
  it('gives all reports, a line each, the oldest first', async () => {
    const { app, store } = await open({});
    for (const name of ['symmetric', 'port-restricted-cone'] as const) {
      expect((await post(app, '/classify', readSample(name))).statusCode).toBe(201);
    }
    const response = await app.inject('/classify/export');
    expect(response.headers['content-type']).toBe('application/x-ndjson');
    const lines = response.body.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(await storedReports(store));
    const symmetric = await app.inject('/classify/export?type=symmetric');
    expect(symmetric.body.trimEnd().split('\n')).toEqual([lines[0]]);
  });

  it('gives CSV if asked, and names what it does not know', async () => {
    const { app } = await open({});
    await post(app, '/classify', readSample('symmetric'));
    const csv = await app.inject('/classify/export?format=csv');
    expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
    expect(csv.headers['content-disposition']).toBe('attachment; filename="reports.csv"');
    expect(csv.body).toMatch(/^id,receivedAt,source,[^\n]*\n[^\n]*,probe,ipv4,symmetric,[^\n]*\n$/);
    expect(problemOf(await app.inject('/classify/export?format=xml'))).toMatchObject({ field: '/format' });
    expect(problemOf(await app.inject('/classify/export?since=never'))).toMatchObject({ status: 400 });
  });
});

describe('what browsers are told', () => {
  const CSP =
    "default-src 'none';script-src 'self';style-src 'self';img-src 'self';connect-src 'self';" +
    "base-uri 'none';form-action 'none';frame-ancestors 'none'";

  it('is to allow nothing but this server, in errors too', async () => {
    const { app } = await open({});
    for (const url of ['/stats', '/nothing', '/classify/unknown']) {
      const { headers } = await app.inject(url);
      expect(headers).toMatchObject({
        'content-security-policy': CSP,
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-resource-policy': 'same-origin',
      });
      expect(headers['permissions-policy']).toContain('geolocation=()');
      expect(headers).not.toHaveProperty('strict-transport-security');
      expect(headers).not.toHaveProperty('access-control-allow-origin');
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });

  it('is a policy of its own for the reference, which sets styles of its elements', async () => {
    const { app } = await open({});
    const { headers } = await app.inject('/docs/static/index.html');
    expect(headers['content-security-policy']).toContain("style-src 'self' 'unsafe-inline'");
    expect(headers['content-security-policy']).toContain("default-src 'none'");
  });
});

describe('--cors', () => {
  const origin = 'https://app.example.org';

  it('lets pages of that origin ask and see answers, and no others', async () => {
    const { ask, app } = await open({ cors: [origin, 'http://localhost:3000'] });
    const allowed = await ask('/stats', '127.0.0.1', { origin });
    expect(allowed.headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'Origin, accept' });
    const other = await ask('/stats', '127.0.0.1', { origin: 'https://evil.example.org' });
    expect(other.headers['access-control-allow-origin']).not.toBe('https://evil.example.org');
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/classify',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type',
      },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers['access-control-allow-methods']).toContain('POST');
    expect(preflight.headers['access-control-allow-headers']).toContain('content-type');
    // A path that is none stays one.
    expect((await app.inject('/nothing')).statusCode).toBe(404);
  });
});

describe('the log of requests', () => {
  it('has method, route, status, time and size, and tells neither who nor about what', async () => {
    const lines: { level: string; message: string; fields: unknown }[] = [];
    const log: Log = (level, message, fields) => lines.push({ level, message, fields });
    const { app, ask } = await open({}, { log, tokens: ['secret-secret-secret'] });
    await ask('/classify/abcdefgh?x=secret', '198.51.100.77', {
      authorization: 'Bearer secret-secret-secret',
    });
    await ask('/predict?a=symmetric&b=open', '2001:db8:1:2::77');
    await ask('/invented/path', '198.51.100.77');
    await app.inject('/healthz');
    expect(lines.map(({ level }) => level)).toEqual(['info', 'info', 'info', 'debug']);
    expect(lines[0]!.message).toMatch(/^HTTP: GET \/classify\/:id 404 in [\d.]+ ms for 198\.51\.100\.0\/24$/);
    expect(lines[1]!.fields).toMatchObject({
      event: 'request',
      method: 'GET',
      route: '/predict',
      status: 200,
      ms: expect.any(Number) as number,
      bytes: expect.any(Number) as number,
      client: '2001:db8:1::/48',
    });
    expect(lines[2]!.fields).toMatchObject({ route: 'none', status: 404 });
    expect(JSON.stringify(lines)).not.toMatch(/abcdefgh|secret|symmetric|invented|\.77|::77/);
  });

  it.each([
    ['full', '198.51.100.77'],
    ['prefix', '198.51.100.0/24'],
    ['none', undefined],
  ])('keeps of addresses what --log-addresses %s says', async (logAddresses, client) => {
    const clients: unknown[] = [];
    const { ask } = await open(
      { logAddresses },
      { log: (_level, _text, fields) => clients.push(fields?.['client']) },
    );
    await ask('/stats', '::ffff:198.51.100.77');
    expect(clients).toEqual([client]);
  });
});
