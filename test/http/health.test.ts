import { afterAll, expect, it } from 'vitest';
import type { Health } from '../../server/http/status.ts';
import { openTestApp, problemOf } from './app.ts';

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
  pair: { name: 'nat-1', partner: 'there', roundTripMs: 2 },
  nats: { connection: 'there', names: 'lost' },
};

let answer: () => Health = () => HEALTH;
let fault: string | undefined;
const { app, errors, close } = await openTestApp(
  {},
  { health: () => answer(), findFault: () => Promise.resolve(fault) },
);
afterAll(close);

it('GET /healthz says what is served', async () => {
  const response = await app.inject('/healthz');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(response.headers['cache-control']).toBe('no-store');
  expect(response.json()).toEqual(HEALTH);
});

it('GET /readyz says whether the server can work, and what it lacks', async () => {
  expect((await app.inject('/readyz')).json()).toEqual({ status: 'ready' });
  fault = 'its STUN sockets are not all open yet';
  expect(problemOf(await app.inject('/readyz'))).toMatchObject({
    status: 503,
    code: 'ERR_NOT_READY',
    detail: 'the server cannot serve this now: its STUN sockets are not all open yet',
  });
  expect(errors).toEqual([]);
});

it('a failure of its own is told to the log, not to the client', async () => {
  answer = () => {
    throw new Error('secret of the house');
  };
  const response = await app.inject('/healthz');
  answer = () => HEALTH;
  expect(problemOf(response)).toMatchObject({ status: 500, code: 'ERR_INTERNAL' });
  expect(response.body).not.toContain('secret of the house');
  expect(errors.map(({ message }) => message)).toEqual(['secret of the house']);
});
