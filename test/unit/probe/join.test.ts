/** The library's join() and punch() against a real natprobed on loopback. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatEndpoint } from '../../../shared/endpoint.ts';
import {
  classify,
  type Hole,
  join,
  type JoinOptions,
  type Membership,
  type MembershipEvent,
  punch,
  type Report,
} from '../../../probe/index.ts';
import type { Socket } from 'node:dgram';
import { findFreePorts, type LoopbackServer, startOnLoopback } from '../server/loopback.ts';

let running: LoopbackServer;
let report: Report;
let server: string;
beforeAll(async () => {
  const [port] = await findFreePorts('127.0.0.1');
  running = await startOnLoopback({
    http: { host: '127.0.0.1', port, required: true },
    service: { scheme: 'http', port },
  });
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

async function firstHole(member: Membership): Promise<Hole<Socket>> {
  for await (const hole of member.holes()) return hole;
  throw new Error('left before a hole');
}

async function nextMessage(hole: Hole<Socket>): Promise<string> {
  return new Promise((resolve) => hole.on('message', (bytes) => resolve(Buffer.from(bytes).toString())));
}

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
