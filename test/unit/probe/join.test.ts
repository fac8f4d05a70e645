/** The library's join() and punch() against a real natprobed on loopback: who gets in, stays, and leaves. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { join, type JoinOptions, type MembershipEvent, punch } from '../../../probe/index.ts';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import { firstHole, startWithService, useRoom } from '../../support/room.ts';
import { findFreePorts, loopbackConfig, startOnLoopback } from '../server/loopback.ts';

const room = useRoom();

describe('a member that knows of several servers', () => {
  it('goes on at another one once its own is gone, and is seen by that one', async () => {
    const [gone, other] = await Promise.all([startWithService(), startWithService()]);
    const servers = [gone, other].map(({ endpoints }) => formatEndpoint(endpoints[0]!));
    const ann = await join({ servers, report: room.report, name: 'ann' });
    const bob = await join({ server: servers[1]!, report: room.report, name: 'bob' });
    await gone.server.stop();
    await expect
      .poll(async () => (await bob.peers()).map(({ name }) => name), { timeout: 20_000, interval: 300 })
      .toContain('ann');
    await Promise.all([ann.leave(), bob.leave()]);
    await other.server.stop();
  }, 40_000);
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
    await room.enter('bob');
    await expect(join({ ...room.access, name: 'ann', ...options } as JoinOptions)).rejects.toMatchObject({
      code,
    });
  });

  it('gives up when it is told to, before and after', async () => {
    const reason = new Error('enough');
    const early = join({ ...room.access, signal: AbortSignal.abort(reason) });
    await expect(early).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const later = new AbortController();
    const ann = await room.enter('ann', { signal: later.signal });
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
      room.enter('ann'),
      room.enter('bob', { consent: 'ask', onAsk: () => new Promise(() => {}) }),
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
      room.enter('ann', { ...there, onEvent: (event) => events.push(event) }),
      room.enter('bob', there),
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
    const [ann, bob] = await Promise.all([room.enter('ann'), room.enter('bob', { onEvent })]);
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
    const bob = await room.enter('bob');
    const atBob = firstHole(bob);
    const events: MembershipEvent[] = [];
    const hole = await punch('bob', {
      ...room.access,
      onEvent: (event) => events.push(event),
    });
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
      const room = { server: ${JSON.stringify(room.server)}, families: ['ipv4'], room: 'attic' };
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
