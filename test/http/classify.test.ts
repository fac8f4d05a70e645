import { afterAll, describe, expect, it } from 'vitest';
import { PostedReport } from '../../server/http/routes/post-report.ts';
import { ReportPageSchema, type ShownReport, ShownReportSchema } from '../../server/http/report-schemas.ts';
import type { ReportStore } from '../../server/reports/report-store.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { isClassified, type Report } from '../../shared/report/report.ts';
import { Check } from 'typebox/value';
import { openTestApp, post, problemOf, readSample, SAMPLE_NAMES, storedReports } from './app.ts';

const { app, store, close } = await openTestApp();
afterAll(close);

describe('POST /classify', () => {
  it.each(SAMPLE_NAMES)('takes the report of an old client, %s, and agrees with it', async (name) => {
    const sample = readSample(name);
    const response = await post(app, '/classify', sample);
    expect(response.statusCode).toBe(201);
    const posted = response.json<PostedReport>();
    expect(Check(PostedReport, posted)).toBe(true);
    expect(posted).toMatchObject({
      verdict: { type: sample.verdict.type, mapping: sample.verdict.mapping },
      claimsFollow: true,
      differing: [],
      endpointsWitnessed: false,
    });
    const kept = (await store.find(posted.id))!.report;
    const { evidence, endpoints, server, timing, axisEvidence, axes = {} } = sample;
    expect(kept).toMatchObject({
      evidence,
      endpoints,
      server,
      timing,
      ...(axisEvidence && { axisEvidence }),
    });
    expect(Object.keys(kept.axes ?? {})).toEqual(expect.arrayContaining(Object.keys(axes)));
    expect(posted.punchability.open.outcome).toBe(name === 'udp-blocked' ? 'relay' : 'direct');
    expect(response.headers.location).toBe(`/classify/${posted.id}`);
    expect(posted.url).toBe(`http://localhost:80/classify/${posted.id}`);
  });

  it('judges by the evidence, says which claims do not follow, and keeps its own verdict', async () => {
    const sample = readSample('port-restricted-cone');
    const family = sample.families.ipv4;
    if (!isClassified(family)) throw new Error('the sample has no IPv4');
    const liar: Report = {
      ...sample,
      verdict: { ...sample.verdict, type: 'full-cone', filtering: 'endpoint-independent' },
      families: {
        ...sample.families,
        ipv4: { ...family, endpoints: { ...family.endpoints, mapped: '203.0.113.99:1' } },
      },
    };
    const response = await post(app, '/classify', liar);
    const posted = response.json<PostedReport>();
    expect(posted).toMatchObject({
      verdict: { type: 'port-restricted-cone' },
      claimsFollow: false,
      differing: ['/verdict/type', '/verdict/filtering', '/families/ipv4/endpoints/mapped'],
    });
    const stored = await store.find(posted.id);
    expect(stored).toMatchObject({
      claimsFollow: false,
      verdict: { type: 'port-restricted-cone' },
      report: { verdict: { type: 'port-restricted-cone' }, endpoints: sample.endpoints },
    });
  });

  it('says where a report is by the public URL, if there is one', async () => {
    const { app: other, close: closeIt } = await openTestApp({ publicUrl: 'https://nat.example.org/' });
    const response = await post(other, '/classify', readSample('symmetric'));
    const { id, url } = response.json<PostedReport>();
    expect(url).toBe(`https://nat.example.org/classify/${id}`);
    await closeIt();
  });

  it('hands witnesses and evidence over to be checked, and keeps no witness', async () => {
    const given: unknown[] = [];
    const {
      app: other,
      store: kept,
      close: closeIt,
    } = await openTestApp({
      checkWitnesses: (witnesses, evidence) => {
        given.push(witnesses, evidence.length);
        return 'partly';
      },
    });
    const sample = readSample('symmetric');
    const witnesses = { nonce: '00'.repeat(16), given: [] };
    const response = await post(other, '/classify', { ...sample, witnesses });
    expect(response.json()).toMatchObject({ endpointsWitnessed: 'partly' });
    expect(given).toEqual([witnesses, sample.evidence.length]);
    expect(JSON.stringify(await storedReports(kept))).not.toContain('witnesses"');
    await closeIt();
  });

  it('takes a nonce once: whoever saw a report with its witnesses cannot send it again', async () => {
    const witnesses = { nonce: 'ab'.repeat(16), given: [] };
    const body = { ...readSample('symmetric'), witnesses };
    expect((await post(app, '/classify', body)).statusCode).toBe(201);
    const before = await storedReports(store);
    expect(problemOf(await post(app, '/classify', body))).toMatchObject({
      status: 409,
      code: 'ERR_NONCE_USED',
    });
    expect(await storedReports(store)).toEqual(before);
  });

  it('answers 503 while the store fails, and tells the operator why', async () => {
    const cause = new NatprobeError('ERR_STORE', 'reports', 'disk I/O error');
    const failing = { ...store, add: () => Promise.reject(cause), find: () => Promise.reject(cause) };
    const broken = await openTestApp({ store: failing as unknown as ReportStore });
    for (const answer of [
      await post(broken.app, '/classify', readSample('symmetric')),
      await broken.app.inject('/classify/some'),
    ]) {
      expect(problemOf(answer)).toMatchObject({ status: 503, code: 'ERR_STORE' });
      expect(answer.body).not.toContain('disk I/O');
    }
    expect(broken.errors).toEqual([cause, cause]);
    await broken.close();
  });

  it('ignores fields and evidence of kinds that it does not know, and keeps none of them', async () => {
    const sample = readSample('symmetric');
    const family = sample.families.ipv4;
    if (!isClassified(family)) throw new Error('the sample has no IPv4');
    const newer = {
      ...sample,
      note: 'keep-this-not',
      families: {
        ...sample.families,
        ipv4: { ...family, evidence: [...family.evidence, { kind: 'later', text: 'nor-that' }] },
      },
    };
    const response = await post(app, '/classify', newer);
    expect(response.json()).toMatchObject({ claimsFollow: true });
    const kept = JSON.stringify((await storedReports(store)).at(-1));
    expect(kept).not.toContain('keep-this-not');
    expect(kept).not.toContain('nor-that');
  });

  const refused: [string, (sample: Report) => unknown, number, string, string][] = [
    ['another schema', (sample) => ({ ...sample, schema: 'natprobe/report@2' }), 400, 'ERR_FIELD', '/schema'],
    ['no evidence', (sample) => ({ ...sample, evidence: undefined }), 400, 'ERR_FIELD', '/evidence'],
    [
      'a known kind of evidence in another shape',
      (sample) => ({
        ...sample,
        families: { ...sample.families, ipv4: { ...sample.families.ipv4, evidence: [{ kind: 'tcp' }] } },
      }),
      400,
      'ERR_FIELD',
      '/families/ipv4/evidence/0/to',
    ],
    [
      'evidence without its run',
      (sample) => ({
        ...sample,
        families: { ...sample.families, ipv4: { ...sample.families.ipv4, evidence: [] } },
      }),
      422,
      'ERR_EVIDENCE',
      '/families/ipv4/evidence',
    ],
    [
      'a run over the other family',
      (sample) => ({ ...sample, families: { ...sample.families, ipv6: sample.families.ipv4 } }),
      422,
      'ERR_EVIDENCE',
      '/families/ipv6/evidence',
    ],
    [
      'no family that was classified',
      (sample) => ({ ...sample, families: { ...sample.families, ipv4: sample.families.ipv6 } }),
      422,
      'ERR_EVIDENCE',
      '/families',
    ],
  ];
  it.each(refused)('refuses %s', async (_what, change, status, code, field) => {
    const before = await storedReports(store);
    const response = await post(app, '/classify', change(readSample('symmetric')) as object);
    expect(problemOf(response)).toMatchObject({ status, code });
    expect(problemOf(response).field).toBe(field);
    expect(await storedReports(store)).toEqual(before);
  });
});

describe('GET /classify/:id', () => {
  it('gives what was kept', async () => {
    const posted = (await post(app, '/classify', readSample('symmetric'))).json<PostedReport>();
    const response = await app.inject(`/classify/${posted.id}`);
    expect(response.statusCode).toBe(200);
    expect(response.headers['cache-control']).toBe('private, no-cache');
    expect(response.headers['x-robots-tag']).toBe('noindex');
    expect(Check(ShownReportSchema, response.json())).toBe(true);
    const { punchability, ...stored } = response.json<ShownReport>();
    expect(stored).toEqual(JSON.parse(JSON.stringify(await store.find(posted.id))));
    expect(punchability).toEqual(posted.punchability);
  });

  it('says that there is no such report', async () => {
    for (const id of ['unknown', '%00', '..%2f..', 'a'.repeat(90)]) {
      expect(problemOf(await app.inject(`/classify/${id}`))).toMatchObject({ code: 'ERR_NO_REPORT' });
    }
  });
});

describe('GET /classify', () => {
  it('lists for this machine', async () => {
    const response = await app.inject('/classify?type=symmetric&limit=2');
    expect(response.statusCode).toBe(200);
    expect(Check(ReportPageSchema, response.json())).toBe(true);
  });

  it.each([
    ['limit=0', '/limit'],
    ['limit=x', '/limit'],
    ['limit=501', '/limit'],
    ['type=conical', '/type'],
    ['family=ipv5', '/family'],
    ['since=yesterday', '/since'],
  ])('refuses ?%s, and names the field', async (query, field) => {
    const problem = problemOf(await app.inject(`/classify?${query}`));
    expect(problem).toMatchObject({ status: 400, code: 'ERR_FIELD', field });
  });

  const strangers: [string, object][] = [
    ['from another host', { remoteAddress: '198.51.100.9' }],
    ['through a proxy on this machine', { headers: { 'x-forwarded-for': '198.51.100.9' } }],
    ['by a name of somebody else’s', { headers: { host: 'rebound.example.org' } }],
    ['with another token', { remoteAddress: '198.51.100.9', headers: { authorization: 'Bearer another' } }],
  ];
  it.each(strangers)('is not for those who ask %s', async (_how, request) => {
    const { app: guarded, close: closeIt } = await openTestApp({}, { tokens: ['other', 'secret'] });
    const response = await guarded.inject({ url: '/classify', ...request });
    expect(problemOf(response)).toMatchObject({ status: 401, code: 'ERR_TOKEN' });
    expect(response.headers['www-authenticate']).toBe('Bearer');
    await closeIt();
  });

  it('is for holders of the token, wherever they ask from', async () => {
    const { app: guarded, close: closeIt } = await openTestApp({}, { tokens: ['other', 'secret'] });
    const response = await guarded.inject({
      url: '/classify',
      remoteAddress: '198.51.100.9',
      headers: { authorization: 'Bearer secret', 'x-forwarded-for': '203.0.113.5' },
    });
    expect(response.statusCode).toBe(200);
    await closeIt();
  });

  it('trusts no loopback where a proxy answers for the server', async () => {
    const { app: behind, close: closeIt } = await openTestApp({ publicUrl: 'https://nat.example.org' });
    expect(problemOf(await behind.inject('/classify')).code).toBe('ERR_TOKEN');
    await closeIt();
  });
});
