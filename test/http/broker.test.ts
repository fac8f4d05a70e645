/** The WebSocket /broker over real connections, with the browser's client and with bare sockets. */
import { describe, expect, it } from 'vitest';
import { helloOf, witnessOf } from '../support/broker.ts';
import { AT_ANN, ended, useBroker } from '../support/broker-clients.ts';
import { problemOf } from './app.ts';

const scene = useBroker();

describe('WebSocket /broker', () => {
  it('introduces two peers to each other', () => scene.introducePair());

  it('counts punches by what the two say of them', async () => {
    const { ann, bob } = await scene.enterPair();
    const ends = [
      ['open', 'open', 'direct'],
      ['failed', 'failed', undefined],
      ['open', 'failed', 'direct'],
      ['open', 'open', 'relay'],
    ] as const;
    for (const [id, [said, answered, path]] of ends.entries()) {
      await ann.say({ kind: 'introduce', id, peer: 'bob' });
      const plan = await ann.next();
      if (plan.kind !== 'plan') throw new Error(JSON.stringify(plan));
      await bob.next();
      const { introduction } = plan;
      const outcome = {
        kind: 'outcome',
        introduction,
        packets: 3,
        timeMs: 4,
        ...(path && { path }),
      } as const;
      await ann.say({ ...outcome, outcome: said });
      await bob.say({ ...outcome, outcome: answered });
      await expect.poll(() => scene.broker.counts().events.punched).toBe(id + 1);
    }
    const { body } = await scene.app.inject('/metrics');
    const counted = body
      .split('\n')
      .filter((line) => line.startsWith('natprobed_punches_total{transport="udp"'));
    expect(counted.map((line) => line.replace(/^.*outcome=/, ''))).toEqual([
      '"open"} 1',
      '"relayed"} 1',
      '"failed"} 1',
      '"disputed"} 1',
      '"unreported"} 0',
    ]);
  });

  it('resumes a name over another connection', async () => {
    const ann = scene.enter();
    const token = await ann.register('ann', AT_ANN);
    ann.socket.close();
    await ann.closed;
    const again = scene.enter();
    await again.say(helloOf('ann', { token }));
    expect(await again.next()).toMatchObject({ kind: 'welcome', resumed: true });
    expect(scene.broker.counts()).toMatchObject({
      connections: 1,
      peers: 1,
      events: { lost: 1, resumed: 1 },
    });
  });

  it('is a problem for who doesn’t speak WebSocket', async () => {
    const response = await scene.app.inject('/broker');
    expect(response.headers['upgrade']).toBe('websocket');
    expect(problemOf(response)).toMatchObject({ status: 426, code: 'ERR_REQUEST' });
  });

  it('is not for pages of other origins, but for this server’s own', async () => {
    const foreign = await scene.openBare('/broker', 'Origin: https://example.com\r\n');
    expect(foreign.head).toMatch(/^HTTP\/1\.1 403 [^]*"code":"ERR_REQUEST"/);
    const own = await scene.openBare('/broker', `Origin: http://127.0.0.1:${scene.port}\r\n`);
    expect(own.head).toMatch(/^HTTP\/1\.1 101 /);
  });

  it('makes an offer to upgrade no obstacle elsewhere', async () => {
    expect((await scene.openBare('/healthz')).head).toMatch(/^HTTP\/1\.1 200 /);
    expect((await scene.openBare('/nowhere')).head).toMatch(/^HTTP\/1\.1 404 /);
  });
});

describe('connections', () => {
  it('that say nothing are closed', async () => {
    await scene.restart({ times: { helloMs: 50 } });
    const { socket } = await scene.openBare();
    await ended(socket);
    await scene.introducePair();
  });

  it('that are half open are closed, also where nobody answers a goodbye', async () => {
    await scene.restart({ times: { heartbeatMs: 40, silenceMs: 100, graceMs: 50 } });
    const { socket } = await scene.openBare();
    const hello = Buffer.from(JSON.stringify(helloOf('eve')));
    const header = Buffer.from([0x81, 0xfe, hello.length >> 8, hello.length & 0xff, 0, 0, 0, 0]);
    socket.write(Buffer.concat([header, hello]));
    await ended(socket);
    await expect.poll(() => scene.broker.counts()).toMatchObject({ connections: 0, peers: 0 });
  });

  it('end with the server, which says so and doesn’t wait for those that don’t listen', async () => {
    const ann = scene.enter();
    await ann.register('ann', AT_ANN);
    const { socket } = await scene.openBare();
    const startedAt = performance.now();
    const stopped = scene.stop();
    expect(await ann.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_STOPS' });
    expect(await ann.closed).toBe(1001);
    await ended(socket);
    await stopped;
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});

describe('a mistake of the broker’s own', () => {
  it('ends the connection that met it, and is told', async () => {
    const errors: Error[] = [];
    await scene.restart({
      onError: (error) => errors.push(error),
      checkWitness: () => {
        throw new Error('a mistake');
      },
    });
    const eve = scene.enter();
    await eve.say(helloOf('eve'));
    const welcome = await eve.next();
    if (welcome.kind !== 'welcome') throw new Error('no welcome');
    const witness = witnessOf(welcome.nonce, AT_ANN, Date.now());
    await eve.say({ kind: 'candidates', public: [witness], private: [], mapped: [] });
    await eve.closed;
    expect(errors.map(({ message }) => message)).toEqual(['a mistake']);
    const bob = scene.enter();
    await bob.say(helloOf('bob'));
    expect(await bob.next()).toMatchObject({ kind: 'welcome' });
  });
});
