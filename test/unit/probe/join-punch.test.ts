/** Members of a room on a real natprobed on loopback, and the holes that they open over UDP. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type BrokerPeer, type MembershipEvent, PunchFailedError } from '../../../probe/index.ts';
import { firstHole, nextMessage, useRoom } from '../../support/room.ts';
import { findFreePorts } from '../server/loopback.ts';

const room = useRoom();

describe('two members of a room', () => {
  it('open a hole that carries datagrams both ways', async () => {
    const [ann, bob] = await Promise.all([room.enter('ann'), room.enter('bob')]);
    expect((await ann.peers()).map(({ name }) => name).sort()).toEqual(['ann', 'bob']);
    const atBob = firstHole(bob);
    const here = await ann.punch('bob');
    const there = await atBob;
    expect(here.peer).toMatchObject({ name: 'bob', number: bob.number });
    expect(there.peer).toMatchObject({ name: 'ann', number: ann.number });
    expect(here.report).toMatchObject({ outcome: 'open', transport: 'udp', attempts: 1 });
    expect(Buffer.from(here.key)).toEqual(Buffer.from(there.key));
    expect([here.role, there.role].sort()).toEqual(['controlled', 'controlling']);
    const [heardHere, heardThere] = [nextMessage(here), nextMessage(there)];
    here.send(Buffer.from('to bob'));
    there.send(Buffer.from('to ann'));
    expect([await heardHere, await heardThere]).toEqual(['to ann', 'to bob']);
  });

  it('foresee what a punch would promise', async () => {
    const [ann] = await Promise.all([room.enter('ann'), room.enter('bob')]);
    expect(await ann.foresee('bob')).toMatchObject({
      peer: { name: 'bob' },
      prediction: { outcome: 'direct' },
    });
  });

  it('whom the first punch is made from the port of choice', async () => {
    const [port] = await findFreePorts('127.0.0.1');
    const [ann, bob] = await Promise.all([room.enter('ann', { localPort: port }), room.enter('bob')]);
    expect((await bob.punch('ann')).remote).toEqual({ address: '127.0.0.1', port });
    // The port is in use: whoever comes next gets another one.
    const carol = await room.enter('carol');
    expect((await carol.punch('ann')).remote.port).not.toBe(port);
    await ann.leave();
  });

  it('whose socket is the application’s own, which stays open', async () => {
    const socket = createSocket('udp4');
    const bound = once(socket, 'listening');
    socket.bind(0);
    await bound;
    const [, bob] = await Promise.all([room.enter('ann', { socket }), room.enter('bob')]);
    const hole = await bob.punch('ann');
    expect(hole.remote.port).toBe(socket.address().port);
    await room.empty();
    expect(socket.address().port).toBe(hole.remote.port);
    socket.close();
  });

  it('do not meet with different secrets, and are told so', async () => {
    const [ann] = await Promise.all([room.enter('ann', { psk: 'one' }), room.enter('bob', { psk: 'other' })]);
    const failure = await ann.punch('bob').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PunchFailedError);
    expect(failure).toMatchObject({
      code: 'ERR_PUNCH_FAILED',
      report: { outcome: 'failed', code: 'nothing-heard', peer: { name: 'bob' } },
    });
  }, 60_000);

  it('do not punch on where one has given up', async () => {
    const failed = Promise.withResolvers<MembershipEvent>();
    const onEvent = (event: MembershipEvent): void => {
      if (event.kind === 'failed') failed.resolve(event);
    };
    const [ann] = await Promise.all([
      room.enter('ann', { psk: 'one' }),
      room.enter('bob', { psk: 'other', onEvent }),
    ]);
    const enough = new AbortController();
    const punching = ann.punch('bob', { signal: enough.signal });
    setTimeout(() => enough.abort(), 300);
    await expect(punching).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(await failed.promise).toMatchObject({ report: { code: 'given-up', attempts: 1 } });
  });

  it('do not wait for an attempt that one does not want to make any more', async () => {
    const failed = Promise.withResolvers<MembershipEvent>();
    const enough = new AbortController();
    let calledOffAt = 0;
    const [ann] = await Promise.all([
      room.enter('ann', {
        psk: 'one',
        onEvent: ({ kind }) => {
          if (kind !== 'retrying') return;
          calledOffAt = performance.now();
          enough.abort();
        },
      }),
      room.enter('bob', {
        psk: 'other',
        onEvent: (event) => {
          if (event.kind === 'failed') failed.resolve(event);
        },
      }),
    ]);
    await expect(ann.punch('bob', { signal: enough.signal })).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(await failed.promise).toMatchObject({ report: { code: 'given-up', attempts: 1 } });
    expect(performance.now() - calledOffAt).toBeLessThan(3000);
  });

  it('ask first where one wants to be asked', async () => {
    const asked: BrokerPeer[] = [];
    const consent = 'ask';
    const onAsk = (peer: BrokerPeer): boolean => asked.push(peer) === 1;
    const [ann] = await Promise.all([room.enter('ann'), room.enter('bob', { consent, onAsk })]);
    const hole = await ann.punch('bob');
    expect(asked.map(({ name }) => name)).toEqual(['ann']);
    const carol = await room.enter('carol');
    await expect(carol.punch('bob')).rejects.toMatchObject({ code: 'ERR_PEER_REFUSED' });
    // Whoever is in gets in again.
    await ann.punch('bob');
    expect(asked.map(({ name }) => name)).toEqual(['ann', 'carol']);
    await hole.close();
  });

  it('make the same hole again when it is asked for again', async () => {
    const [ann, bob] = await Promise.all([room.enter('ann'), room.enter('bob')]);
    const atBob = firstHole(bob);
    const hole = await ann.punch('bob');
    const reopened = new Promise((resolve) => hole.on('reopened', resolve));
    expect(await ann.punch('bob')).toBe(hole);
    await reopened;
    const heard = nextMessage(await atBob);
    hole.send(Buffer.from('again'));
    expect(await heard).toBe('again');
  });
});
