/** The member's machine against the broker's own, under virtual time, once the connection is lost. */
import { describe, expect, it } from 'vitest';
import { MemberWorld } from '../../support/members.ts';

describe('a lost connection', () => {
  it('is resumed: name and number stay, requests are asked again, candidates are renewed', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    const [listed, introduced] = [ann.ask({ about: 'peers' }), ann.introduce('bob')];
    ann.cut();
    expect(ann.last('lost').error.code).toBe('ERR_BROKER_LOST');
    world.run(2000);
    expect(ann.last('joined')).toMatchObject({ number: 1, isNew: false });
    expect([ann.endOf(listed), ann.endOf(introduced)]).toEqual(['peers', 'plan']);
    expect(bob.punches).toHaveLength(1);
  });

  it('with a plan on its way gives the peer another plan', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    const request = ann.introduce('bob');
    world.run(15);
    ann.cut();
    world.run(2000);
    expect(ann.endOf(request)).toBe('plan');
    expect(bob.punches).toHaveLength(2);
  });

  it('withdraws questions, and asks for them no answer', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob', { consent: 'ask' })];
    ann.introduce('bob');
    world.run(200);
    const { introduction } = bob.last('asked');
    bob.cut();
    expect(bob.last('withdrawn')).toEqual({ kind: 'withdrawn', introduction });
    bob.hear({ kind: 'consent', introduction });
    world.run(2000);
    expect(bob.story).not.toContain('>consent');
  });

  it('keeps an outcome until it can be said', () => {
    const world = new MemberWorld();
    const [ann] = [world.enter('ann'), world.enter('bob')];
    ann.introduce('bob');
    world.run(200);
    ann.cut();
    const { introduction } = ann.punches[0]!.plan;
    ann.hear({ kind: 'outcome', introduction, outcome: { outcome: 'open', packets: 3, timeMs: 4 } });
    world.run(2000);
    expect(ann.story.filter((word) => word === '>outcome' || word === 'trouble')).toEqual(['>outcome']);
  });

  it('is noticed by the silence of the server', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    // What it says goes nowhere, and nothing comes.
    ann.link = { ...ann.link!, number: 999 };
    world.run(40_000);
    expect(ann.last('lost').error).toMatchObject({ code: 'ERR_BROKER_LATE', detail: 'no heartbeat' });
  });

  it('is given up after as long as the name is kept, with a clear error', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    world.isDown = true;
    ann.cut();
    world.run(29_000);
    expect(ann.isOver).toBe(false);
    const request = ann.introduce('nobody');
    world.run(1100);
    expect(ann.last('ended').error).toMatchObject({ code: 'ERR_BROKER_LOST', detail: 'ERR_API_UNREACHABLE' });
    expect(ann.endOf(request)).toBe('ERR_BROKER_LOST');
    expect(ann.gatherings.size).toBe(0);
  });

  it('is over where another connection goes on with the name', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    world.sayTo(ann, JSON.stringify({ kind: 'error', code: 'ERR_SESSION_MOVED', text: 'x', remedy: 'y' }));
    expect(ann.last('ended').error?.code).toBe('ERR_SESSION_MOVED');
  });

  it('of a server that restarts ends in a session anew, under the same name', () => {
    const world = new MemberWorld();
    const [ann, bob] = [world.enter('ann'), world.enter('bob')];
    world.restart(3000);
    world.run(15_000);
    for (const member of [ann, bob]) expect(member.last('joined')).toMatchObject({ isNew: true });
    const request = ann.introduce('bob');
    world.run(200);
    expect(ann.endOf(request)).toBe('plan');
  });

  it('after a restart is over where somebody else has the name by then', () => {
    const world = new MemberWorld();
    const ann = world.enter('ann');
    world.restart(0);
    const other = world.add('ann');
    world.run(100);
    expect(other.said('registered')).toBe(true);
    world.run(60_000);
    expect(ann.last('ended').error).toMatchObject({ code: 'ERR_BROKER_LOST', detail: 'ERR_NAME_TAKEN' });
  });
});
