/** When peers are told of a relay, and rooms that take tokens. */
import { describe, expect, it } from 'vitest';
import type { BrokerBehaviour } from '../../../shared/broker/behaviour.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import type { PeerAction } from '../../../server/broker/io.ts';
import { BrokerPlay, helloOf, inShort, messagesTo, PORT_RESTRICTED } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };
const SYMMETRIC: BrokerBehaviour = {
  ...PORT_RESTRICTED,
  type: 'symmetric',
  mapping: 'address-and-port-dependent',
};

describe('a relay', () => {
  const nameRelay = (user: string) => ({ urls: ['turn:relay.example.org'], username: user });
  const relaysIn = (actions: readonly PeerAction[]) =>
    [1, 2].map((connection) => {
      const plan = messagesTo(connection, actions).find(({ kind }) => kind === 'plan');
      return plan?.kind === 'plan' ? plan.relay?.username : 'no plan';
    });

  function introduce(play: BrokerPlay, behaviour: BrokerBehaviour, attempt = 1): PeerAction[] {
    const peers = [
      play.register('ann', AT_ANN, { behaviours: [behaviour] }),
      play.register('bob', AT_BOB, { behaviours: [behaviour] }),
    ];
    const said = play.say(1, { kind: 'introduce', id: 1, peer: 'bob', attempt });
    if (attempt === 1) return said;
    return peers.flatMap(({ connection, nonce }) =>
      play.say(connection, play.candidates(nonce, [AT_ANN], { introduction: 1 })),
    );
  }

  it('is named where a punch is not likely to work, to each side under a name of its own', () => {
    expect(relaysIn(introduce(new BrokerPlay({ nameRelay }), SYMMETRIC))).toEqual(['1a', '1b']);
  });

  it('is not named where it is likely to, but once an attempt has failed', () => {
    expect(relaysIn(introduce(new BrokerPlay({ nameRelay }), PORT_RESTRICTED))).toEqual([
      undefined,
      undefined,
    ]);
    expect(relaysIn(introduce(new BrokerPlay({ nameRelay }), PORT_RESTRICTED, 2))).toEqual(['1a', '1b']);
  });

  it('is told of by each side once, to the other one, and while the punch goes on', () => {
    const play = new BrokerPlay({ nameRelay });
    introduce(play, SYMMETRIC);
    const endpoint = { address: '2001:DB8::0:7', port: 50_000 };
    const told = play.say(1, { kind: 'relayed', introduction: 1, endpoint });
    expect(inShort(told)).toEqual(['2 relayed']);
    expect(messagesTo(2, told)).toEqual([
      { kind: 'relayed', introduction: 1, endpoint: { address: '2001:db8::7', port: 50_000 } },
    ]);
    expect(inShort(play.say(1, { kind: 'relayed', introduction: 1 }))).toEqual(['1 ERR_NO_INTRODUCTION']);
    expect(inShort(play.say(2, { kind: 'relayed', introduction: 1 }))).toEqual(['1 relayed']);

    const over = new BrokerPlay({ nameRelay });
    introduce(over, SYMMETRIC);
    over.say(1, { kind: 'outcome', introduction: 1, outcome: 'failed', packets: 1, timeMs: 1 });
    expect(inShort(over.say(1, { kind: 'relayed', introduction: 1 }))).toEqual(['1 ERR_NO_INTRODUCTION']);
  });

  it('is told of by nobody else, and as an endpoint', () => {
    const play = new BrokerPlay({ nameRelay });
    introduce(play, SYMMETRIC);
    const stranger = play.greet('eve').connection;
    expect(inShort(play.say(stranger, { kind: 'relayed', introduction: 1 }))).toEqual([
      `${stranger} ERR_NO_INTRODUCTION`,
    ]);
    const endpoint = { address: '1.2.3', port: 1 };
    expect(inShort(play.say(1, { kind: 'relayed', introduction: 1, endpoint }))).toEqual(['1 ERR_CANDIDATE']);
    const without = new BrokerPlay();
    introduce(without, SYMMETRIC);
    expect(inShort(without.say(1, { kind: 'relayed', introduction: 1 }))).toEqual(['1 ERR_NO_INTRODUCTION']);
  });

  it('is not there where the server has none', () => {
    expect(relaysIn(introduce(new BrokerPlay(), SYMMETRIC))).toEqual([undefined, undefined]);
  });
});

describe('a room that takes tokens', () => {
  /** A token is how long it is good for; others are refused. */
  function playWithTokens(): BrokerPlay {
    return new BrokerPlay({
      checkRoomToken(token, room, name) {
        if (token === undefined || Number.isNaN(Number(token)))
          throw new NatprobeError('ERR_ROOM_TOKEN', 'roomToken', `${name} in ${room}`);
        return Number(token);
      },
    });
  }

  it('is not entered without one, also by a name that is there', () => {
    const play = playWithTokens();
    const ann = play.greet('ann', { roomToken: '60000' });
    for (const hello of [helloOf('bob'), helloOf('ann', { token: ann.token }), helloOf('ann')]) {
      const connection = play.connect();
      expect(inShort(play.say(connection, hello))).toEqual([
        `${connection} ERR_ROOM_TOKEN`,
        `${connection} close 1008`,
      ]);
    }
  });

  it('is checked with the names as they are taken', () => {
    const play = playWithTokens();
    const said = play.say(play.connect(), helloOf(' ann\u0007 ', { room: ' at\u0000tic ', roomToken: 'x' }));
    expect(JSON.stringify(said)).toContain('(ann in at tic)');
  });

  it('is left when the token has expired, at the next heartbeat; another token goes on', () => {
    const play = playWithTokens();
    const ann = play.greet('ann', { roomToken: '20000' });
    expect(inShort(play.wait(15_000))).toEqual(['1 heartbeat']);
    play.say(1, { kind: 'heartbeat', beat: 2 });
    expect(inShort(play.wait(15_000))).toEqual(['1 ERR_ROOM_TOKEN', '1 close 1008']);
    const resumed = play.say(play.connect(), helloOf('ann', { token: ann.token, roomToken: '99999' }));
    expect(messagesTo(2, resumed)[0]).toMatchObject({ kind: 'welcome', resumed: true });
    play.say(2, { kind: 'heartbeat', beat: 1 });
    expect(inShort(play.wait(15_000))).toEqual(['2 heartbeat']);
  });
});
