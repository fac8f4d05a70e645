/** The page's two requests, and the page itself; the measuring behind them is a stand-in here. */
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { BrowserMeasurer } from '../../server/http/routes/browser.ts';
import { reportBrowser } from '../../server/ice/browser-report.ts';
import type { BrowserOffers } from '../../server/ice/session-table.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { IceBrowserStats } from '../../shared/nat/ice-evidence.ts';
import { classifyBrowserIn } from '../sim/browser.ts';
import { NINE_CELLS } from '../sim/cells.ts';
import { buildWorld } from '../sim/scenario.ts';
import { openTestApp, post, problemOf, storedReports, type TestApp } from './app.ts';

const SDP = [
  'v=0',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'a=ice-ufrag:6Hme',
  'a=ice-pwd:LliXT09jAu1JbRlkk27cS/+x',
  'a=mid:0',
  '',
].join('\r\n');
const STATS: IceBrowserStats = { localCandidates: 1, pairs: 1, checksSent: 3, localType: 'prflx' };
const RESTRICTED = NINE_CELLS.find(({ truth }) => truth.type === 'restricted-cone')!;

class StandIn implements BrowserMeasurer {
  readonly begun: { readonly offers: BrowserOffers; readonly client: string }[] = [];
  readonly stats: Readonly<Record<string, IceBrowserStats>>[] = [];
  error: Error | undefined;
  asksAgain = 0;

  begin(offers: BrowserOffers, client: string): ReturnType<BrowserMeasurer['begin']> {
    if (this.error !== undefined) throw this.error;
    this.begun.push({ offers, client });
    return { id: 'the-id', answers: { filtering: 'answer', mapping: offers.mapping.map(() => 'answer') } };
  }

  finish(
    id: string,
    stats: Readonly<Record<string, IceBrowserStats>>,
  ): ReturnType<BrowserMeasurer['finish']> {
    if (id !== 'the-id') return Promise.reject(new NatprobeError('ERR_NO_BROWSER_SESSION', 'the page'));
    this.stats.push(stats);
    if (this.asksAgain-- > 0) return Promise.resolve({ kind: 'ask-again' });
    const { evidence } = classifyBrowserIn(buildWorld(RESTRICTED, { seed: 1, rttMs: 20 }), 20);
    const report = reportBrowser(evidence, new Date('2026-01-31T12:00:00Z'));
    return Promise.resolve({ kind: 'measured', report });
  }
}

let browsers: StandIn;
let running: TestApp;
beforeAll(async () => {
  const forward: BrowserMeasurer = {
    begin: (offers, client) => browsers.begin(offers, client),
    finish: (id, stats) => browsers.finish(id, stats),
  };
  running = await openTestApp({}, { browsers: forward });
});
beforeEach(() => {
  browsers = new StandIn();
});
afterAll(() => running.close());

describe('POST /classify/browser', () => {
  it('takes offers and gives an answer to each', async () => {
    const response = await post(running.app, '/classify/browser', { filtering: SDP, mapping: [SDP, SDP] });
    expect(response.statusCode).toBe(201);
    expect(response.json()).toEqual({ id: 'the-id', filtering: 'answer', mapping: ['answer', 'answer'] });
    expect(browsers.begun).toMatchObject([
      { offers: { filtering: { mid: '0', credentials: { ufrag: '6Hme' } } }, client: '127.0.0.1' },
    ]);
  });

  it.each([
    ['no data channel', { filtering: SDP, mapping: ['v=0'] }, 'ERR_OFFER', '/mapping/0'],
    ['no mapping', { filtering: SDP, mapping: [] }, 'ERR_FIELD', '/mapping'],
    ['three mappings', { filtering: SDP, mapping: [SDP, SDP, SDP] }, 'ERR_FIELD', '/mapping'],
    ['a number', { filtering: 1, mapping: [SDP] }, 'ERR_FIELD', '/filtering'],
    ['a long offer', { filtering: SDP.padEnd(20_000), mapping: [SDP] }, 'ERR_FIELD', '/filtering'],
  ])('refuses %s', async (_, body, code, place) => {
    const problem = problemOf(await post(running.app, '/classify/browser', body));
    expect(problem).toMatchObject({ status: 400, code });
    expect(`${problem.field ?? ''} ${problem.detail}`).toContain(place);
    expect(browsers.begun).toEqual([]);
  });

  it('says when there are too many', async () => {
    browsers.error = new NatprobeError('ERR_BROWSER_SESSIONS', 'the page', 'a limit in all');
    const response = await post(running.app, '/classify/browser', { filtering: SDP, mapping: [SDP] });
    expect(problemOf(response)).toMatchObject({ status: 429, code: 'ERR_BROWSER_SESSIONS' });
  });
});

describe('POST /classify/browser/:id', () => {
  it('ends with a report, judged and kept', async () => {
    const response = await post(running.app, '/classify/browser/the-id', {
      filtering: STATS,
      mapping: [STATS, STATS],
    });
    expect(response.statusCode).toBe(201);
    const body = response.json<{ id: string; report: unknown }>();
    expect(body).toMatchObject({
      verdict: RESTRICTED.truth,
      report: { source: 'browser', family: 'ipv4', server: { alternate: '192.0.2.2:3479' } },
      punchability: { open: { outcome: 'direct' } },
    });
    expect(response.headers['location']).toBe(`/classify/${body.id}`);
    expect(browsers.stats).toEqual([{ filtering: STATS, mapping: STATS, 'mapping 2': STATS }]);
    const [stored] = await storedReports(running.store);
    expect(stored).toMatchObject({
      id: body.id,
      source: 'browser',
      verdict: RESTRICTED.truth,
      endpointsWitnessed: true,
    });
    expect(stored?.report).toEqual(body.report);
  });

  it('wants newer statistics where the browser may know more by now, and keeps nothing yet', async () => {
    browsers.asksAgain = 1;
    const [before, body] = [await storedReports(running.store), { filtering: STATS, mapping: [STATS] }];
    const asked = await post(running.app, '/classify/browser/the-id', body);
    expect([asked.statusCode, asked.json()]).toEqual([202, { id: 'the-id', awaits: 'pair' }]);
    expect(await storedReports(running.store)).toEqual(before);
    const ended = await post(running.app, '/classify/browser/the-id', body);
    expect(ended.statusCode).toBe(201);
  });

  it('of a session that is not there is a problem', async () => {
    const response = await post(running.app, '/classify/browser/other', {
      filtering: STATS,
      mapping: [STATS],
    });
    expect(problemOf(response)).toMatchObject({ status: 404, code: 'ERR_NO_BROWSER_SESSION' });
  });

  it('refuses statistics that are none', async () => {
    const body = { filtering: { ...STATS, localType: 'other' }, mapping: [STATS] };
    const response = await post(running.app, '/classify/browser/the-id', body);
    expect(problemOf(response)).toMatchObject({
      status: 400,
      code: 'ERR_FIELD',
      field: '/filtering/localType',
    });
  });
});

describe('the page', () => {
  it('is served with its script and style, and allows no other host and nothing inline', async () => {
    const page = await running.app.inject('/');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none';script-src 'self';/);
    expect(page.body).toContain('<output id="verdict"');
    const assets = [...page.body.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path!);
    expect(assets.map((path) => path.replace(/-[\da-f]{12}\./, '.'))).toEqual([
      '/assets/icon.svg',
      '/assets/page.css',
      '/assets/page.js',
    ]);
    for (const path of assets) {
      const asset = await running.app.inject(path);
      expect(asset.statusCode, path).toBe(200);
      expect(asset.headers['content-type'], path).toMatch(/^(text\/(css|javascript)|image\/svg)/);
      expect(asset.headers['cache-control'], path).toMatch(/immutable/);
      const zipped = await running.app.inject({ url: path, headers: { 'accept-encoding': 'gzip' } });
      expect(gunzipSync(zipped.rawPayload).equals(asset.rawPayload), path).toBe(true);
    }
    expect(page.body).not.toMatch(/<script(?![^>]*src=)|style=|onclick=|https?:/);
  });

  it('has no other files', async () => {
    for (const name of ['page.ts', 'page.js', 'tsconfig.json', '..%2Fapp.ts'])
      expect(problemOf(await running.app.inject(`/assets/${name}`))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});
