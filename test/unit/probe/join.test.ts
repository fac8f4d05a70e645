/** The library's join() and punch() against a real natprobed on loopback. */
import { execFile } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { Socket as TcpSocket } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import {
  type BrokerPeer,
  classify,
  type Hole,
  join,
  type JoinOptions,
  type Membership,
  type MembershipEvent,
  type NatprobeError,
  punch,
  PunchFailedError,
  type Report,
} from '../../../probe/index.ts';
import { findFreePorts, loopbackConfig, type LoopbackServer, startOnLoopback } from '../server/loopback.ts';

let running: LoopbackServer;
let report: Report;
let server: string;
async function startWithService(): Promise<LoopbackServer> {
  const [port] = await findFreePorts('127.0.0.1');
  return startOnLoopback({
    http: { host: '127.0.0.1', port, required: true },
    service: { scheme: 'http', port },
  });
}

beforeAll(async () => {
  running = await startWithService();
  server = formatEndpoint(running.endpoints[0]!);
  report = await classify({ server, families: ['ipv4'], forPunch: true });
});
afterAll(() => running.server.stop());

const members: Membership[] = [];
afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.leave()));
});

async function enter(name: string, options: Partial<JoinOptions> = {}): Promise<Membership> {
  const member = await join({ server, report, name, ...options });
  members.push(member);
  return member;
}

async function firstHole(member: Membership): Promise<Hole<Socket | TcpSocket>> {
  for await (const hole of member.holes()) return hole;
  throw new Error('left before a hole');
}

async function nextMessage(hole: Hole<unknown>): Promise<string> {
  return new Promise((resolve) => hole.on('message', (bytes) => resolve(Buffer.from(bytes).toString())));
}

describe('a member that knows of several servers', () => {
  it('goes on at another one once its own is gone, and is seen by that one', async () => {
    const [gone, other] = await Promise.all([startWithService(), startWithService()]);
    const servers = [gone, other].map(({ endpoints }) => formatEndpoint(endpoints[0]!));
    const ann = await join({ servers, report, name: 'ann' });
    const bob = await join({ server: servers[1]!, report, name: 'bob' });
    await gone.server.stop();
    await expect
      .poll(async () => (await bob.peers()).map(({ name }) => name), { timeout: 20_000, interval: 300 })
      .toContain('ann');
    await Promise.all([ann.leave(), bob.leave()]);
    await other.server.stop();
  }, 40_000);
});

describe('two members of a room', () => {
  it('open a hole that carries datagrams both ways', async () => {
    const [ann, bob] = await Promise.all([enter('ann'), enter('bob')]);
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
    const [ann] = await Promise.all([enter('ann'), enter('bob')]);
    expect(await ann.foresee('bob')).toMatchObject({
      peer: { name: 'bob' },
      prediction: { outcome: 'direct' },
    });
  });

  it('whom the first punch is made from the port of choice', async () => {
    const [port] = await findFreePorts('127.0.0.1');
    const [ann, bob] = await Promise.all([enter('ann', { localPort: port }), enter('bob')]);
    expect((await bob.punch('ann')).remote).toEqual({ address: '127.0.0.1', port });
    // The port is in use: whoever comes next gets another one.
    const carol = await enter('carol');
    expect((await carol.punch('ann')).remote.port).not.toBe(port);
    await ann.leave();
  });

  it('whose socket is the application’s own, which stays open', async () => {
    const socket = createSocket('udp4');
    const bound = once(socket, 'listening');
    socket.bind(0);
    await bound;
    const [, bob] = await Promise.all([enter('ann', { socket }), enter('bob')]);
    const hole = await bob.punch('ann');
    expect(hole.remote.port).toBe(socket.address().port);
    await Promise.all(members.splice(0).map((member) => member.leave()));
    expect(socket.address().port).toBe(hole.remote.port);
    socket.close();
  });

  it('do not meet with different secrets, and are told so', async () => {
    const [ann] = await Promise.all([enter('ann', { psk: 'one' }), enter('bob', { psk: 'other' })]);
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
    const [ann] = await Promise.all([enter('ann', { psk: 'one' }), enter('bob', { psk: 'other', onEvent })]);
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
      enter('ann', {
        psk: 'one',
        onEvent: ({ kind }) => {
          if (kind !== 'retrying') return;
          calledOffAt = performance.now();
          enough.abort();
        },
      }),
      enter('bob', {
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
    const [ann] = await Promise.all([enter('ann'), enter('bob', { consent, onAsk })]);
    const hole = await ann.punch('bob');
    expect(asked.map(({ name }) => name)).toEqual(['ann']);
    const carol = await enter('carol');
    await expect(carol.punch('bob')).rejects.toMatchObject({ code: 'ERR_PEER_REFUSED' });
    // Whoever is in gets in again.
    await ann.punch('bob');
    expect(asked.map(({ name }) => name)).toEqual(['ann', 'carol']);
    await hole.close();
  });

  it('make the same hole again when it is asked for again', async () => {
    const [ann, bob] = await Promise.all([enter('ann'), enter('bob')]);
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

describe('a member', () => {
  it.each([
    ['that is taken', { name: 'bob' }, 'ERR_NAME_TAKEN'],
    ['of digits', { name: '7' }, 'ERR_PEER_NAME'],
    ['without a server', { server: undefined }, 'ERR_NO_SERVER'],
    ['with a mapping of no port', { mapPort: true }, 'ERR_FLAGS'],
    ['with nobody to answer questions', { consent: 'ask' }, 'ERR_FLAGS'],
    ['of another API', { api: 'http://127.0.0.1:9/' }, 'ERR_API_UNREACHABLE'],
  ] as const)('%s is told why it does not get in', async (_what, options, code) => {
    await enter('bob');
    await expect(join({ server, report, name: 'ann', ...options } as JoinOptions)).rejects.toMatchObject({
      code,
    });
  });

  it('gives up when it is told to, before and after', async () => {
    const reason = new Error('enough');
    const early = join({ server, report, signal: AbortSignal.abort(reason) });
    await expect(early).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const later = new AbortController();
    const ann = await enter('ann', { signal: later.signal });
    const asking = ann.punch('nobody');
    later.abort(reason);
    await expect(asking).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_(ABORTED|NO_PEER)/) as string,
    });
    expect(await ann.left).toBeUndefined();
    await expect(ann.peers()).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    await expect(ann.punch('bob')).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });

  it('stops one punch, and stays', async () => {
    const [ann] = await Promise.all([
      enter('ann'),
      enter('bob', { consent: 'ask', onAsk: () => new Promise(() => {}) }),
    ]);
    const enough = new AbortController();
    const asking = ann.punch('bob', { signal: enough.signal });
    setTimeout(() => enough.abort(), 100);
    await expect(asking).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect((await ann.peers()).length).toBe(2);
  });

  it('comes back to a server that has restarted, under its name, and can be punched again', async () => {
    const [port] = await findFreePorts('127.0.0.1');
    const http = { host: '127.0.0.1', port, required: true };
    const config = { ...(await loopbackConfig()), http, service: { scheme: 'http' as const, port } };
    const first = await startOnLoopback(config);
    const there = { server: formatEndpoint(first.endpoints[0]!) };
    const events: MembershipEvent[] = [];
    const [ann, bob] = await Promise.all([
      enter('ann', { ...there, onEvent: (event) => events.push(event) }),
      enter('bob', there),
    ]);
    const hole = await ann.punch('bob');
    await first.server.stop();
    const second = await startOnLoopback(config);
    try {
      const registrations = (): number => events.filter(({ kind }) => kind === 'registered').length;
      await expect.poll(registrations, { timeout: 20_000 }).toBe(2);
      expect(events.find(({ kind }) => kind === 'lost')).toMatchObject({
        error: { code: 'ERR_BROKER_STOPS' },
      });
      await expect.poll(async () => (await ann.peers()).length, { timeout: 20_000, interval: 500 }).toBe(2);
      expect(await ann.punch('bob')).toBe(hole);
      await Promise.all([ann.leave(), bob.leave()]);
    } finally {
      await second.server.stop();
    }
  }, 60_000);

  it('closes its holes when it leaves, and its list of them ends', async () => {
    const there: string[] = [];
    const onEvent = (event: MembershipEvent): void => {
      if (event.kind !== 'hole') return;
      event.hole.on('lost', () => there.push('lost')).on('closed', () => there.push('closed'));
    };
    const [ann, bob] = await Promise.all([enter('ann'), enter('bob', { onEvent })]);
    const all = (async () => {
      const names: string[] = [];
      for await (const hole of bob.holes()) names.push(hole.peer.name);
      return names;
    })();
    const hole = await ann.punch('bob');
    const closed = new Promise((resolve) => hole.on('closed', () => resolve('closed')));
    await Promise.all([ann.leave(), expect(closed).resolves.toBe('closed')]);
    // The peer knows at once, and nothing is punched again.
    await expect.poll(() => there).toEqual(['closed']);
    await bob.leave();
    expect(await all).toEqual(['ann']);
  });
});

describe('punch()', () => {
  it('joins under a name of its own, and leaves when the hole is closed', async () => {
    const bob = await enter('bob');
    const atBob = firstHole(bob);
    const events: MembershipEvent[] = [];
    const hole = await punch('bob', { server, report, onEvent: (event) => events.push(event) });
    expect((await atBob).peer.name).toMatch(/^[a-z]+-[a-z]+-\d\d$/);
    await hole.close();
    await expect.poll(() => events.at(-1)?.kind).toBe('left');
    await expect.poll(async () => (await bob.peers()).map(({ name }) => name)).toEqual(['bob']);
    expect(events.map(({ kind }) => kind)).toEqual(['joined', 'registered', 'planned', 'left']);
  });
});

describe('a program that has left', () => {
  it('ends by itself: nothing is left open', async () => {
    const library = new URL('../../../probe/index.ts', import.meta.url).href;
    const program = `
      import { join, punch } from ${JSON.stringify(library)};
      const room = { server: ${JSON.stringify(server)}, families: ['ipv4'], room: 'attic' };
      const bob = await join({ ...room, name: 'bob' });
      const hole = await punch('bob', room);
      await hole.close();
      await bob.leave();
      console.log(hole.report.outcome);
    `;
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module-typescript', '--eval', program],
      { timeout: 20_000 },
    );
    expect(stdout).toBe('open\n');
  }, 30_000);
});

describe('over TCP two members', () => {
  it('foresee by what each has measured of it on its way in', async () => {
    const families = ['ipv4'] as const;
    const [ann] = await Promise.all(
      ['ann', 'bob'].map(async (name) => {
        const member = await join({ server, families, name });
        members.push(member);
        return member;
      }),
    );
    const { prediction, reasons } = await ann!.foresee('bob', { transport: 'tcp' });
    expect(prediction).toMatchObject({ outcome: 'direct', probability: 0.999 });
    expect(reasons.filter(({ code }) => code.startsWith('assumed'))).toEqual([]);
    // Who was told by a report of UDP alone has to assume it.
    await enter('carol');
    const { reasons: others } = await ann!.foresee('carol', { transport: 'tcp' });
    expect(others.map(({ code }) => code)).toContain('assumed-tcp');
  });

  it('are connected by a stream that carries both ways, and told when it ends', async () => {
    const holes: Hole<TcpSocket>[] = [];
    const onEvent = (event: MembershipEvent): void => {
      if (event.kind === 'tcp-hole') holes.push(event.hole);
    };
    const [ann] = await Promise.all([enter('ann'), enter('bob', { onEvent })]);
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
    const [ann, bob] = await Promise.all([enter('ann'), enter('bob')]);
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
