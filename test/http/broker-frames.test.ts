/** Frames on /broker that are no message, or too many. */
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_FRAME_BYTES } from '../../shared/broker/messages.ts';
import { AT_BOB, ended, useBroker } from '../support/broker-clients.ts';

const scene = useBroker();

describe('frames', () => {
  afterEach(() => scene.introducePair());

  it('that are no message close the connection, with the code', async () => {
    const eve = scene.enter();
    await eve.say('nonsense');
    expect(await eve.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_MESSAGE' });
    expect(await eve.closed).toBe(1008);
  });

  it('that are binary do so too', async () => {
    const eve = scene.enter();
    await eve.say(new Uint8Array([1, 2, 3]));
    expect(await eve.next()).toMatchObject({ kind: 'error', code: 'ERR_BROKER_MESSAGE' });
    expect(await eve.closed).toBe(1008);
  });

  it('that are too long close it with 1009', async () => {
    const eve = scene.enter();
    await eve.say('x'.repeat(MAX_FRAME_BYTES + 1));
    expect(await eve.closed).toBe(1009);
  });

  it('that break the protocol end it', async () => {
    const { socket } = await scene.openBare();
    // Not masked, with a reserved bit, of an opcode that is none.
    socket.write(Buffer.from([0xf3, 0x02, 0x61, 0x62]));
    await ended(socket);
    await expect.poll(() => scene.broker.counts().connections).toBe(0);
  });

  it('that never end take no more than their limit', async () => {
    const { socket } = await scene.openBare();
    // A text frame of 2^40 bytes is announced.
    socket.write(Buffer.from([0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
    await ended(socket);
  });

  it('in a flood end in ERR_BROKER_RATE', async () => {
    const eve = scene.enter();
    await eve.register('eve', AT_BOB);
    await eve.say(...Array.from({ length: 100 }, (_, id) => ({ kind: 'peers', id }) as const));
    let last = await eve.next();
    while (last.kind === 'peers') last = await eve.next();
    expect(last).toMatchObject({ kind: 'error', code: 'ERR_BROKER_RATE' });
    expect(await eve.closed).toBe(1008);
  });
});
