/** Fresh candidates for an introduction: when they are asked for, whose they may be, and what is said if they don't come. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { BrokerBehaviour } from '../../../shared/broker/behaviour.ts';
import type { Candidates, Introduce } from '../../../shared/broker/messages.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { planPunch } from '../../../shared/punch/plan.ts';
import { planTcpPunch } from '../../../shared/punch/tcp-plan.ts';
import type { PeerAction } from '../../../server/broker/io.ts';
import { BrokerPlay, inShort, type JoinedPeer, messagesTo, PORT_RESTRICTED } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };
const ANN_ANEW = { ...AT_ANN, port: 40001 };
const BOB_ANEW = { ...AT_BOB, port: 50001 };

const SKIPS = { shape: 2, rate: 1 };
const COUNTED = [{ weight: 1, law: { kind: 'after-own', delta: 1, skips: SKIPS } as const }];
const SEQUENTIAL: BrokerBehaviour = {
  ...PORT_RESTRICTED,
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
  ports: { value: 'sequential', delta: 1, model: { newSocket: COUNTED, newEndpoint: COUNTED } },
};
const DRAWN = [{ weight: 1, law: { kind: 'uniform', first: 1024, last: 65535, sameParity: false } as const }];
const RANDOM: BrokerBehaviour = {
  ...SEQUENTIAL,
  ports: {
    value: 'random',
    seenRange: { first: 1024, last: 65535 },
    model: { newSocket: DRAWN, newEndpoint: DRAWN },
  },
};

let play: BrokerPlay;
let ann: JoinedPeer;
let bob: JoinedPeer;
beforeEach(() => {
  play = new BrokerPlay({ planners: { udp: planPunch, tcp: planPunch } });
  ann = play.register('ann', AT_ANN);
  bob = play.register('bob', AT_BOB);
});

function introduce(more: Partial<Introduce> = {}, asker = ann, peer = 'bob'): PeerAction[] {
  return play.say(asker.connection, { kind: 'introduce', id: 5, peer, ...more });
}

function prepare(
  who: JoinedPeer,
  at: readonly Endpoint[],
  introduction = 1,
  more: Partial<Candidates> = {},
): PeerAction[] {
  return play.say(who.connection, play.candidates(who.nonce, at, { introduction, ...more }));
}

/** What each of the two is told to send to. */
function targets(actions: readonly PeerAction[]): unknown[] {
  return [ann, bob].map(({ connection }) => {
    const plan = messagesTo(connection, actions).find((message) => message.kind === 'plan');
    return plan?.kind === 'plan' && plan.plan.peer.candidates.map(({ endpoint }) => endpoint);
  });
}

describe('fresh candidates', () => {
  it('are asked of both sides at once for a further attempt, and the plan is made with them', () => {
    expect(introduce({ attempt: 2 })).toEqual(
      [1, 2].map((connection) => ({
        kind: 'send',
        connection,
        message: { kind: 'prepare', introduction: 1, transport: 'udp', timeoutMs: 5000 },
      })),
    );
    expect(prepare(bob, [BOB_ANEW])).toEqual([]);
    const said = prepare(ann, [ANN_ANEW]);
    expect(inShort(said)).toEqual(['1 plan', '2 plan']);
    expect(targets(said)).toEqual([[BOB_ANEW], [ANN_ANEW]]);
    expect(messagesTo(1, said)[0]).toMatchObject({ id: 5, side: 'a', plan: { attempt: 2 } });
  });

  it('are for that plan alone: the next one has those that were registered', () => {
    introduce({ attempt: 2 });
    prepare(bob, [BOB_ANEW]);
    prepare(ann, [ANN_ANEW]);
    expect(targets(introduce())).toEqual([[AT_BOB], [AT_ANN]]);
  });

  it('are asked of a side whose ports are counted once they have been seen a while ago', () => {
    const eve = play.register('eve', AT_BOB, { behaviours: [SEQUENTIAL] });
    play.now += 1500;
    expect(inShort(introduce({}, ann, 'eve'))).toEqual(['1 plan', '3 plan']);
    play.now += 1;
    expect(inShort(introduce({}, ann, 'eve'))).toEqual(['3 prepare']);
    expect(inShort(prepare(eve, [BOB_ANEW], 2))).toEqual(['1 plan', '3 plan']);
  });

  it('are not asked of a side whose ports are drawn: where one is tells nothing of the next', () => {
    play.register('eve', AT_BOB, { behaviours: [RANDOM] });
    play.now += 60_000;
    expect(inShort(introduce({}, ann, 'eve'))).toEqual(['1 plan', '3 plan']);
  });

  it('are asked for once there is consent', () => {
    const carol = play.register('carol', AT_BOB, { consent: 'ask' });
    expect(inShort(introduce({ attempt: 2 }, ann, 'carol'))).toEqual(['1 waiting', '3 ask']);
    expect(inShort(prepare(ann, [ANN_ANEW]))).toEqual(['1 ERR_NO_INTRODUCTION']);
    expect(inShort(play.say(3, { kind: 'consent', introduction: 1 }))).toEqual(['1 prepare', '3 prepare']);
    expect(inShort(play.say(3, { kind: 'refuse', introduction: 1 }))).toEqual(['3 ERR_NO_INTRODUCTION']);
    prepare(ann, [ANN_ANEW]);
    expect(inShort(prepare(carol, [BOB_ANEW]))).toEqual(['1 plan', '3 plan']);
  });

  it('serve both where the other asks back meanwhile', () => {
    introduce({ attempt: 2 });
    expect(introduce({ attempt: 3, id: 9 }, bob, 'ann')).toEqual([]);
    prepare(bob, [BOB_ANEW]);
    const said = prepare(ann, [ANN_ANEW]);
    expect(messagesTo(1, said)[0]).toMatchObject({ id: 5, side: 'a', plan: { attempt: 3 } });
    expect(messagesTo(2, said)[0]).toMatchObject({ id: 9, side: 'b' });
  });
});

describe('over TCP', () => {
  it('the plan has the endpoints that were witnessed over TCP, and no others', () => {
    expect(inShort(introduce({ transport: 'tcp' }))).toEqual(['1 prepare', '2 prepare']);
    prepare(ann, [], 1, { tcp: [play.witness(ann.nonce, ANN_ANEW)] });
    const said = prepare(bob, [AT_BOB], 1, { tcp: [play.witness(bob.nonce, BOB_ANEW)] });
    expect(targets(said)).toEqual([[BOB_ANEW], [ANN_ANEW]]);
  });

  it('an answer without any of them ends it', () => {
    introduce({ transport: 'tcp' });
    expect(inShort(prepare(bob, [BOB_ANEW]))).toEqual([
      '1 ERR_NOT_PREPARED',
      '2 withdrawn',
      '2 ERR_CANDIDATE',
    ]);
  });

  it('is refused where nobody plans it', () => {
    play = new BrokerPlay({ planners: { udp: planPunch } });
    ann = play.register('ann', AT_ANN);
    play.register('bob', AT_BOB);
    expect(inShort(introduce({ transport: 'tcp' }))).toEqual(['1 ERR_TRANSPORT']);
  });
});

describe('who doesn’t answer', () => {
  /** What is said to each, without heartbeats. */
  const inFive = () => play.wait(5000).filter((action) => !/heartbeat/.test(JSON.stringify(action)));

  it('leaves nobody waiting: both are told after five seconds', () => {
    introduce({ attempt: 2 });
    prepare(ann, [ANN_ANEW]);
    const said = inFive();
    expect(inShort(said)).toEqual(['1 ERR_NOT_PREPARED', '2 withdrawn']);
    expect(messagesTo(1, said)[0]).toMatchObject({
      id: 5,
      text: expect.stringContaining('of the peer') as unknown,
    });
    expect(inShort(prepare(bob, [BOB_ANEW]))).toEqual(['2 ERR_NO_INTRODUCTION']);
    expect(inShort(introduce())).toEqual(['1 plan', '2 plan']);
  });

  it('is told if it is the asker itself', () => {
    introduce({ attempt: 2 });
    introduce({ attempt: 2, id: 9 }, bob, 'ann');
    prepare(bob, [BOB_ANEW]);
    const said = inFive();
    expect(inShort(said)).toEqual(['1 ERR_NOT_PREPARED', '2 ERR_NOT_PREPARED']);
    expect(messagesTo(1, said)[0]).toMatchObject({
      id: 5,
      text: expect.stringContaining('of this side') as unknown,
    });
    expect(messagesTo(2, said)[0]).toMatchObject({ id: 9 });
  });

  it('because it is gone ends it at once', () => {
    introduce({ attempt: 2 });
    expect(inShort(play.drop(bob.connection))).toEqual(['1 ERR_PEER_AWAY']);
    const carol = play.register('carol', AT_BOB);
    introduce({ attempt: 2 }, ann, 'carol');
    expect(inShort(play.say(ann.connection, { kind: 'bye' }))).toEqual(['3 withdrawn', '1 close 1000']);
    expect(inShort(prepare(carol, [BOB_ANEW], 2))).toEqual(['3 ERR_NO_INTRODUCTION']);
  });
});

describe('an answer', () => {
  it('to somebody else’s introduction is refused, and changes nothing there', () => {
    const eve = play.register('eve', AT_BOB);
    introduce({ attempt: 2 });
    expect(inShort(prepare(eve, [AT_BOB]))).toEqual(['3 ERR_NO_INTRODUCTION']);
    prepare(bob, [BOB_ANEW]);
    expect(targets(prepare(ann, [ANN_ANEW]))).toEqual([[BOB_ANEW], [ANN_ANEW]]);
  });

  it('comes once: a second one is refused', () => {
    introduce({ attempt: 2 });
    prepare(bob, [BOB_ANEW]);
    expect(inShort(prepare(bob, [AT_ANN]))).toEqual(['2 ERR_NO_INTRODUCTION']);
    expect(targets(prepare(ann, [ANN_ANEW]))[0]).toEqual([BOB_ANEW]);
  });

  it('with another’s witness ends it, and both are told why', () => {
    introduce({ attempt: 2 });
    const stolen = play.witness(ann.nonce, ANN_ANEW);
    const said = play.say(bob.connection, {
      ...play.candidates(bob.nonce, [], { introduction: 1 }),
      public: [stolen],
    });
    expect(inShort(said)).toEqual(['1 ERR_NOT_PREPARED', '2 withdrawn', '2 ERR_CANDIDATE']);
    expect(inShort(prepare(ann, [ANN_ANEW]))).toEqual(['1 ERR_NO_INTRODUCTION']);
  });

  it('that no plan has room for is no fault of whoever gave it', () => {
    play = new BrokerPlay({ limits: { plansPerPeer: 1 } });
    ann = play.register('ann', AT_ANN);
    bob = play.register('bob', AT_BOB);
    const carol = play.register('carol', AT_BOB);
    introduce({ attempt: 2 });
    introduce({}, carol, 'bob');
    prepare(bob, [BOB_ANEW]);
    expect(inShort(prepare(ann, [ANN_ANEW]))).toEqual(['1 ERR_INTRODUCTIONS', '2 withdrawn']);
  });
});

describe('introductions that are being prepared', () => {
  it('are counted among those that are not decided', () => {
    play = new BrokerPlay({ limits: { pendingPerPeer: 2 } });
    play.register('bob', AT_BOB);
    const askers = ['c', 'd', 'e'].map((name) => play.register(name, AT_ANN));
    expect(askers.map((asker) => inShort(introduce({ attempt: 2 }, asker))[0])).toEqual([
      '2 prepare',
      '3 prepare',
      '4 ERR_INTRODUCTIONS',
    ]);
  });

  it('are one for each pair and transport', () => {
    introduce({ attempt: 2 });
    expect(inShort(introduce({ attempt: 2 }))).toEqual(['1 ERR_INTRODUCTIONS']);
    expect(inShort(introduce({ transport: 'tcp' }))).toEqual(['1 prepare', '2 prepare']);
  });
});

describe('what an introduction would promise', () => {
  const foresee = (peer: string | number, who = ann) =>
    play.say(who.connection, { kind: 'foresee', id: 7, peer });

  it('is what the plan then says, and nobody is asked', () => {
    play.register('carol', AT_BOB, { consent: 'ask', behaviours: [RANDOM] });
    const [said, ...more] = foresee('carol');
    expect(more).toEqual([]);
    introduce({}, ann, 'carol');
    const [plan] = messagesTo(1, play.say(3, { kind: 'consent', introduction: 1 }));
    if (plan?.kind !== 'plan') throw new Error('no plan');
    expect(said).toMatchObject({
      kind: 'send',
      connection: 1,
      message: {
        kind: 'prediction',
        id: 7,
        peer: { number: 3, name: 'carol', type: 'symmetric' },
        prediction: plan.prediction,
        budget: { packets: expect.any(Number) as number, timeMs: expect.any(Number) as number },
        reasons: expect.arrayContaining([
          { code: expect.any(String) as string, text: expect.any(String) as string },
        ]) as unknown,
      },
    });
    expect(JSON.stringify(said)).not.toContain(AT_BOB.address);
  });

  it('is that of TCP where that is asked for, by what both state of it and the addresses they have over UDP', () => {
    play = new BrokerPlay({ planners: { udp: planPunch, tcp: planTcpPunch } });
    const tcp = { ...PORT_RESTRICTED, confidence: 1, unsolicitedSyn: 'dropped' } as const;
    const known = { behaviours: [{ ...RANDOM, tcp }] };
    ann = play.register('ann', AT_ANN, known);
    play.register('bob', AT_BOB, known);
    play.register('carol', { ...AT_ANN, port: 1 }, { behaviours: [{ ...RANDOM, tcp, hairpin: 'none' }] });
    const overTcp = (peer: string): unknown => {
      const [said] = play.say(ann.connection, { kind: 'foresee', id: 7, peer, transport: 'tcp' });
      return said?.kind === 'send' && said.message.kind === 'prediction' && said.message.prediction;
    };
    expect(overTcp('bob')).toMatchObject({ outcome: 'likely', strategy: 'plain', plain: true });
    // Who is behind the same NAT is seen without ports for TCP.
    expect(overTcp('carol')).toMatchObject({ strategy: 'lan' });
    expect(foresee('bob')).not.toMatchObject([{ message: { prediction: { strategy: 'plain' } } }]);
    play = new BrokerPlay({ planners: { udp: planPunch } });
    ann = play.register('ann', AT_ANN);
    play.register('bob', AT_BOB);
    expect(
      inShort(play.say(ann.connection, { kind: 'foresee', id: 7, peer: 'bob', transport: 'tcp' })),
    ).toEqual(['1 ERR_TRANSPORT']);
  });

  it('reckons with one NAT that both are behind', () => {
    play.register('carol', { ...AT_ANN, port: 1 });
    expect(foresee('carol')).toMatchObject([{ message: { prediction: { strategy: 'hairpin' } } }]);
  });

  it('is there for who has no candidates yet, and not of who hasn’t', () => {
    const carol = play.greet('carol');
    expect(inShort(foresee('ann', carol))).toEqual(['3 prediction']);
    expect(inShort(foresee('carol'))).toEqual(['1 ERR_PEER_AWAY']);
    expect(inShort(foresee('zoe'))).toEqual(['1 ERR_NO_PEER']);
    expect(inShort(foresee('ann'))).toEqual(['1 ERR_NO_PEER']);
  });

  it('costs as much as an introduction', () => {
    const said = [1, 2, 3, 4, 5].flatMap(() => inShort(foresee('bob')));
    expect(said).toEqual([...Array<string>(4).fill('1 prediction'), '1 ERR_INTRODUCTIONS']);
  });
});
