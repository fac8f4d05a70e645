/** The broker's rules: what comes in, and exactly what it does about it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { BROKER_SCHEMA } from '../../../shared/broker/messages.ts';
import { BrokerPlay, helloOf, inShort, messagesTo } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };

let play: BrokerPlay;
beforeEach(() => {
  play = new BrokerPlay();
});

describe('hello', () => {
  it('draws a welcome with the session’s secrets, and the first heartbeat', () => {
    const connection = play.connect();
    expect(play.say(connection, helloOf('ann'))).toEqual([
      {
        kind: 'send',
        connection,
        message: {
          kind: 'welcome',
          schema: BROKER_SCHEMA,
          peer: 1,
          room: 'lobby',
          name: 'ann',
          token: expect.stringMatching(/^[\w-]{32}$/) as unknown,
          nonce: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
          heartbeatMs: 15_000,
          graceMs: 30_000,
          resumed: false,
        },
      },
      { kind: 'send', connection, message: { kind: 'heartbeat', beat: 1 } },
    ]);
    expect(play.events()).toEqual([{ kind: 'joined', peers: 1 }]);
  });

  it.each([
    ['control characters are taken out of a name', 'a\u001b[31mnn\u202e\n', 'a [31mnn'],
    ['blanks around it too', '  ann ', 'ann'],
    ['half a surrogate pair is no character', 'ann\ud800', 'ann\ufffd'],
  ])('%s', (_, name, taken) => {
    const connection = play.connect();
    expect(messagesTo(connection, play.say(connection, helloOf(name)))[0]).toMatchObject({ name: taken });
  });

  it.each(['', ' ', '\u0007\u0007', '12', '１２', 'x'.repeat(65)])('refuses %j as a name', (name) => {
    const connection = play.connect();
    expect(inShort(play.say(connection, helloOf(name)))).toEqual(['1 ERR_PEER_NAME', '1 close 1008']);
  });

  it('has to come first, once, and within ten seconds', () => {
    const first = play.connect();
    expect(inShort(play.say(first, { kind: 'peers', id: 1 }))).toEqual([
      '1 ERR_BROKER_MESSAGE',
      '1 close 1008',
    ]);
    const { connection } = play.greet('ann');
    expect(inShort(play.say(connection, helloOf('ann')))).toEqual(['2 ERR_BROKER_MESSAGE', '2 close 1008']);
    play.connect();
    expect(inShort(play.wait(9_999))).toEqual([]);
    expect(inShort(play.wait(1))).toEqual(['3 ERR_BROKER_SILENT', '3 close 1008']);
  });
});

describe('a name', () => {
  it('is nobody else’s while it is held, however it is written', () => {
    play.greet('Ann');
    for (const name of ['ann', 'ＡＮＮ']) {
      const other = play.connect();
      expect(inShort(play.say(other, helloOf(name)))).toEqual([
        `${other} ERR_NAME_TAKEN`,
        `${other} close 1008`,
      ]);
    }
    const other = play.connect();
    expect(inShort(play.say(other, helloOf('ann', { token: 'guessed' })))[0]).toBe(`${other} ERR_NAME_TAKEN`);
  });

  it('is free in another room', () => {
    play.greet('ann');
    expect(play.greet('ann', { room: 'attic' }).number).toBe(1);
  });

  it('is resumed with its token after a lost connection: number, nonce and candidates stay', () => {
    const ann = play.register('ann', AT_ANN);
    const bob = play.register('bob', AT_BOB);
    play.drop(ann.connection);
    play.wait(9_000);
    const again = play.connect();
    const said = messagesTo(again, play.say(again, helloOf('ann', { token: ann.token })));
    expect(said[0]).toMatchObject({
      kind: 'welcome',
      peer: ann.number,
      nonce: ann.nonce,
      token: ann.token,
      resumed: true,
    });
    expect(inShort(play.say(bob.connection, { kind: 'introduce', id: 1, peer: 'ann' }))).toEqual([
      '2 plan',
      '3 plan',
    ]);
  });

  it('is kept for thirty seconds, and then anybody’s, under another number', () => {
    const ann = play.greet('ann');
    play.drop(ann.connection);
    play.wait(29_999);
    expect(play.events().at(-1)).toEqual({ kind: 'lost', peers: 1 });
    play.wait(1);
    expect(play.events()).toEqual([{ kind: 'left', peers: 0 }]);
    play.greet('bob');
    expect(play.greet('ann')).toMatchObject({ number: 2 });
  });

  it('moves to the connection that has the token, and the one before is told', () => {
    const ann = play.greet('ann');
    const again = play.connect();
    expect(inShort(play.say(again, helloOf('ann', { token: ann.token })))).toEqual([
      '1 ERR_SESSION_MOVED',
      '1 close 1008',
      '2 welcome',
      '2 heartbeat',
    ]);
    expect(play.drop(ann.connection)).toEqual([]);
    // It is not on its way out.
    play.say(again, { kind: 'heartbeat', beat: 1 });
    play.wait(15_000);
    play.say(again, { kind: 'heartbeat', beat: 2 });
    play.wait(20_000);
    expect(inShort(play.say(play.connect(), helloOf('ann')))[0]).toBe('3 ERR_NAME_TAKEN');
  });

  it('is given up with bye', () => {
    const ann = play.greet('ann');
    expect(inShort(play.say(ann.connection, { kind: 'bye' }))).toEqual(['1 close 1000']);
    expect(play.events().at(-1)).toEqual({ kind: 'left', peers: 0 });
    play.greet('ann');
  });
});

describe('a room', () => {
  it('has the key that its first peer gives it', () => {
    play.greet('ann', { room: 'attic', roomKey: 'open sesame' });
    for (const more of [{}, { roomKey: 'open' }]) {
      const other = play.connect();
      const said = play.say(other, helloOf('bob', { room: 'attic', ...more }));
      expect(inShort(said)).toEqual([`${other} ERR_ROOM_KEY`, `${other} close 1008`]);
    }
    play.greet('bob', { room: 'Attic', roomKey: 'open sesame' });
  });

  it('that has none takes none: nobody thinks himself among friends', () => {
    play.greet('ann', { room: 'attic' });
    const other = play.connect();
    expect(inShort(play.say(other, helloOf('bob', { room: 'attic', roomKey: 'x' })))[0]).toBe(
      '2 ERR_ROOM_KEY',
    );
  });

  it('lists those who can be introduced, by number, and no endpoint of theirs', () => {
    const ann = play.register('ann', AT_ANN);
    play.greet('not registered');
    play.register('bob', AT_BOB);
    play.register('elsewhere', AT_BOB, { room: 'attic' });
    const gone = play.register('gone', AT_BOB);
    play.drop(gone.connection);
    const type = 'port-restricted-cone';
    expect(play.say(ann.connection, { kind: 'peers', id: 7 })).toEqual([
      {
        kind: 'send',
        connection: 1,
        message: {
          kind: 'peers',
          id: 7,
          peers: [
            { number: 1, name: 'ann', type },
            { number: 3, name: 'bob', type },
          ],
        },
      },
    ]);
  });
});

describe('heartbeats', () => {
  it('are asked every fifteen seconds, and one who answers none is lost after 35, but not its name', () => {
    const ann = play.greet('ann');
    expect(inShort(play.wait(15_000))).toEqual(['1 heartbeat']);
    play.say(ann.connection, { kind: 'heartbeat', beat: 2 });
    expect(inShort(play.wait(34_999))).toEqual(['1 heartbeat', '1 heartbeat']);
    expect(inShort(play.wait(1))).toEqual(['1 ERR_BROKER_SILENT', '1 close 1008']);
    expect(play.events().at(-1)).toEqual({ kind: 'lost', peers: 1 });
    const again = play.connect();
    expect(inShort(play.say(again, helloOf('ann', { token: ann.token })))[0]).toBe('2 welcome');
  });
});

describe('a stop', () => {
  it('tells everybody', () => {
    play.greet('ann');
    play.connect();
    play.actions();
    play.rendezvous.handleInput({ kind: 'stop' }, play.now);
    expect(inShort(play.actions())).toEqual([
      '1 ERR_BROKER_STOPS',
      '1 close 1001',
      '2 ERR_BROKER_STOPS',
      '2 close 1001',
    ]);
  });
});
