import { Check } from 'typebox/value';
import { afterAll, describe, expect, it } from 'vitest';
import type { PostedReport } from '../../server/http/routes/post-report.ts';
import { behaviourOfReport, parseBehaviour } from '../../shared/punch/behaviour.ts';
import { predict, type Prediction } from '../../shared/punch/predict.ts';
import { preflight, type Preflight } from '../../shared/punch/preflight.ts';
import { PredictionSchema, PreflightSchema } from '../../shared/punch/schema.ts';
import type { Report } from '../../shared/report/report.ts';
import { openTestApp, post, problemOf, readSample } from './app.ts';

const { app, close } = await openTestApp();
afterAll(close);

describe('GET /predict', () => {
  it('predicts as the command does', async () => {
    const response = await app.inject('/predict?a=symmetric&b=EIM/ADF');
    expect(response.statusCode).toBe(200);
    const prediction = response.json<Prediction>();
    expect(Check(PredictionSchema, prediction)).toBe(true);
    expect(prediction).toEqual(predict(parseBehaviour('symmetric'), parseBehaviour('eim/adf')));
  });

  it.each([
    ['a=conical&b=open', 'ERR_BEHAVIOUR', '/a'],
    ['a=open&b=', 'ERR_BEHAVIOUR', '/b'],
    ['a=open', 'ERR_FIELD', '/b'],
    [`a=open&b=${'x'.repeat(200)}`, 'ERR_FIELD', '/b'],
    ['a=open&b=open&b=open', 'ERR_FIELD', '/b'],
  ])('refuses ?%s', async (query, code, field) => {
    expect(problemOf(await app.inject(`/predict?${query}`))).toMatchObject({ status: 400, code, field });
  });
});

describe('POST /preflight', () => {
  const sample = readSample('port-restricted-cone');

  async function decide(a: unknown, b: unknown): Promise<Preflight> {
    const response = await post(app, '/preflight', { a, b });
    expect(response.statusCode).toBe(200);
    const decision = response.json<Preflight>();
    expect(Check(PreflightSchema, decision)).toBe(true);
    return decision;
  }

  it('takes types, behaviours, reports and ids of reports, in any pair', async () => {
    const { id } = (await post(app, '/classify', sample)).json<PostedReport>();
    const own = behaviourOfReport(sample);
    const strict = parseBehaviour('symmetric');
    const stated = { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' };
    const expected = preflight(own, strict);
    expect(await decide(sample, 'symmetric')).toEqual(expected);
    expect(await decide({ id }, 'APDM/APDF')).toEqual(expected);
    expect(await decide({ id }, stated)).toEqual(expected);
    expect(await decide('symmetric', stated)).toMatchObject({ decision: 'no-go', strategy: 'relay' });
    expect(await decide('open', 'port-restricted-cone')).toMatchObject({ decision: 'go' });
  });

  it('judges a report by its evidence, whatever it claims', async () => {
    const honest = readSample('symmetric');
    const verdict = { ...honest.verdict, type: 'open', mapping: 'none', filtering: 'endpoint-independent' };
    const ipv4 = { ...honest.families.ipv4, verdict };
    const liar = { ...honest, verdict, families: { ...honest.families, ipv4 } };
    expect(await decide(liar, 'symmetric')).toEqual(await decide(honest, 'symmetric'));
  });

  it('compares addresses only where the store keeps them', async () => {
    const hiding = await openTestApp({ keepsAddresses: false });
    const { id } = (await post(hiding.app, '/classify', sample)).json<PostedReport>();
    const body = { a: { id }, b: { id } };
    const reasons = (await post(hiding.app, '/preflight', body)).json<Preflight>().reasons;
    const known = behaviourOfReport(sample, { pseudonymous: true });
    expect(reasons).toEqual(preflight(known, known).reasons);
    await hiding.close();
  });

  const runless: Report = {
    ...sample,
    families: { ...sample.families, ipv4: { ...sample, evidence: [] } },
  };
  const refused: [string, unknown, number, string, string][] = [
    ['a side that is missing', { a: 'open' }, 400, 'ERR_FIELD', '/b'],
    ['a type that is none', { a: 'open', b: 'conical' }, 400, 'ERR_BEHAVIOUR', '/b'],
    ['a number', { a: 'open', b: 7 }, 400, 'ERR_FIELD', '/b'],
    [
      'a mapping that is none',
      { a: { mapping: 'x', filtering: 'y' }, b: 'open' },
      400,
      'ERR_FIELD',
      '/a/mapping',
    ],
    ['an id of no report', { a: { id: 'unknown' }, b: 'open' }, 404, 'ERR_NO_REPORT', '/a/id'],
    ['a report without its run', { a: 'open', b: runless }, 422, 'ERR_EVIDENCE', '/b/families/ipv4/evidence'],
  ];
  it.each(refused)('refuses %s', async (_what, body, status, code, field) => {
    const problem = problemOf(await post(app, '/preflight', body as object));
    expect(problem).toMatchObject({ status, code, field });
  });
});
