/** The member's machine against the broker's own, under virtual time: introductions. */
import { describe, expect, it } from 'vitest';
import { PORT_RESTRICTED } from '../../support/broker.ts';
import { MemberWorld } from '../../support/members.ts';

describe('an introduction', () => {
  it('ends in a plan for both, after which each registers fresh sockets', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    const request = ann.introduce('bob');
    world.run(200);
    expect(ann.endOf(request)).toBe('plan');
    expect(ann.punches).toMatchObject([
      { gathering: 1, request, plan: { side: 'a', peer: { name: 'bob' } } },
    ]);
    expect(bob.punches).toMatchObject([{ gathering: 1, plan: { side: 'b', peer: { name: 'ann' } } }]);
    expect(bob.punches[0]!.request).toBeUndefined();
    expect([[...ann.gatherings], [...bob.gatherings]]).toEqual([[2], [2]]);
  });

  it('shares the sockets with another one that comes before fresh ones are registered', () => {
    const world = new MemberWorld();
    const [ann, bob, carol] = [world.enter('ann'), world.enter('bob'), world.enter('carol')];
    bob.introduce('ann');
    carol.introduce('ann');
    world.run(200);
    expect(ann.punches.map(({ gathering }) => gathering)).toEqual([1, 1]);
    expect([...ann.gatherings]).toEqual([2]);
  });

  it('is prepared with fresh sockets for a second attempt; those that are registered stay', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    ann.introduce('bob', 2);
    world.run(200);
    expect(ann.punches).toMatchObject([{ gathering: 2, plan: { plan: { attempt: 2 } } }]);
    expect(bob.punches).toMatchObject([{ gathering: 2 }]);
    expect(ann.punches[0]!.plan.plan.peer.candidates).toEqual([
      { kind: 'public', endpoint: { address: '198.51.1.7', port: 2002 } },
    ]);
    expect([[...ann.gatherings], [...bob.gatherings]]).toEqual([[1], [1]]);
  });

  it('that could not be prepared is refused, and its sockets are let go of', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    bob.isSeen = false;
    const request = ann.introduce('bob', 2);
    world.run(14_000);
    expect(ann.endOf(request)).toBe('ERR_NOT_PREPARED');
    expect([...ann.gatherings]).toEqual([1]);
  });

  it.each([
    ['bob', 'ERR_PEER_REFUSED'],
    ['nobody', 'ERR_NO_PEER'],
    ['ann', 'ERR_NO_PEER'],
  ])('with %s is refused', (peer, code) => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    world.enter('bob', { consent: 'refuse' });
    const request = ann.introduce(peer);
    world.run(200);
    expect(ann.endOf(request)).toBe(code);
  });

  it('lets one side tell the other of a relay', () => {
    const nameRelay = () => ({ urls: ['turn:relay.example.org'] });
    const world = new MemberWorld({ nameRelay });
    const moving = { ...PORT_RESTRICTED, type: 'symmetric', mapping: 'address-and-port-dependent' } as const;
    const [ann, bob] = ['ann', 'bob'].map((name) => world.enter(name, { behaviours: [moving] }));
    ann!.introduce('bob');
    world.run(100);
    const { introduction, relay } = ann!.punches[0]!.plan;
    expect(relay).toEqual(nameRelay());
    const endpoint = { address: '198.51.100.1', port: 50_000 };
    ann!.hear({ kind: 'relayed', introduction, endpoint });
    bob!.hear({ kind: 'relayed', introduction });
    world.run(100);
    expect(bob!.last('relayed')).toEqual({ kind: 'relayed', introduction, endpoint });
    expect(ann!.last('relayed')).toEqual({ kind: 'relayed', introduction });
  });

  it('waits until the peer has said yes', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob', { consent: 'ask' })];
    const request = ann.introduce('bob');
    world.run(20_000);
    expect(ann.last('waiting')).toEqual({ kind: 'waiting', request });
    const { introduction, peer } = bob.last('asked');
    expect(peer.name).toBe('ann');
    bob.hear({ kind: 'consent', introduction });
    world.run(200);
    expect(ann.endOf(request)).toBe('plan');
    expect(bob.punches).toHaveLength(1);
  });

  it('ends where the peer says no, says nothing, or goes', () => {
    const ends = (['no', 'nothing', 'goes'] as const).map((what) => {
      const world = new MemberWorld();
      const [ann, bob] = [world.enter('ann'), world.enter('bob', { consent: 'ask' })];
      const request = ann.introduce('bob');
      world.run(200);
      const { introduction } = bob.last('asked');
      if (what === 'no') bob.hear({ kind: 'refuse', introduction, text: 'busy' });
      if (what === 'goes') bob.hear({ kind: 'leave' });
      world.run(40_000);
      if (what === 'nothing') expect(bob.last('withdrawn')).toEqual({ kind: 'withdrawn', introduction });
      return ann.endOf(request);
    });
    expect(ends).toEqual(['ERR_PEER_REFUSED', 'ERR_PEER_SILENT', 'ERR_PEER_AWAY']);
  });

  it('that nobody waits for any more is withdrawn when its plan comes, and the peer is told', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    const request = ann.introduce('bob');
    ann.hear({ kind: 'cancel', request });
    world.run(200);
    expect(ann.punches).toEqual([]);
    const { introduction } = bob.punches[0]!.plan;
    expect(bob.last('given-up')).toEqual({ kind: 'given-up', introduction });
    bob.hear({ kind: 'outcome', introduction, outcome: { outcome: 'failed', packets: 3, timeMs: 4 } });
    world.run(100);
    expect([...ann.story, ...bob.story]).not.toContain('>outcome');
  });

  it('that nobody waits for any more is no question any more', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob', { consent: 'ask' })];
    const request = ann.introduce('bob');
    world.run(200);
    const { introduction } = bob.last('asked');
    ann.hear({ kind: 'cancel', request });
    world.run(200);
    expect(bob.last('withdrawn')).toEqual({ kind: 'withdrawn', introduction });
    expect(ann.said('trouble')).toBe(false);
  });

  it('is ended by both at once without trouble', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    ann.introduce('bob');
    world.run(200);
    const { introduction } = ann.punches[0]!.plan;
    for (const member of [ann, bob]) member.hear({ kind: 'withdraw', introduction });
    world.run(200);
    expect([ann, bob].some((member) => member.said('trouble'))).toBe(false);
    expect(world.play.events().some(({ kind }) => kind === 'punched')).toBe(false);
  });

  it.each(['before the next one is asked for', 'while the next one is prepared'])(
    'is over for both where one side ends the punch between two attempts, %s',
    (when) => {
      for (const ending of ['ann', 'bob']) {
        const world = new MemberWorld();
        const both = { ann: world.enter('ann'), bob: world.enter('bob') };
        const { ann, bob } = both;
        ann.introduce('bob');
        world.run(200);
        const { introduction } = ann.punches[0]!.plan;
        const outcome = { outcome: 'failed', packets: 3, timeMs: 4 } as const;
        for (const member of [ann, bob]) member.hear({ kind: 'outcome', introduction, outcome });
        world.run(100);
        expect(world.play.events().filter(({ kind }) => kind === 'punched')).toHaveLength(1);
        if (when.startsWith('while')) {
          bob.isSeen = false;
          ann.introduce('bob', 2);
          world.run(25);
        }
        const [self, other] = ending === 'ann' ? [ann, bob] : [bob, ann];
        self.hear({ kind: 'withdraw', introduction });
        world.run(200);
        expect(other.events).toContainEqual({ kind: 'given-up', introduction });
        expect(self.said('given-up')).toBe(false);
        bob.isSeen = true;
        world.run(20_000);
        expect([ann.punches.length, bob.punches.length]).toEqual([1, 1]);
        expect([...ann.gatherings, ...bob.gatherings]).toHaveLength(2);
        // And only once.
        for (const member of [ann, bob]) member.hear({ kind: 'withdraw', introduction });
        world.run(200);
        expect(self.said('given-up')).toBe(false);
        expect(world.play.events().some(({ kind }) => kind === 'punched')).toBe(false);
      }
    },
  );

  it('is reported once', () => {
    const world = new MemberWorld();
    const [ann] = [world.enter('ann'), world.enter('bob')];
    ann.introduce('bob');
    world.run(200);
    const { introduction } = ann.punches[0]!.plan;
    const outcome = { outcome: 'open', packets: 3, timeMs: 4 } as const;
    for (let turn = 0; turn < 2; turn++) ann.hear({ kind: 'outcome', introduction, outcome });
    world.run(100);
    expect(ann.story.filter((word) => word === '>outcome' || word === 'trouble')).toEqual(['>outcome']);
  });
});
