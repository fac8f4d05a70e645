/** Brokers of several servers are one: who is where makes no difference to peers, and each introduction ends. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Brokers, SimPeer } from './brokers.ts';
import { Random } from './random.ts';

/** NATPROBE_SEED=N tries others. */
const FIRST_SEED = Number(process.env['NATPROBE_SEED'] ?? 1);
const SEEDS = Array.from({ length: 4 }, (_, index) => FIRST_SEED + index);
const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };

let brokers: Brokers;
let ann: SimPeer;
let bob: SimPeer;
beforeEach(() => {
  brokers = new Brokers({ random: new Random(1) });
  ann = new SimPeer('ann', AT_ANN);
  bob = new SimPeer('bob', AT_BOB);
});

function joinBoth(): void {
  brokers.join(ann, 0);
  brokers.join(bob, 1);
  brokers.run(100);
}

function outlineOf(peer: SimPeer): string[] {
  return peer.heard
    .map(({ message }) => (message.kind === 'error' ? message.code : message.kind))
    .filter((kind) => !['welcome', 'registered', 'heartbeat'].includes(kind));
}

describe('peers at two servers', () => {
  it('are introduced: each is told the other’s candidates and key, and one start', () => {
    joinBoth();
    brokers.introduce(ann, 7, 'bob');
    brokers.run(50);
    const [[toAnn], [toBob]] = [ann.messages('plan'), bob.messages('plan')];
    expect(toAnn).toMatchObject({ id: 7, side: 'a', peer: { name: 'bob', number: bob.number } });
    expect(toBob).toMatchObject({ side: 'b', peer: { name: 'ann', number: ann.number } });
    expect(toBob!.id).toBeUndefined();
    expect(toAnn!.plan.peer.candidates).toEqual([{ kind: 'public', endpoint: AT_BOB }]);
    expect(toBob!.plan.peer.candidates).toEqual([{ kind: 'public', endpoint: AT_ANN }]);
    // The plan is under way to the other server for 2 ms, and 4 ms were a round trip.
    const starts = [ann, bob].map((peer) => {
      const { at, message } = peer.heard.find(({ message: { kind } }) => kind === 'plan')!;
      return at + (message.kind === 'plan' ? message.plan.startInMs : 0);
    });
    expect(starts[0]).toBe(starts[1]);
  });

  it('report outcomes to the server that led, which counts them once', () => {
    joinBoth();
    brokers.introduce(ann, 7, bob.number);
    brokers.run(50);
    for (const peer of [ann, bob])
      brokers.say(peer, {
        kind: 'outcome',
        introduction: peer.messages('plan')[0]!.introduction,
        outcome: 'open',
        packets: 3,
        timeMs: 80,
      });
    brokers.run(50);
    const punched = brokers.servers.map(({ events }) => events.filter(({ kind }) => kind === 'punched'));
    expect(punched.map(({ length }) => length)).toEqual([1, 0, 0]);
    expect(punched[0]![0]).toMatchObject({
      outcomes: { a: { outcome: 'open' }, b: { outcome: 'open' } },
      networks: ['ann', 'bob'],
    });
    expect([...outlineOf(ann), ...outlineOf(bob)]).toEqual(['plan', 'plan']);
  });

  it('foresee, and the other hears nothing of it', () => {
    joinBoth();
    brokers.say(ann, { kind: 'foresee', id: 3, peer: 'BOB' });
    brokers.run(50);
    expect(ann.messages('prediction')).toEqual([
      expect.objectContaining({
        id: 3,
        peer: { number: bob.number, name: 'bob', type: 'port-restricted-cone' },
      }),
    ]);
    expect(outlineOf(bob)).toEqual([]);
  });

  it('are listed together, by number, and who isn’t there isn’t', () => {
    joinBoth();
    const gone = new SimPeer('gone', AT_BOB);
    brokers.join(gone, 2);
    brokers.run(50);
    brokers.disconnect(gone);
    brokers.say(ann, { kind: 'peers', id: 1 });
    brokers.run(50);
    expect(ann.messages('peers')[0]!.peers.map(({ name }) => name)).toEqual(['ann', 'bob']);
    brokers.isLeaderless = true;
    brokers.say(ann, { kind: 'peers', id: 2 });
    brokers.run(50);
    expect(ann.messages('error')).toMatchObject([{ id: 2, code: 'ERR_BROKERS_APART' }]);
  });

  it('are asked for consent, and may refuse', () => {
    bob.more = { consent: 'ask' };
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    expect([outlineOf(ann), outlineOf(bob)]).toEqual([
      ['waiting', 'plan'],
      ['ask', 'plan'],
    ]);
    expect(bob.messages('ask')[0]!.introduction).toBe(bob.messages('plan')[0]!.introduction);
    bob.reply = 'refuse';
    brokers.introduce(ann, 2, 'bob');
    brokers.run(50);
    expect(ann.messages('error')).toMatchObject([{ id: 2, code: 'ERR_PEER_REFUSED' }]);
  });

  it('hear that nobody wants it any more: from the asker, or because it is gone', () => {
    bob.more = { consent: 'ask' };
    bob.reply = undefined;
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    brokers.say(ann, { kind: 'refuse', introduction: ann.messages('waiting')[0]!.introduction });
    brokers.run(50);
    expect(outlineOf(bob)).toEqual(['ask', 'withdrawn']);
    brokers.introduce(ann, 2, 'bob');
    brokers.run(50);
    brokers.disconnect(ann);
    brokers.run(50);
    expect(outlineOf(bob)).toEqual(['ask', 'withdrawn', 'ask', 'withdrawn']);
  });

  it('hear that whoever is asked is gone', () => {
    bob.more = { consent: 'ask' };
    bob.reply = undefined;
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    brokers.disconnect(bob);
    brokers.run(50);
    expect(outlineOf(ann)).toEqual(['waiting', 'ERR_PEER_AWAY']);
    brokers.introduce(ann, 2, 'bob');
    brokers.run(50);
    expect(outlineOf(ann)).toEqual(['waiting', 'ERR_PEER_AWAY', 'ERR_PEER_AWAY']);
  });

  it.each(['udp', 'tcp'] as const)('prepare fresh candidates for each other over %s', (transport) => {
    joinBoth();
    brokers.introduce(ann, 1, 'bob', { attempt: 2, transport });
    brokers.run(100);
    expect([outlineOf(ann), outlineOf(bob)]).toEqual([
      ['prepare', 'plan'],
      ['prepare', 'plan'],
    ]);
    const told = [ann, bob].map((peer) => peer.messages('plan')[0]!.plan.peer.candidates);
    expect(told).toMatchObject([
      [{ endpoint: { ...AT_BOB, port: 50001 } }],
      [{ endpoint: { ...AT_ANN, port: 40001 } }],
    ]);
  });

  it('tell each other where a relay has them', () => {
    joinBoth();
    brokers.introduce(ann, 1, 'bob', { attempt: 2 });
    brokers.run(100);
    const [endpoint, other] = [1, 2].map((port) => ({ address: '192.0.2.9', port }));
    const [toAnn, toBob] = [ann, bob].map((peer) => peer.messages('plan')[0]!.introduction);
    brokers.say(bob, { kind: 'relayed', introduction: toBob!, endpoint: endpoint! });
    brokers.say(ann, { kind: 'relayed', introduction: toAnn!, endpoint: other! });
    brokers.run(50);
    expect(ann.messages('relayed')).toEqual([{ kind: 'relayed', introduction: toAnn, endpoint }]);
    expect(bob.messages('relayed')).toEqual([{ kind: 'relayed', introduction: toBob, endpoint: other }]);
  });

  it('end a punch that the other would go on with', () => {
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    brokers.say(bob, { kind: 'refuse', introduction: bob.messages('plan')[0]!.introduction });
    brokers.run(50);
    expect(ann.messages('withdrawn')).toEqual([
      { kind: 'withdrawn', introduction: ann.messages('plan')[0]!.introduction },
    ]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6])(
    'who ask each other %i ms apart are introduced once, and both answered',
    (apart) => {
      for (const peer of [ann, bob]) peer.more = { consent: 'ask' };
      ann.reply = bob.reply = undefined;
      joinBoth();
      brokers.introduce(bob, 8, 'ann');
      brokers.run(apart);
      brokers.introduce(ann, 7, 'bob');
      brokers.run(100);
      expect([ann, bob].map((peer) => peer.messages('plan').map(({ id }) => id))).toEqual([[7], [8]]);
      expect(ann.messages('error').concat(bob.messages('error'))).toEqual([]);
      brokers.run(6000);
      expect(ann.messages('error').concat(bob.messages('error'))).toEqual([]);
    },
  );

  it('who ask each other, both with consent, end with the same plan last', () => {
    for (const apart of [0, 1, 2, 3, 4, 5]) {
      brokers = new Brokers({ random: new Random(1) });
      [ann, bob] = [new SimPeer('ann', AT_ANN), new SimPeer('bob', AT_BOB)];
      joinBoth();
      brokers.introduce(bob, 8, 'ann');
      brokers.run(apart);
      brokers.introduce(ann, 7, 'bob');
      brokers.run(100);
      const last = [ann, bob].map((peer) => peer.messages('plan').at(-1)!);
      expect(last.map(({ side }) => side).sort()).toEqual(['a', 'b']);
      expect(ann.messages('plan').map(({ id }) => id)).toContain(7);
      expect(bob.messages('plan').map(({ id }) => id)).toContain(8);
    }
  });
});

describe('a name', () => {
  it('is one peer’s over all servers, and a room has one key', () => {
    ann.more = { roomKey: 'open sesame' };
    brokers.join(ann, 0);
    brokers.run(50);
    const other = new SimPeer('ANN', AT_BOB, { roomKey: 'open sesame' });
    const keyless = new SimPeer('eve', AT_BOB);
    brokers.join(other, 1);
    brokers.join(keyless, 2);
    brokers.run(50);
    expect(other.messages('error')).toMatchObject([{ code: 'ERR_NAME_TAKEN' }]);
    expect(keyless.messages('error')).toMatchObject([{ code: 'ERR_ROOM_KEY' }]);
    expect([other.closedWith, keyless.closedWith]).toEqual([1008, 1008]);
  });

  it('goes on at another server once its own is dead, under its number, and is found there', () => {
    joinBoth();
    const number = ann.number;
    brokers.kill(0);
    brokers.introduce(bob, 1, 'ann');
    brokers.run(900);
    expect(bob.messages('error')).toMatchObject([{ code: 'ERR_PEER_AWAY' }]);
    brokers.join(ann, 2);
    brokers.run(50);
    expect(ann.messages('welcome').at(-1)).toMatchObject({ resumed: true, peer: number });
    brokers.introduce(bob, 2, number);
    brokers.run(50);
    expect(bob.messages('plan')).toMatchObject([{ id: 2, peer: { name: 'ann' } }]);
    expect(ann.messages('plan')).toHaveLength(1);
  });

  it('moves to another server while its own lives, which lets go of it', () => {
    joinBoth();
    const again = new SimPeer('ann', AT_ANN);
    again.token = ann.token;
    brokers.join(again, 2);
    brokers.run(50);
    expect(again.messages('welcome')).toMatchObject([{ resumed: true, peer: ann.number }]);
    expect(ann.messages('error')).toMatchObject([{ code: 'ERR_SESSION_MOVED' }]);
    expect(ann.closedWith).toBe(1008);
    brokers.introduce(bob, 2, 'ann');
    // And is not freed there when its time is over.
    brokers.run(40_000);
    expect(again.messages('plan')).toHaveLength(1);
    const eve = new SimPeer('ann', AT_BOB);
    brokers.join(eve, 0);
    brokers.run(50);
    expect(eve.messages('error')).toMatchObject([{ code: 'ERR_NAME_TAKEN' }]);
  });

  it('is free again when its peer leaves, or its dead server’s claim is over', () => {
    joinBoth();
    brokers.say(ann, { kind: 'bye' });
    brokers.kill(1);
    brokers.run(46_000);
    for (const peer of [new SimPeer('ann', AT_BOB), new SimPeer('bob', AT_BOB)]) {
      brokers.join(peer, 2);
      brokers.run(50);
      expect(peer.messages('welcome')).toMatchObject([{ resumed: false }]);
    }
  });

  it('that nobody can decide on is refused for now, in time for the peer to hear of it', () => {
    brokers.isLeaderless = true;
    brokers.join(ann, 0);
    brokers.run(8000);
    expect(ann.messages('error')).toMatchObject([{ code: 'ERR_BROKERS_APART' }]);
    expect(ann.closedWith).toBe(1013);
    brokers.isLeaderless = false;
    brokers.join(ann, 1);
    brokers.run(50);
    expect(ann.messages('welcome')).toHaveLength(1);
  });

  it('that is decided on after its peer has gone is nobody’s', () => {
    brokers.join(ann, 0);
    brokers.disconnect(ann);
    brokers.run(50);
    brokers.join(bob, 1);
    const other = new SimPeer('ann', AT_ANN);
    brokers.join(other, 1);
    brokers.run(50);
    expect(other.messages('welcome')).toMatchObject([{ resumed: false }]);
  });

  it('is said hello with once, and nothing else before it is welcome', () => {
    brokers.join(ann, 0);
    brokers.say(ann, { kind: 'peers', id: 1 });
    brokers.run(50);
    expect(outlineOf(ann)).toEqual(['ERR_BROKER_MESSAGE']);
  });
});

describe('a server that dies', () => {
  it('while its peer is asked: the asker hears of it within 5 s', () => {
    bob.more = { consent: 'ask' };
    bob.reply = undefined;
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    brokers.kill(1);
    brokers.run(5000);
    expect(outlineOf(ann)).toEqual(['waiting', 'ERR_PEER_AWAY']);
  });

  it('while its peer asks: who was asked hears that nobody waits any more', () => {
    bob.more = { consent: 'ask' };
    bob.reply = undefined;
    joinBoth();
    brokers.introduce(ann, 1, 'bob');
    brokers.run(50);
    brokers.kill(0);
    brokers.run(5000);
    expect(outlineOf(bob)).toEqual(['ask', 'withdrawn']);
  });
});

/**
 * Whatever is delayed, lost or parted between the servers, each introduction that needs nobody's consent
 * ends within 5 s in a plan or an error, once; plans have witnessed endpoints only; and of two with one
 * name only one is there.
 */
describe.each([
  { loss: 0, longestMs: 5 },
  { loss: 0, longestMs: 300 },
  { loss: 0.1, longestMs: 50 },
  { loss: 0.5, longestMs: 200 },
])('over a bus that loses $loss and delays by up to $longestMs ms', ({ loss, longestMs }) => {
  it.each(SEEDS)('each introduction ends (seed %i)', (seed) => {
    const random = new Random(seed);
    brokers = new Brokers({ random, loss, delayMs: (chance) => chance.integer(1, longestMs) });
    const peers = Array.from({ length: 12 }, (_, index) => {
      const peer = new SimPeer(`peer ${String.fromCharCode(97 + index)}`, {
        address: `198.51.100.${index}`,
        port: 40000,
      });
      brokers.join(peer, index % 3);
      return peer;
    });
    brokers.run(3000);
    const asked: {
      readonly peer: SimPeer;
      readonly server: number;
      readonly id: number;
      readonly at: number;
    }[] = [];
    for (let id = 1; id <= 300; id++) {
      const peer = peers[random.integer(0, peers.length - 1)]!;
      const other = peers[random.integer(0, peers.length - 1)]!;
      if (peer !== other && peer.connection !== undefined && peer.isIn) {
        asked.push({ peer, server: brokers.servers.indexOf(peer.server!), id, at: brokers.now });
        const attempt = random.chance(0.3) ? 2 : 1;
        brokers.introduce(peer, id, random.chance(0.5) ? other.name : Math.max(1, other.number), { attempt });
      }
      if (random.chance(0.05)) brokers.parted.add(random.chance(0.5) ? 's0 s1' : 's1 s2');
      if (random.chance(0.1)) brokers.parted.clear();
      if (id === 200) brokers.kill(2);
      for (const lost of peers)
        if (lost.connection === undefined && random.chance(0.2)) brokers.join(lost, 0);
      brokers.run(random.integer(0, 200));
    }
    brokers.run(6000);
    let plans = 0;
    for (const { peer, server, id, at } of asked) {
      const answers = peer.heard.filter(({ message }) => 'id' in message && message.id === id);
      // Who was at the server that died hears nothing from there.
      if (answers.length === 0 && server === 2) continue;
      expect(answers.map(({ message }) => message.kind)).toHaveLength(1);
      expect(answers[0]!.at - at).toBeLessThanOrEqual(5000);
      if (answers[0]!.message.kind === 'plan') plans++;
    }
    expect(plans).toBeGreaterThan(loss === 0.5 ? 20 : 100);
    for (const peer of peers)
      for (const { peer: other, plan } of peer.messages('plan')) {
        const address = peers.find(({ name }) => name === other.name)!.endpoint.address;
        for (const { endpoint } of plan.peer.candidates) expect(endpoint.address).toBe(address);
      }
  });
});
