/** Who takes of the broker whatever can be had, and what others have left of it. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_BROKER_LIMITS } from '../../server/broker/limits.ts';
import type { ServerMessage } from '../../shared/broker/messages.ts';
import { helloOf } from '../support/broker.ts';
import { textFrame, useBroker } from '../support/broker-clients.ts';

/** Answers that the buffers of the system can't hold between the two of them. */
const ASKED = 200_000;
/** Of a list of two. */
const LEAST_ANSWER_BYTES = 150;

const scene = useBroker();

describe('while others flood the broker a pair is introduced within a second', () => {
  /** Whatever they do goes on until the pair has met. */
  async function introduceMeanwhile(flood: () => Promise<void>): Promise<void> {
    const { ann, bob } = await scene.enterPair();
    await flood();
    const askedAt = performance.now();
    await ann.say({ kind: 'introduce', id: 1, peer: 'bob' });
    expect(await ann.next()).toMatchObject({ kind: 'plan', id: 1 });
    expect(await bob.next()).toMatchObject({ kind: 'plan' });
    expect(performance.now() - askedAt).toBeLessThan(1000);
  }

  it('with connections that stay half open, or never say a word', async () => {
    await introduceMeanwhile(async () => {
      await Promise.all(Array.from({ length: 50 }, () => scene.openBare()));
      // The head of an upgrade that never ends.
      for (let index = 0; index < 50; index++) {
        scene.connect().write('GET /broker HTTP/1.1\r\nUpgrade: websocket\r\n');
      }
    });
  });

  it('with more connections than one place may have', async () => {
    await scene.restart({ limits: { ...DEFAULT_BROKER_LIMITS, connectionsPerClient: 20 } });
    await introduceMeanwhile(async () => {
      const crowd = Array.from({ length: 40 }, () => scene.enter());
      const codes = await Promise.all(
        crowd.map((client) => Promise.race([client.closed, client.say().then(() => undefined)])),
      );
      expect(codes.length).toBe(40);
      await expect.poll(() => scene.broker.counts().connections).toBeLessThanOrEqual(20);
    });
  });

  it('with hellos for the same name', async () => {
    await introduceMeanwhile(async () => {
      const crowd = Array.from({ length: 30 }, () => scene.enter());
      const answers = await Promise.all(
        crowd.map(async (client) => {
          await client.say(helloOf('ann'));
          return client.next();
        }),
      );
      for (const answer of answers) expect(answer).toMatchObject({ kind: 'error', code: 'ERR_NAME_TAKEN' });
    });
  });

  it('with introductions of one who asks too often', async () => {
    // All are at one address here, where they share what that may ask for.
    await scene.restart({ limits: { ...DEFAULT_BROKER_LIMITS, introductionsPerClient: 1000 } });
    await introduceMeanwhile(async () => {
      const [eve, carol] = [scene.enter(), scene.enter()];
      await eve.register('eve', { address: '192.0.2.66', port: 666 });
      await carol.register('carol', { address: '192.0.2.67', port: 667 });
      await eve.say(
        ...Array.from({ length: 20 }, (_, id) => ({ kind: 'introduce', id, peer: 'carol' }) as const),
      );
      const answers: ServerMessage[] = [];
      while (answers.length < 20) answers.push(await eve.next());
      expect(answers.at(-1)).toMatchObject({ kind: 'error', code: 'ERR_INTRODUCTIONS' });
    });
  });

  it('with one who reads nothing of what it asks for', async () => {
    await introduceMeanwhile(async () => {
      const { socket } = await scene.openBare();
      socket.pause();
      socket.write(textFrame(JSON.stringify(helloOf('sloth'))));
      for (let id = 0; id < 20; id++) socket.write(textFrame(JSON.stringify({ kind: 'peers', id })));
      await expect.poll(() => scene.broker.counts().peers).toBe(3);
    });
  });

  it('with one that it cuts off, as too much waits that is not read', async () => {
    await scene.restart({ limits: { framesPerSecond: ASKED, bytesPerSecond: ASKED * 100 } });
    const { socket } = await scene.openBare();
    let heard = 0;
    socket.on('data', (bytes: Buffer) => (heard += bytes.length)).pause();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await introduceMeanwhile(async () => {
      socket.write(textFrame(JSON.stringify(helloOf('sloth'))));
      await expect.poll(() => scene.broker.counts().connections).toBe(3);
      const asked = Array.from({ length: ASKED }, (_, id) =>
        textFrame(JSON.stringify({ kind: 'peers', id })),
      );
      socket.write(Buffer.concat(asked));
      await expect.poll(() => scene.broker.counts(), { timeout: 10_000 }).toMatchObject({ connections: 2 });
    });
    // What lay in the system's buffers may still be read.
    socket.resume();
    await closed;
    expect(heard).toBeLessThan(ASKED * LEAST_ANSWER_BYTES);
    expect(scene.broker.counts()).toMatchObject({ peers: 3, events: { lost: 1 } });
  });
});
