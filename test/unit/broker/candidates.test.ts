/** What candidates a peer may name, and what of them others are told. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Candidates, ServerMessage } from '../../../shared/broker/messages.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { BrokerPlay, inShort, type JoinedPeer, messagesTo, OTHER_KEY } from '../../support/broker.ts';

const AT_ANN = { address: '198.51.100.7', port: 40000 };
const BESIDE_ANN = { address: '198.51.100.200', port: 50000 };
const AT_BOB = { address: '203.0.113.9', port: 50000 };
const ANN_V6 = { address: '2001:db8:1:2::7', port: 40000 };
const NEAR_ANN_V6 = { address: '2001:db8:1:ffff::9', port: 50000 };
const HOME = { address: '192.168.1.7', port: 40000 };

let play: BrokerPlay;
let ann: JoinedPeer;
beforeEach(() => {
  play = new BrokerPlay();
  ann = play.greet('ann');
});

function say(mapped: readonly Endpoint[], more: Partial<Candidates> = {}) {
  return play.say(ann.connection, play.candidates(ann.nonce, mapped, more));
}

/** The candidates of ann that bob is told. */
function toldBob(bobAt: Endpoint): unknown {
  const bob = play.register('bob', bobAt);
  const said = messagesTo(
    bob.connection,
    play.say(bob.connection, { kind: 'introduce', id: 1, peer: 'ann' }),
  );
  const plan = said.find((message): message is ServerMessage & { kind: 'plan' } => message.kind === 'plan');
  return plan?.plan.peer.candidates;
}

describe('public candidates', () => {
  it('are taken with their witnesses, and good for as long as these', () => {
    expect(say([AT_ANN, ANN_V6, AT_ANN])).toEqual([
      {
        kind: 'send',
        connection: 1,
        message: { kind: 'registered', public: [AT_ANN, ANN_V6], renewInMs: 90_000 },
      },
    ]);
    expect(toldBob(AT_BOB)).toEqual([
      { kind: 'public', endpoint: AT_ANN },
      { kind: 'ipv6', endpoint: ANN_V6 },
    ]);
  });

  it('have to be renewed before they are stale', () => {
    say([AT_ANN]);
    play.wait(15_000);
    for (let at = 15_000; at < 90_000; at += 15_000) {
      play.say(ann.connection, { kind: 'heartbeat', beat: 0 });
      play.wait(15_000);
    }
    expect(inShort(play.say(ann.connection, { kind: 'introduce', id: 1, peer: 'bob' }))).toEqual([
      '1 ERR_NOT_REGISTERED',
    ]);
    const bob = play.register('bob', AT_BOB);
    expect(inShort(play.say(bob.connection, { kind: 'introduce', id: 1, peer: 'ann' }))).toEqual([
      '2 ERR_PEER_AWAY',
    ]);
    say([AT_ANN]);
    expect(inShort(play.say(bob.connection, { kind: 'introduce', id: 2, peer: 'ann' }))).toEqual([
      '2 plan',
      '1 plan',
    ]);
  });

  it.each<[string, (nonce: string, others: string) => Candidates['public'][number]]>([
    ['that another session was given a witness for', (_, others) => play.witness(others, AT_ANN)],
    ['whose witness is for a report', (nonce) => play.witness(nonce, AT_ANN, { purpose: 'report' })],
    ['whose witness another server made', (nonce) => play.witness(nonce, AT_ANN, { key: OTHER_KEY })],
    ['that its witness doesn’t name', (nonce) => ({ ...play.witness(nonce, AT_ANN), mapped: AT_BOB })],
    [
      'with a witness from before',
      (nonce) => {
        const old = play.witness(nonce, AT_ANN);
        play.now += 90_001;
        return old;
      },
    ],
    [
      'without an address',
      (nonce) => ({ ...play.witness(nonce, AT_ANN), mapped: { address: '1.2', port: 1 } }),
    ],
  ])('are refused %s, and those before stay', (_, witness) => {
    const other = play.greet('mallory');
    const given = witness(ann.nonce, other.nonce);
    say([BESIDE_ANN]);
    const message = play.candidates(ann.nonce, [BESIDE_ANN]);
    const said = play.say(ann.connection, { ...message, public: [...message.public, given] });
    expect(inShort(said)).toEqual(['1 ERR_CANDIDATE']);
    expect(JSON.stringify(said)).toContain('/public/1');
    expect(toldBob(AT_BOB)).toEqual([{ kind: 'public', endpoint: BESIDE_ANN }]);
  });

  it.each([
    ['a private and a mapped one', { private: [HOME], mapped: [AT_ANN] }],
    ['none at all', {}],
  ])('are not to be had without a witness: %s', (_, more) => {
    expect(inShort(say([], more))).toEqual(['1 ERR_CANDIDATE']);
    expect(inShort(play.say(ann.connection, { kind: 'introduce', id: 1, peer: 'bob' }))).toEqual([
      '1 ERR_NOT_REGISTERED',
    ]);
  });

  it('of TCP alone do where there is no UDP, and no plan over UDP names them', () => {
    expect(say([], { tcp: [play.witness(ann.nonce, AT_ANN)] })).toEqual([
      { kind: 'send', connection: 1, message: { kind: 'registered', public: [], renewInMs: 90_000 } },
    ]);
    expect(toldBob(AT_BOB)).toEqual([]);
  });

  it('of TCP are witnessed like those of UDP', () => {
    const other = play.greet('mallory');
    const said = say([AT_ANN], { tcp: [play.witness(other.nonce, AT_ANN)] });
    expect(inShort(said)).toEqual(['1 ERR_CANDIDATE']);
    expect(JSON.stringify(said)).toContain('/tcp/0');
  });
});

describe('private candidates', () => {
  it.each([
    ['the same address', AT_ANN, [AT_ANN]],
    ['the same /24', BESIDE_ANN, [AT_ANN]],
    ['the same /48', NEAR_ANN_V6, [AT_ANN, ANN_V6]],
  ])('are told to a peer seen under %s', (_, bobAt, annAt) => {
    say(annAt, { private: [HOME] });
    expect(toldBob(bobAt)).toContainEqual({ kind: 'private', endpoint: HOME });
  });

  it('are told to nobody else', () => {
    say([AT_ANN, ANN_V6], { private: [HOME] });
    expect(JSON.stringify(toldBob(AT_BOB))).not.toContain(HOME.address);
  });

  it.each(['10.0.0.1', '172.16.5.4', '192.168.0.9', '100.64.0.3', 'fd00::1'])('may be %s', (address) => {
    expect(inShort(say([AT_ANN], { private: [{ address, port: 1 }] }))).toEqual(['1 registered']);
  });

  it.each([
    '8.8.8.8',
    '127.0.0.1',
    '169.254.1.1',
    'fe80::1',
    '2001:4860::8888',
    '224.0.0.1',
    '0.0.0.0',
    '1.2',
  ])('may not be %s', (address) => {
    expect(inShort(say([AT_ANN], { private: [{ address, port: 1 }] }))).toEqual(['1 ERR_CANDIDATE']);
  });

  it('are four at most', () => {
    const five = [1, 2, 3, 4, 5].map((port) => ({ ...HOME, port }));
    expect(inShort(say([AT_ANN], { private: five }))[0]).toBe('1 ERR_BROKER_MESSAGE');
  });
});

describe('candidates of a port mapper', () => {
  it('have the address of a witnessed one', () => {
    say([AT_ANN], { mapped: [{ ...AT_ANN, port: 9999 }] });
    expect(toldBob(AT_BOB)).toEqual([
      { kind: 'public', endpoint: AT_ANN },
      { kind: 'mapped', endpoint: { ...AT_ANN, port: 9999 } },
    ]);
    expect(inShort(say([AT_ANN], { mapped: [{ ...AT_BOB, port: 9999 }] }))).toEqual(['1 ERR_CANDIDATE']);
  });
});
