/** Introductions: who may have them, what both are told, and what becomes of them. */
import { beforeEach, describe, expect, it } from 'vitest';
import { predict } from '../../../shared/punch/predict.ts';
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';
import type { PeerAction } from '../../../server/broker/io.ts';
import { BrokerPlay, helloOf, inShort, type JoinedPeer, messagesTo } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };
const REPORTED = { outcome: 'open', strategy: 'plain', packets: 3, timeMs: 80 } as const;
const OUTCOME = { kind: 'outcome', ...REPORTED } as const;

let play: BrokerPlay;
let ann: JoinedPeer;
beforeEach(() => {
  play = new BrokerPlay();
  ann = play.register('ann', AT_ANN, {}, 100);
});

function introduce(peer: string | number, id = 1, asker = ann): PeerAction[] {
  return play.say(asker.connection, { kind: 'introduce', id, peer });
}

describe('an introduction', () => {
  it('tells both the other’s candidates and key, and one start by each one’s round trip', () => {
    const bob = play.register('bob', AT_BOB, {}, 40);
    const actions = introduce('bob', 77);
    const [toAnn] = messagesTo(ann.connection, actions);
    const [toBob] = messagesTo(bob.connection, actions);
    const behaviour = { ...parseBehaviour('EIM/APDF'), unsolicited: 'dropped' } as const;
    const { outcome, probability, strategy, plain } = predict(behaviour, behaviour);
    const prediction = { outcome, probability, strategy, plain };
    const type = 'port-restricted-cone';
    expect(actions).toHaveLength(2);
    expect(toAnn).toMatchObject({
      kind: 'plan',
      introduction: 1,
      id: 77,
      side: 'a',
      peer: { number: 2, name: 'bob', type },
      prediction,
      plan: {
        peer: { publicKey: helloOf('bob').publicKey, candidates: [{ kind: 'public', endpoint: AT_BOB }] },
      },
    });
    expect(toBob).toEqual({
      kind: 'plan',
      introduction: 1,
      side: 'b',
      peer: { number: 1, name: 'ann', type },
      prediction,
      plan: expect.objectContaining({
        peer: { publicKey: helloOf('ann').publicKey, candidates: [{ kind: 'public', endpoint: AT_ANN }] },
      }) as unknown,
    });
    if (toAnn?.kind !== 'plan' || toBob?.kind !== 'plan') throw new Error('no plans');
    expect([toAnn.plan.role, toBob.plan.role].sort()).toEqual(['controlled', 'controlling']);
    // The plan is 50 ms under way to one and 20 ms to the other.
    expect(toAnn.plan.startInMs + 50).toBe(toBob.plan.startInMs + 20);
    expect(toAnn.plan.startInMs).toBeGreaterThan(0);
  });

  it('is had by number too', () => {
    play.register('bob', AT_BOB);
    expect(inShort(introduce(2))).toEqual(['1 plan', '2 plan']);
  });

  it('makes nobody wait for one whose heartbeats are late', () => {
    play.register('bob', AT_BOB, {}, 14_000);
    const [toAnn] = messagesTo(ann.connection, introduce('bob'));
    expect(toAnn).toMatchObject({ plan: { startInMs: 1000 + 20 - 50 } });
  });

  it('counts the quickest of three heartbeats that a new connection gets in a row', () => {
    const bob = play.register('bob', AT_BOB, {}, 800);
    play.now += 30;
    expect(inShort(play.say(bob.connection, { kind: 'heartbeat', beat: 2 }))).toEqual(['2 heartbeat']);
    play.now += 400;
    expect(inShort(play.say(bob.connection, { kind: 'heartbeat', beat: 3 }))).toEqual([]);
    const [toBob] = messagesTo(bob.connection, introduce('bob'));
    expect(toBob).toMatchObject({ plan: { startInMs: 20 + 50 - 15 } });
  });

  it.each([
    ['oneself', 'ann', 'ERR_NO_PEER'],
    ['oneself by number', 1, 'ERR_NO_PEER'],
    ['somebody who isn’t there', 'zoe', 'ERR_NO_PEER'],
    ['a number that nobody has', 99, 'ERR_NO_PEER'],
    ['somebody in another room', 'carol', 'ERR_NO_PEER'],
    ['somebody without candidates', 'dan', 'ERR_PEER_AWAY'],
    ['somebody whose connection is lost', 'eve', 'ERR_PEER_AWAY'],
    ['somebody who wants none', 'frank', 'ERR_PEER_REFUSED'],
  ])('to %s is refused', (_, peer, code) => {
    play.register('carol', AT_BOB, { room: 'attic' });
    play.greet('dan');
    play.drop(play.register('eve', AT_BOB).connection);
    play.register('frank', AT_BOB, { consent: 'refuse' });
    const [error, ...more] = introduce(peer, 5);
    expect(more).toEqual([]);
    expect(error).toMatchObject({ connection: ann.connection, message: { kind: 'error', id: 5, code } });
  });

  it('is not for who has no candidates', () => {
    play.register('bob', AT_BOB);
    expect(inShort(introduce('bob', 1, play.greet('dan')))).toEqual(['3 ERR_NOT_REGISTERED']);
  });
});

describe('consent', () => {
  let bob: JoinedPeer;
  beforeEach(() => {
    bob = play.register('bob', AT_BOB, { consent: 'ask' });
  });

  it('is asked for, and given', () => {
    expect(introduce('bob', 5)).toEqual([
      { kind: 'send', connection: 1, message: { kind: 'waiting', id: 5, introduction: 1 } },
      {
        kind: 'send',
        connection: 2,
        message: {
          kind: 'ask',
          introduction: 1,
          peer: { number: 1, name: 'ann', type: 'port-restricted-cone' },
          timeoutMs: 30_000,
        },
      },
    ]);
    const said = play.say(bob.connection, { kind: 'consent', introduction: 1 });
    expect(inShort(said)).toEqual(['1 plan', '2 plan']);
    expect(messagesTo(1, said)[0]).toMatchObject({ id: 5, introduction: 1 });
    expect(inShort(play.say(bob.connection, { kind: 'consent', introduction: 1 }))).toEqual([
      '2 ERR_NO_INTRODUCTION',
    ]);
  });

  it('is refused, with a word that moves nobody’s cursor', () => {
    introduce('bob', 5);
    const said = play.say(bob.connection, { kind: 'refuse', introduction: 1, text: 'not\u001b[2J now' });
    expect(inShort(said)).toEqual(['1 ERR_PEER_REFUSED']);
    expect(messagesTo(1, said)[0]).toMatchObject({
      id: 5,
      text: expect.stringContaining('not [2J now') as unknown,
    });
    expect(inShort(play.say(bob.connection, { kind: 'consent', introduction: 1 }))).toEqual([
      '2 ERR_NO_INTRODUCTION',
    ]);
  });

  it('that doesn’t come within thirty seconds is none', () => {
    introduce('bob', 5);
    for (const connection of [1, 2]) play.say(connection, { kind: 'heartbeat', beat: 0 });
    expect(inShort(play.wait(29_999)).filter((act) => !act.includes('heartbeat'))).toEqual([]);
    expect(inShort(play.wait(1)).filter((act) => !act.includes('heartbeat'))).toEqual([
      '2 withdrawn',
      '1 ERR_PEER_SILENT',
    ]);
  });

  it('is given by asking back', () => {
    introduce('bob', 5);
    const said = introduce('ann', 9, bob);
    expect(inShort(said)).toEqual(['1 plan', '2 plan']);
    expect(messagesTo(1, said)[0]).toMatchObject({ id: 5, introduction: 1, side: 'a' });
    expect(messagesTo(2, said)[0]).toMatchObject({ id: 9, introduction: 1, side: 'b' });
  });

  it('is nobody else’s to give', () => {
    introduce('bob', 5);
    const eve = play.register('eve', AT_BOB);
    for (const who of [ann, eve])
      expect(inShort(play.say(who.connection, { kind: 'consent', introduction: 1 }))).toEqual([
        `${who.connection} ERR_NO_INTRODUCTION`,
      ]);
    expect(inShort(play.say(bob.connection, { kind: 'consent', introduction: 1 }))).toEqual([
      '1 plan',
      '2 plan',
    ]);
  });

  it('is not asked for any more once the asker is gone, and the asker is told of who goes', () => {
    introduce('bob', 5);
    expect(inShort(play.drop(ann.connection))).toEqual(['2 withdrawn']);
    const carol = play.register('carol', AT_ANN);
    introduce('bob', 6, carol);
    expect(inShort(play.say(bob.connection, { kind: 'bye' }))).toEqual(['3 ERR_PEER_AWAY', '2 close 1000']);
  });

  it('comes too late for an asker whose candidates are stale, and both are told', () => {
    play.wait(15_000);
    for (const { connection } of [ann, bob]) play.say(connection, { kind: 'heartbeat', beat: 2 });
    play.wait(15_000);
    for (let at = 30_000; at < 75_000; at += 15_000) {
      for (const { connection } of [ann, bob]) play.say(connection, { kind: 'heartbeat', beat: 0 });
      play.wait(15_000);
    }
    play.say(bob.connection, play.candidates(bob.nonce, [AT_BOB]));
    expect(inShort(introduce('bob', 5))).toEqual(['1 waiting', '2 ask']);
    play.wait(15_000);
    const said = play.say(bob.connection, { kind: 'consent', introduction: 1 });
    expect(inShort(said)).toEqual(['1 ERR_NOT_REGISTERED', '2 ERR_PEER_AWAY']);
  });
});

describe('a withdrawal', () => {
  it('by the asker ends the question, and the number', () => {
    const bob = play.register('bob', AT_BOB, { consent: 'ask' });
    introduce('bob', 5);
    expect(inShort(play.say(ann.connection, { kind: 'refuse', introduction: 1 }))).toEqual(['2 withdrawn']);
    expect(inShort(play.say(bob.connection, { kind: 'consent', introduction: 1 }))).toEqual([
      '2 ERR_NO_INTRODUCTION',
    ]);
    expect(inShort(introduce('bob', 6))).toEqual(['1 waiting', '2 ask']);
  });

  it('while both prepare tells the one that was asked', () => {
    play.register('bob', AT_BOB);
    const asked = play.say(ann.connection, { kind: 'introduce', id: 5, peer: 'bob', attempt: 2 });
    expect(inShort(asked)).toEqual(['1 prepare', '2 prepare']);
    expect(inShort(play.say(ann.connection, { kind: 'refuse', introduction: 1 }))).toEqual(['2 withdrawn']);
    expect(
      inShort(play.say(ann.connection, play.candidates(ann.nonce, [AT_ANN], { introduction: 1 }))),
    ).toEqual(['1 ERR_NO_INTRODUCTION']);
  });

  it.each([
    ['by the asker', 1, 2],
    ['by the other', 2, 1],
  ])('of a plan %s tells the peer once, and is no outcome', (_, from, to) => {
    const bob = play.register('bob', AT_BOB);
    introduce('bob', 5);
    play.events();
    const eve = play.register('eve', AT_BOB);
    const refuse = { kind: 'refuse', introduction: 1 } as const;
    expect(inShort(play.say(eve.connection, refuse))).toEqual(['3 ERR_NO_INTRODUCTION']);
    expect(inShort(play.say(from, refuse))).toEqual([`${to} withdrawn`]);
    expect(inShort(play.say(from, refuse))).toEqual([`${from} ERR_NO_INTRODUCTION`]);
    for (const { connection } of [ann, bob])
      expect(inShort(play.say(connection, { ...OUTCOME, introduction: 1 }))).toEqual([
        `${connection} ERR_NO_INTRODUCTION`,
      ]);
    expect(play.events().filter(({ kind }) => kind === 'punched')).toEqual([]);
  });

  it('comes too late from who has said how it went', () => {
    play.register('bob', AT_BOB);
    introduce('bob', 5);
    play.say(ann.connection, { ...OUTCOME, introduction: 1 });
    expect(inShort(play.say(ann.connection, { kind: 'refuse', introduction: 1 }))).toEqual([
      '1 ERR_NO_INTRODUCTION',
    ]);
  });
});

describe('outcomes', () => {
  let bob: JoinedPeer;
  beforeEach(() => {
    bob = play.register('bob', AT_BOB);
    introduce('bob');
  });

  it('of both sides make an event, with what was predicted', () => {
    const [planned] = play.events().filter(({ kind }) => kind === 'planned');
    expect(planned).toMatchObject({ introduction: 1, a: 'EIM/APDF', b: 'EIM/APDF' });
    expect(play.say(ann.connection, { ...OUTCOME, introduction: 1 })).toEqual([]);
    expect(play.events()).toEqual([]);
    const failed = { ...OUTCOME, outcome: 'failed', reason: 'no\u0000thing' } as const;
    play.say(bob.connection, { ...failed, introduction: 1 });
    expect(play.events()).toEqual([
      {
        ...planned,
        kind: 'punched',
        outcomes: { a: REPORTED, b: { ...REPORTED, outcome: 'failed', reason: 'no thing' } },
        networks: ['client', 'client'],
      },
    ]);
  });

  it('are said once by each of the two, and by nobody else', () => {
    const eve = play.register('eve', AT_BOB);
    play.say(ann.connection, { ...OUTCOME, introduction: 1 });
    for (const [who, introduction] of [
      [ann, 1],
      [eve, 1],
      [ann, 2],
    ] as const)
      expect(inShort(play.say(who.connection, { ...OUTCOME, introduction }))).toEqual([
        `${who.connection} ERR_NO_INTRODUCTION`,
      ]);
  });

  it('that don’t come within two minutes are missing from the event', () => {
    play.say(ann.connection, { ...OUTCOME, introduction: 1 });
    play.events();
    play.wait(119_999);
    expect(play.events().filter(({ kind }) => kind === 'punched')).toEqual([]);
    play.wait(1);
    expect(play.events()).toMatchObject([{ kind: 'punched', outcomes: { a: { outcome: 'open' } } }]);
  });

  it('are out of date once the same two have another plan', () => {
    play.events();
    introduce('bob', 2);
    expect(play.events()).toMatchObject([
      { kind: 'punched', introduction: 1, outcomes: {} },
      { kind: 'planned', introduction: 2 },
    ]);
  });
});
