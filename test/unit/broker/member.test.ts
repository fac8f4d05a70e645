/** The member's machine against the broker's own, under virtual time. */
import { describe, expect, it } from 'vitest';
import { PORT_RESTRICTED } from '../../support/broker.ts';
import { MemberWorld } from '../../support/members.ts';

describe('a member', () => {
  it('says hello, registers, and renews from the same sockets', () => {
    const world = new MemberWorld();
    const ann = world.add('ann');
    world.run(100);
    expect(ann.story).toEqual(['>hello', '<welcome', 'joined', '>candidates', '<registered', 'registered']);
    expect(ann.last('joined')).toMatchObject({ name: 'ann', number: 1, room: 'lobby', isNew: true });
    world.run(60_000);
    expect(ann.story.slice(6)).toEqual(Array(3).fill(['>candidates', '<registered']).flat());
    expect([...ann.gatherings]).toEqual([1]);
  });

  it('answers heartbeats: it is still there after an hour', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    world.run(3_600_000);
    expect(ann.said('lost')).toBe(false);
    const request = ann.ask({ about: 'peers' });
    world.run(100);
    expect(ann.endOf(request)).toBe('peers');
    expect(ann.last('peers').peers).toMatchObject([{ name: 'ann', number: 1 }]);
  });

  it('leaves: its name is free then, and all sockets are let go of', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    ann.hear({ kind: 'leave' });
    world.run(100);
    expect(ann.events.at(-1)).toEqual({ kind: 'ended' });
    expect(ann.gatherings.size).toBe(0);
    expect(world.enter('ann').last('joined').number).toBe(1);
  });

  it.each([
    ['that is taken', 'ann', 'ERR_NAME_TAKEN'],
    ['of digits', '42', 'ERR_PEER_NAME'],
  ])('is refused at the door with a name %s', (_what, name, code) => {
    const world = new MemberWorld();
    world.enter('ann');
    const other = world.add(name);
    world.run(1000);
    expect(other.events).toMatchObject([{ kind: 'ended', error: { code } }]);
  });

  it('ends at once where nobody answers its first connection', () => {
    const world = new MemberWorld();
    world.isDown = true;
    const ann = world.add('ann');
    world.run(1000);
    expect(ann.events).toMatchObject([{ kind: 'ended', error: { code: 'ERR_API_UNREACHABLE' } }]);
  });

  it('says that it is not seen, and is registered once it is', () => {
    const world = new MemberWorld();
    const ann = world.add('ann');
    ann.isSeen = false;
    world.run(1000);
    expect(ann.last('unregistered').error.code).toBe('ERR_UNREACHABLE');
    ann.isSeen = true;
    world.run(10_000);
    expect(ann.said('registered')).toBe(true);
    expect(ann.gatherings.size).toBe(1);
  });

  it.each(['{', '{"kind":"unheard-of"}'])('ends at a frame that is no message: %s', (text) => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    const request = ann.ask({ about: 'peers' });
    world.sayTo(ann, text);
    expect(ann.last('ended').error?.code).toBe('ERR_BROKER_MESSAGE');
    expect(ann.endOf(request)).toBe('ERR_BROKER_MESSAGE');
    world.run(5000);
    expect(ann.gatherings.size).toBe(0);
  });
});

describe('candidates', () => {
  it('are of fresh sockets once the old ones are not seen any more', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    ann.isSeen = false;
    world.run(15_000);
    expect(ann.last('unregistered').error.code).toBe('ERR_UNREACHABLE');
    ann.isSeen = true;
    world.run(5000);
    expect([...ann.gatherings]).toEqual([2]);
    expect(ann.events.filter(({ kind }) => kind === 'registered')).toHaveLength(2);
  });

  it('of a side whose NAT counts ports are fresh for each plan', () => {
    const world = new MemberWorld();
    const skips = { shape: 10, rate: 100_000 };
    const next = [{ weight: 1, law: { kind: 'after-last', delta: 1, last: 9000, agoMs: 0, skips } }] as const;
    const symmetric = {
      ...PORT_RESTRICTED,
      type: 'symmetric',
      mapping: 'address-and-port-dependent',
      ports: { value: 'sequential', delta: 1, model: { newSocket: next, newEndpoint: next } },
    } as const;
    const [ann, bob] = [world.enter('ann', { behaviours: [symmetric] }), world.enter('bob')];
    world.run(5000);
    ann.introduce('bob');
    world.run(200);
    expect(ann.punches).toMatchObject([{ gathering: 2 }]);
    expect(bob.punches).toMatchObject([{ gathering: 1 }]);
  });
});
