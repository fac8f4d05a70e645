/** Members of a room on a real natprobed on loopback, and the connections that they make over TCP. */
import { once } from 'node:events';
import { Socket as TcpSocket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type Hole, join, type MembershipEvent, type NatprobeError } from '../../../probe/index.ts';
import { firstHole, nextMessage, useRoom } from '../../support/room.ts';

const room = useRoom();

describe('over TCP two members', () => {
  it('foresee by what each has measured of it on its way in', async () => {
    const families = ['ipv4'] as const;
    const [ann] = await Promise.all(
      ['ann', 'bob'].map(async (name) => {
        return room.welcome(await join({ server: room.server, families, name }));
      }),
    );
    const { prediction, reasons } = await ann!.foresee('bob', { transport: 'tcp' });
    expect(prediction).toMatchObject({ outcome: 'direct', probability: 0.999 });
    expect(reasons.filter(({ code }) => code.startsWith('assumed'))).toEqual([]);
    // Who was told by a report of UDP alone has to assume it.
    await room.enter('carol');
    const { reasons: others } = await ann!.foresee('carol', { transport: 'tcp' });
    expect(others.map(({ code }) => code)).toContain('assumed-tcp');
  });

  it('are connected by a stream that carries both ways, and told when it ends', async () => {
    const holes: Hole<TcpSocket>[] = [];
    const onEvent = (event: MembershipEvent): void => {
      if (event.kind === 'tcp-hole') holes.push(event.hole);
    };
    const [ann] = await Promise.all([room.enter('ann'), room.enter('bob', { onEvent })]);
    const here = await ann.punch('bob', { transport: 'tcp' });
    expect(here.report).toMatchObject({ outcome: 'open', transport: 'tcp', path: 'direct' });
    await expect.poll(() => holes.length).toBe(1);
    const [there] = holes as [Hole<TcpSocket>];
    expect(Buffer.from(here.key)).toEqual(Buffer.from(there.key));
    expect([here.socket.remotePort, there.socket.remotePort]).toEqual([
      there.socket.localPort,
      here.socket.localPort,
    ]);
    const heardHere = once(here.socket, 'data');
    const heardThere = once(there.socket, 'data');
    here.send(Buffer.from('to bob'));
    there.send(Buffer.from('to ann'));
    here.socket.resume();
    there.socket.resume();
    expect([String((await heardHere)[0]), String((await heardThere)[0])]).toEqual(['to ann', 'to bob']);
    const closed = new Promise<unknown>((resolve) => there.on('closed', resolve));
    await here.close();
    expect(await closed).toBeUndefined();
    // And once more, from other ports.
    const again = await ann.punch('bob', { transport: 'tcp' });
    expect(again.socket.localPort).not.toBe(here.socket.localPort);
    await again.close();
  });

  it('find them among the holes of a member, and hear why one broke', async () => {
    const [ann, bob] = await Promise.all([room.enter('ann'), room.enter('bob')]);
    const atBob = firstHole(bob);
    const here = await ann.punch('bob', { transport: 'tcp' });
    const there = await atBob;
    expect([there.report.transport, there.socket instanceof TcpSocket]).toEqual(['tcp', true]);
    const heard = nextMessage(there);
    here.send(Buffer.from('to bob'));
    expect(await heard).toBe('to bob');
    const closed = new Promise<NatprobeError | undefined>((resolve) => there.on('closed', resolve));
    here.socket.resetAndDestroy();
    const reason = await closed;
    expect(reason).toMatchObject({ code: 'ERR_HOLE_LOST' });
    expect(reason?.message).toContain('ECONNRESET');
    // What was under way is gone, so that it is not made again by itself: whoever wants one punches anew.
    const afterwards: string[] = [];
    there.on('reopened', () => afterwards.push('reopened')).on('message', () => afterwards.push('message'));
    const atBobAnew = firstHole(bob);
    const anew = await ann.punch('bob', { transport: 'tcp' });
    const heardAnew = nextMessage(await atBobAnew);
    anew.send(Buffer.from('once more'));
    expect(await heardAnew).toBe('once more');
    expect([anew.socket === here.socket, afterwards]).toEqual([false, []]);
  });
});
