/** Whoever asks too much of the broker is refused with a code, and nobody else notices. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_FRAME_BYTES } from '../../../shared/broker/messages.ts';
import type { DEFAULT_BROKER_LIMITS } from '../../../server/broker/limits.ts';
import { BrokerPlay, helloOf, inShort, type JoinedPeer, PORT_RESTRICTED } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };
const AT_EVE = { address: '192.0.2.66', port: 6000 };

let play: BrokerPlay;
let ann: JoinedPeer;
let bob: JoinedPeer;
function start(limits: Partial<typeof DEFAULT_BROKER_LIMITS> = {}): void {
  play = new BrokerPlay({ limits });
  ann = play.register('ann', AT_ANN);
  bob = play.register('bob', AT_BOB);
}
beforeEach(() => start());

/** Whatever a test does, the two still find each other. */
function leavesOthersAlone(): void {
  afterEach(() => {
    play.wait(1000);
    expect(inShort(play.say(ann.connection, { kind: 'introduce', id: 1, peer: 'bob' }))).toEqual([
      '1 plan',
      '2 plan',
    ]);
  });
}

describe('frames that are no message', () => {
  leavesOthersAlone();

  const hello = helloOf('eve');
  it.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{'],
    ['no object', '7'],
    ['null', 'null'],
    ['a list', '[]'],
    ['no kind', '{}'],
    ['an unknown kind', '{"kind":"shutdown"}'],
    ['a prototype', '{"__proto__":{"kind":"bye"}}'],
    ['another schema', JSON.stringify({ ...hello, schema: 'natprobe/broker@2' })],
    ['a key that is none', JSON.stringify({ ...hello, publicKey: 'x' })],
    ['no behaviour', JSON.stringify({ ...hello, behaviours: [] })],
    ['a name that is no text', JSON.stringify({ ...hello, name: 7 })],
    ['a name of a book’s length', JSON.stringify({ ...hello, name: 'x'.repeat(MAX_FRAME_BYTES) })],
    ['nesting', '['.repeat(10_000)],
  ])('end the connection: %s', (_, text) => {
    const eve = play.connect();
    expect(inShort(play.say(eve, text))).toEqual([`${eve} ERR_BROKER_MESSAGE`, `${eve} close 1008`]);
    expect(play.say(eve, JSON.stringify(hello))).toEqual([]);
  });

  it('end that of a peer too, whose name is kept', () => {
    const eve = play.register('eve', AT_EVE);
    expect(inShort(play.say(eve.connection, '{"kind":"introduce"}'))).toEqual([
      '3 ERR_BROKER_MESSAGE',
      '3 close 1008',
    ]);
    expect(inShort(play.say(play.connect(), helloOf('eve', { token: eve.token })))[0]).toBe('4 welcome');
  });
});

describe('floods', () => {
  leavesOthersAlone();

  it('of frames end the connection', () => {
    const eve = play.register('eve', AT_EVE);
    const said = Array.from({ length: 60 }, (_, id) =>
      play.say(eve.connection, { kind: 'peers', id }),
    ).flat();
    // Hello, heartbeat and candidates were three of the forty.
    expect(inShort(said)).toEqual([
      ...Array<string>(37).fill('3 peers'),
      '3 ERR_BROKER_RATE',
      '3 close 1008',
    ]);
  });

  it('are those that don’t end: twenty a second go on for ever', () => {
    const eve = play.register('eve', AT_EVE);
    for (let id = 0; id < 500; id++) {
      expect(inShort(play.say(eve.connection, { kind: 'peers', id }))).toEqual(['3 peers']);
      play.now += 50;
    }
  });

  it('of bytes end the connection', () => {
    const eve = play.register('eve', AT_EVE);
    const long = JSON.stringify({ kind: 'peers', id: 1, padding: 'x'.repeat(15_000) });
    expect(inShort([1, 2, 3, 4, 5].flatMap(() => play.say(eve.connection, long)))).toEqual([
      ...Array<string>(4).fill('3 peers'),
      '3 ERR_BROKER_RATE',
      '3 close 1008',
    ]);
  });

  it('of introductions are refused', () => {
    const eve = play.register('eve', AT_EVE);
    const said = [1, 2, 3, 4, 5, 6].flatMap((id) =>
      play.say(eve.connection, { kind: 'introduce', id, peer: 'bob' }),
    );
    expect(inShort(said).filter((act) => act.startsWith('3'))).toEqual([
      ...Array<string>(4).fill('3 plan'),
      '3 ERR_INTRODUCTIONS',
      '3 ERR_INTRODUCTIONS',
    ]);
  });
});

describe('limits', () => {
  leavesOthersAlone();

  it('hold the connections of one client, also while names are kept for it', () => {
    start({ connectionsPerClient: 4 });
    const eve = play.register('eve', AT_EVE);
    play.connect();
    const fifth = play.connect();
    expect(inShort(play.actions())).toEqual([`${fifth} ERR_BROKER_FULL`, `${fifth} close 1013`]);
    play.drop(eve.connection);
    play.connect();
    expect(inShort(play.actions())).toHaveLength(2);
    play.connect('somebody else');
    expect(play.actions()).toEqual([]);
  });

  it('give a place back with a connection', () => {
    start({ connectionsPerClient: 3 });
    for (let i = 0; i < 10; i++) {
      const eve = play.connect();
      expect(play.actions()).toEqual([]);
      if (i % 2 === 0) play.drop(eve);
      else play.say(eve, 'nonsense');
    }
  });

  it('hold the connections in all', () => {
    start({ connections: 3 });
    play.connect('one');
    play.connect('two');
    expect(inShort(play.actions())).toEqual(['4 ERR_BROKER_FULL', '4 close 1013']);
  });

  it('hold the peers of a room, and the rooms', () => {
    start({ peersPerRoom: 2, rooms: 2 });
    const enter = (name: string, room: string) =>
      inShort(play.say(play.connect(), helloOf(name, { room })))[0];
    expect(enter('eve', 'lobby')).toBe('3 ERR_BROKER_FULL');
    expect(enter('eve', 'attic')).toBe('4 welcome');
    expect(enter('mal', 'cellar')).toBe('5 ERR_BROKER_FULL');
  });
});

describe('limits of one peer', () => {
  it('hold what it is asked, and asks', () => {
    start({ pendingPerPeer: 2 });
    play.register('dan', AT_EVE, { consent: 'ask' });
    const askers = ['e', 'f', 'g'].map((name) => play.register(name, AT_EVE));
    const said = askers.map(({ connection }) =>
      inShort(play.say(connection, { kind: 'introduce', id: 1, peer: 'dan' })),
    );
    expect(said).toEqual([['4 waiting', '3 ask'], ['5 waiting', '3 ask'], ['6 ERR_INTRODUCTIONS']]);
    play.say(3, { kind: 'refuse', introduction: 1 });
    expect(inShort(play.say(6, { kind: 'introduce', id: 2, peer: 'dan' }))).toEqual(['6 waiting', '3 ask']);
  });

  it('hold its plans that nobody reports of, until they are forgotten', () => {
    start({ plansPerPeer: 2 });
    const askers = ['c', 'd', 'e'].map((name) => play.register(name, AT_EVE));
    const said = askers.map(
      ({ connection }) => inShort(play.say(connection, { kind: 'introduce', id: 1, peer: 'bob' }))[0],
    );
    expect(said).toEqual(['3 plan', '4 plan', '5 ERR_INTRODUCTIONS']);
    // Another one with the same peer takes the place of the one before.
    expect(inShort(play.say(3, { kind: 'introduce', id: 2, peer: 'bob' }))).toEqual(['3 plan', '2 plan']);
  });

  it('don’t hold those of one client together: it has its own', () => {
    start({ introductionsPerClient: 2 });
    const askers = ['c', 'd', 'e', 'f', 'g'].map((name) => play.register(name, AT_EVE));
    const said = askers.map(
      ({ connection }) => inShort(play.say(connection, { kind: 'introduce', id: 1, peer: 'bob' }))[0],
    );
    expect(said).toEqual(['3 plan', '4 plan', '5 plan', '6 plan', '7 ERR_INTRODUCTIONS']);
  });
});

describe('somebody who takes a connection and says nothing', () => {
  leavesOthersAlone();

  it('is gone after ten seconds, and a peer that is half open after 35', () => {
    play.connect();
    const eve = play.register('eve', AT_EVE);
    for (const { connection } of [ann, bob]) play.say(connection, { kind: 'heartbeat', beat: 1 });
    expect(inShort(play.wait(10_000))).toEqual(['3 ERR_BROKER_SILENT', '3 close 1008']);
    for (const { connection } of [ann, bob]) play.say(connection, { kind: 'heartbeat', beat: 1 });
    play.wait(24_999);
    for (const { connection } of [ann, bob]) play.say(connection, { kind: 'heartbeat', beat: 1 });
    expect(inShort(play.wait(1))).toEqual([
      `${eve.connection} ERR_BROKER_SILENT`,
      `${eve.connection} close 1008`,
    ]);
  });
});

describe('a model of ports that makes no sense', () => {
  leavesOthersAlone();

  it.each([
    ['an empty range', [{ weight: 1, law: { kind: 'uniform', first: 9000, last: 9, sameParity: false } }]],
    ['weights of more than all', Array(9).fill({ weight: 1, law: { kind: 'kept' } })],
    [
      'a spread of nothing',
      [{ weight: 1, law: { kind: 'spread', lowest: 9, highest: 1, samples: 1, sameParity: true } }],
    ],
    ['no step', [{ weight: 1, law: { kind: 'after-own', delta: 0, skips: { shape: 1e6, rate: 1e-6 } } }]],
  ])('changes no more than the peer’s own plans: %s', (_, laws) => {
    const symmetric = {
      ...PORT_RESTRICTED,
      type: 'symmetric',
      mapping: 'address-and-port-dependent',
      ports: {
        value: 'random',
        seenRange: { first: 1, last: 2 },
        model: { newSocket: laws, newEndpoint: laws },
      },
    };
    const eve = play.register('eve', AT_EVE, { behaviours: [symmetric as never] });
    const said = play.say(eve.connection, { kind: 'introduce', id: 1, peer: 'bob' });
    expect(inShort(said)).toEqual(['3 plan', '2 plan']);
    const [action] = said;
    if (action?.kind !== 'send' || action.message.kind !== 'plan') throw new Error('no plan');
    const { probability } = action.message.prediction;
    expect(probability).toBeGreaterThanOrEqual(0);
    expect(probability).toBeLessThanOrEqual(1);
  });
});
