import { afterAll, expect, it } from 'vitest';
import type { FastifyInstance } from 'fastify';
import { buildApp } from '../../server/http/app.ts';
import type { Health } from '../../server/http/status.ts';

const HEALTH: Health = {
  status: 'ok',
  version: '1.2.3',
  uptimeMs: 1234,
  families: [
    {
      family: 'ipv4',
      mode: 'two-address',
      endpoints: {
        PP: '192.0.2.1:3478',
        PA: '192.0.2.1:3479',
        AP: '192.0.2.2:3478',
        AA: '192.0.2.2:3479',
      },
    },
    {
      family: 'ipv6',
      mode: 'one-address',
      endpoints: { PP: '[2001:db8::1]:3478', PA: '[2001:db8::1]:3479' },
    },
  ],
};

const errors: string[] = [];
let answer: () => Health = () => HEALTH;
const app: FastifyInstance = buildApp({
  health: () => answer(),
  onError: (error) => errors.push(error.message),
});
afterAll(() => app.close());

it('GET /healthz says what is served', async () => {
  const response = await app.inject('/healthz');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json()).toEqual(HEALTH);
});

it('what is not there is a problem document', async () => {
  const response = await app.inject('/nothing?secret=1');
  expect(response.statusCode).toBe(404);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(response.json()).toEqual({
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    code: 'ERR_NOT_FOUND',
    detail: 'nothing is there: GET /nothing',
    remedy: 'check the path; /docs lists what there is',
  });
});

it('a body that is no JSON is a problem document', async () => {
  const response = await app.inject({
    method: 'POST',
    url: '/healthz',
    headers: { 'content-type': 'application/json' },
    payload: '{',
  });
  expect(response.statusCode).toBe(400);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(response.json()).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400 });
});

it('a failure of its own is told to the log, not to the client', async () => {
  answer = () => {
    throw new Error('secret of the house');
  };
  const response = await app.inject('/healthz');
  answer = () => HEALTH;
  expect(response.statusCode).toBe(500);
  expect(response.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(response.json()).toMatchObject({ title: 'Internal Server Error', code: 'ERR_INTERNAL' });
  expect(response.body).not.toContain('secret of the house');
  expect(errors).toEqual(['secret of the house']);
});
