/** Holes between two on loopback, by real plans on real sockets. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openUdpSocket } from '../../../probe/drive/udp.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { behaviourOf } from '../../../shared/punch/behaviour.ts';
import { type PunchPair, punchPair, type PunchPairOptions } from '../../support/punch-pair.ts';
import { type LoopbackServer, startOnLoopback } from '../server/loopback.ts';

const OPEN = behaviourOf({ mapping: 'none', filtering: 'endpoint-independent' });

let stun: LoopbackServer;
let server: Endpoint;
const pairs: PunchPair[] = [];
beforeAll(async () => {
  stun = await startOnLoopback();
  server = stun.endpoints[0]!;
});
afterAll(() => stun.server.stop());
afterEach(() => {
  for (const pair of pairs.splice(0)) pair.stop();
});

async function punch(options: Partial<PunchPairOptions> = {}): Promise<PunchPair> {
  const pair = await punchPair({ server, behaviours: { a: OPEN, b: OPEN }, ...options });
  pairs.push(pair);
  return pair;
}

const next = <Value>(listen: (resolve: (value: Value) => void) => unknown): Promise<Value> =>
  new Promise((resolve) => void listen(resolve));

describe('a punch', () => {
  it('opens a hole with one key, two roles and a report', async () => {
    const pair = await punch();
    const { a, b } = await pair.opened;
    expect(a.report).toMatchObject({ outcome: 'open', transport: 'udp', path: 'direct', attempts: 1 });
    expect(a.report.endpoints).toEqual({
      local: b.report.endpoints.remote,
      remote: b.report.endpoints.local,
    });
    expect(a.report.packets).toBeLessThan(20);
    expect(new Set([a.role, b.role])).toEqual(new Set(['controlling', 'controlled']));
    expect(a.key).toEqual(b.key);
    expect(pair.outcomes).toMatchObject({ a: [{ outcome: 'open' }], b: [{ outcome: 'open' }] });
  });

  it('carries messages both ways, those that came before anybody listened first', async () => {
    const { a, b } = await (await punch()).opened;
    for (const text of ['one', 'two']) a.send(Buffer.from(text));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.send(Buffer.from('three'));
    const heard: string[] = [];
    await next<undefined>((resolve) =>
      b.on('message', (bytes) => {
        heard.push(Buffer.from(bytes).toString());
        if (heard.length === 3) resolve(undefined);
      }),
    );
    expect(heard).toEqual(['one', 'two', 'three']);
    b.send(Buffer.from('back'));
    expect(Buffer.from(await next<Uint8Array>((resolve) => a.on('message', resolve))).toString()).toBe(
      'back',
    );
  });

  it('shows neither checks nor what strangers send', async () => {
    const { a, b } = await (await punch({ change: (plan) => ({ ...plan, keepaliveMs: 20 }) })).opened;
    const heard: string[] = [];
    b.on('message', (bytes) => heard.push(Buffer.from(bytes).toString('latin1')));
    const stranger = await openUdpSocket('ipv4', 0, server, { onDatagram() {}, onRefused() {} });
    stranger.send(a.remote, Buffer.from('mine'));
    await new Promise((resolve) => setTimeout(resolve, 150));
    a.send(Buffer.from('yours'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    stranger.close();
    expect(heard).toEqual(['yours']);
  });

  it('opens no hole with another key, and says what it saw', async () => {
    const keys = { a: Buffer.alloc(32, 1), b: Buffer.alloc(32, 2) };
    const shorten = { timeMs: 300, attempts: 1 };
    const pair = await punch({ keys, change: (plan) => ({ ...plan, ...shorten }) });
    await expect(pair.opened).rejects.toThrow('nothing-heard');
    await vi.waitFor(() => expect([pair.outcomes.a.length, pair.outcomes.b.length]).toEqual([1, 1]));
    expect(pair.outcomes.a).toMatchObject([{ outcome: 'failed', attempts: 1, endpoints: {} }]);
  });

  it('tries again with other sockets after a failure, for as long as the plan says', async () => {
    const nowhere = { kind: 'check', to: [server] } as const;
    const pair = await punch({
      change: (plan, side) =>
        plan.attempt > 1
          ? plan
          : {
              ...plan,
              timeMs: 200,
              steps: [{ ...plan.steps[0]!, action: nowhere }],
              role: side === 'a' ? 'controlling' : 'controlled',
            },
    });
    const { a, b } = await pair.opened;
    expect(pair.attempts).toEqual([1, 2]);
    expect([a.report.attempts, b.report.attempts]).toEqual([2, 2]);
    const each = [
      { outcome: 'failed', attempts: 1 },
      { outcome: 'open', attempts: 2 },
    ];
    expect(pair.outcomes).toMatchObject({ a: each, b: each });
  });

  it('goes on with the sockets that it has where it can’t open as many as the plan says, and tells', async () => {
    let opened = 0;
    const troubles: string[] = [];
    const pair = await punch({
      open: (...socket) =>
        // The main ones, and two of the others.
        ++opened > 4
          ? Promise.reject(Object.assign(new Error('no more'), { code: 'EMFILE' }))
          : openUdpSocket(...socket),
      change: (plan, side) => {
        const to = plan.peer.candidates[0]!.endpoint;
        const spread = { kind: 'spread', to, sockets: 8 } as const;
        const steps = [{ ...plan.steps[0]!, strategy: 'birthday', action: spread } as const];
        return side === 'a' ? { ...plan, steps } : plan;
      },
      onTrouble: ({ message }, side) => troubles.push(`${side}: ${message}`),
    });
    const { a } = await pair.opened;
    expect(a.report.outcome).toBe('open');
    expect(troubles).toEqual([expect.stringMatching(/^a: .*6 of 8 not: EMFILE.*ulimit -n/)]);
  });

  it('is told of a hole that is lost, and goes on through another', async () => {
    const pair = await punch({ change: (plan) => ({ ...plan, keepaliveMs: 50 }) });
    const { a, b } = await pair.opened;
    const before = a.report.endpoints.local;
    const reopened = [a, b].map((hole) => next((resolve) => hole.on('reopened', resolve)));
    const lost = next<number>((resolve) => a.on('lost', resolve));
    // The socket goes from under both, as a network that is left.
    a.socket.close();
    b.socket.close();
    expect(await lost).toBeGreaterThan(1000);
    await Promise.all(reopened);
    expect(a.report.endpoints.local).not.toBe(before);
    const heard = next<Uint8Array>((resolve) => b.on('message', resolve));
    a.send(Buffer.from('still here'));
    expect(Buffer.from(await heard).toString()).toBe('still here');
  });

  it('ends in closed, and lets go of its sockets', async () => {
    const { a, b } = await (await punch()).opened;
    const closed = next<undefined>((resolve) => a.on('closed', () => resolve(undefined)));
    const raw = next<undefined>((resolve) => a.socket.once('close', () => resolve(undefined)));
    await a.close();
    await Promise.all([closed, raw]);
    a.send(Buffer.from('into nothing'));
    await b.close();
  });
});
