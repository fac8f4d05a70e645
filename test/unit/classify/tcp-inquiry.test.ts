import { describe, expect, it } from 'vitest';
import {
  createTcpInquiry,
  type TcpAction,
  type TcpInput,
  type TcpInquiryMachine,
} from '../../../probe/classify/inquiries/tcp.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { TcpDialEvidence } from '../../../shared/nat/evidence.ts';
import { OTHER_ADDRESS, XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { DIAL_BACK, type DialBack } from '../../../shared/stun/attributes/dial-back.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  type TransactionId,
} from '../../../shared/stun/message.ts';
import { AA, LOCAL, MAPPED, PP } from '../../support/evidence.ts';

/** Counts up, so that ports and transaction ids are known. */
function counting(): (length: number) => Uint8Array {
  let next = 0;
  return (length) => Uint8Array.from({ length }, () => next++ & 0xff);
}

function create(timeoutMs = 8000): TcpInquiryMachine {
  return createTcpInquiry({ family: 'ipv4', server: PP, timeoutMs, paceMs: 5, random: counting() });
}

function actions(machine: TcpInquiryMachine): TcpAction[] {
  const found: TcpAction[] = [];
  for (let action = machine.pollAction(); action; action = machine.pollAction()) found.push(action);
  return found;
}

function after(machine: TcpInquiryMachine, input: TcpInput, now: number): TcpAction[] {
  machine.handleInput(input, now);
  return actions(machine);
}

/** What was asked for in a request that was sent, and its transaction id. */
function askedIn(action: TcpAction | undefined): {
  dial: DialBack | undefined;
  transactionId: TransactionId;
} {
  if (action?.kind !== 'send') throw new Error(`not a send: ${JSON.stringify(action)}`);
  const decoded = decodeMessage(action.bytes);
  if (decoded.kind !== 'message') throw new Error(decoded.kind);
  const { message } = decoded;
  return { dial: readAttribute(message, DIAL_BACK), transactionId: message.transactionId };
}

function response(transactionId: TransactionId): Uint8Array {
  const attributes = [XOR_MAPPED_ADDRESS.of(MAPPED), OTHER_ADDRESS.of(AA)];
  return encodeMessage({ class: 'success', transactionId, attributes });
}

function indication(transactionId: TransactionId, dial: DialBack): Uint8Array {
  return encodeMessage({ class: 'indication', transactionId, attributes: [DIAL_BACK.of(dial)] });
}

const FILTERING = 'filtering 198.51.100.1:3478';
const FROM: Endpoint = { address: '198.51.100.2', port: 50123 };

/** Up to the first two dials having been asked for, at 10 ms. */
function dialled(machine: TcpInquiryMachine): readonly [TransactionId, TransactionId] {
  machine.handleTimeout(0);
  actions(machine);
  after(machine, { kind: 'connected', connection: FILTERING, local: LOCAL }, 10);
  const sends = after(machine, { kind: 'listening', socket: 'filtering' }, 10).filter(
    ({ kind }) => kind === 'send',
  );
  return [askedIn(sends[0]).transactionId, askedIn(sends[1]).transactionId];
}

function dialEvidence(machine: TcpInquiryMachine, timeoutMs = 8000): readonly TcpDialEvidence[] {
  machine.handleTimeout(timeoutMs);
  for (let event = machine.pollEvent(); event; event = machine.pollEvent()) {
    if (event.kind === 'done') return event.result.evidence.filter((item) => item.kind === 'tcp-dial');
  }
  throw new Error('no end');
}

describe('the TCP inquiry', () => {
  it('begins one connection in each pacing slot, filtering ports first', () => {
    const machine = create();
    expect(machine.pollTimeout()).toBe(0);
    const begun: TcpAction[] = [];
    for (let now = 1000; now < 1040; now += 5) {
      machine.handleTimeout(now);
      begun.push(...actions(machine));
      machine.handleTimeout(now + 1);
      expect(actions(machine)).toEqual([]);
    }
    expect(begun.map((action) => action.kind === 'connect' && [action.connection, action.localPort])).toEqual(
      [
        [FILTERING, 49152 + 0x0001],
        ['filtering-2 198.51.100.1:3478', 49152 + 0x0203],
        ['filtering-3 198.51.100.1:3478', 49152 + 0x0405],
        ['filtering-4 198.51.100.1:3478', 49152 + 0x0607],
        ['filtering-5 198.51.100.1:3478', 49152 + 0x0809],
        ['mapping 198.51.100.1:3478', 32768 + 0x0a0b],
      ],
    );
  });

  it('connects first, then listens there, and only then asks to be dialled from both addresses', () => {
    const machine = create();
    machine.handleTimeout(0);
    expect(actions(machine)).toEqual([{ kind: 'connect', connection: FILTERING, localPort: 49153, to: PP }]);
    const connected = after(machine, { kind: 'connected', connection: FILTERING, local: LOCAL }, 2);
    expect(connected).toEqual([{ kind: 'listen', socket: 'filtering', local: LOCAL }]);
    const listening = after(machine, { kind: 'listening', socket: 'filtering' }, 3);
    expect(listening.map((action) => askedIn(action).dial)).toEqual([
      { kind: 'asked', origin: 'same-address', timeoutMs: 804 },
      { kind: 'asked', origin: 'other-address', timeoutMs: 804 },
    ]);
  });

  it('asks for one dial from each address in a pacing slot, though all could go at once', () => {
    const machine = create();
    for (let now = 0; now < 25; now += 5) machine.handleTimeout(now);
    const sockets = actions(machine).flatMap((action) =>
      action.kind === 'connect' ? [action.connection.split(' ')[0]!] : [],
    );
    for (const socket of sockets) {
      machine.handleInput({ kind: 'connected', connection: `${socket} 198.51.100.1:3478`, local: LOCAL }, 30);
    }
    actions(machine);
    const asked: [number, DialBack | undefined][] = [];
    const record = (now: number): void => {
      for (const action of actions(machine)) {
        if (action.kind === 'send') asked.push([now, askedIn(action).dial]);
      }
    };
    for (const socket of sockets) machine.handleInput({ kind: 'listening', socket }, 30);
    record(30);
    for (let now = machine.pollTimeout()!; now <= 60; now = machine.pollTimeout()!) {
      machine.handleTimeout(now);
      record(now);
    }
    const dials = asked.filter(([, dial]) => dial !== undefined);
    expect(dials.map(([now]) => now)).toEqual([30, 30, 35, 35, 40, 40, 45, 45, 50, 50]);
  });

  it('does not ask to be dialled where it cannot listen', () => {
    const machine = create();
    machine.handleTimeout(0);
    actions(machine);
    after(machine, { kind: 'connected', connection: FILTERING, local: LOCAL }, 2);
    expect(after(machine, { kind: 'listen-failed', socket: 'filtering' }, 3)).toEqual([]);
  });

  it('tries another port where one is taken, for eight times', () => {
    const machine = create();
    const ports: number[] = [];
    for (let now = 0; now < 200; now += 5) {
      machine.handleTimeout(now);
      for (const action of actions(machine)) {
        if (action.kind !== 'connect' || action.connection !== FILTERING) continue;
        ports.push(action.localPort);
        const { connection, localPort } = action;
        expect(after(machine, { kind: 'port-taken', connection, localPort }, now)).toEqual([]);
      }
    }
    expect(ports).toHaveLength(8);
    expect(new Set(ports).size).toBe(8);
  });

  it('files an accepted connection with the dial that came from there, told of before or after', () => {
    for (const order of ['accepted first', 'told first']) {
      const machine = create();
      const [same, other] = dialled(machine);
      const accepted: TcpInput = { kind: 'accepted', socket: 'filtering', from: FROM };
      const told = (id: TransactionId, dialledFrom: Endpoint): TcpInput => ({
        kind: 'message',
        connection: FILTERING,
        bytes: indication(id, { kind: 'ended', outcome: 'connected', tookMs: 3, dialledFrom }),
      });
      const steps = [accepted, told(other, FROM)];
      if (order === 'told first') steps.reverse();
      // Another port of the same address is another dial.
      after(machine, told(same, { ...FROM, port: 50124 }), 18);
      for (const [index, step] of steps.entries()) after(machine, step, 20 + 10 * index);
      expect(dialEvidence(machine).map(({ origin, acceptedAtMs }) => [origin, acceptedAtMs])).toEqual([
        ['same-address', undefined],
        ['other-address', order === 'told first' ? 30 : 20],
      ]);
    }
  });

  it('takes an answer without a word about the dial for a server that knows none', () => {
    const machine = create();
    const [same, other] = dialled(machine);
    for (const id of [same, other])
      after(machine, { kind: 'message', connection: FILTERING, bytes: response(id) }, 20);
    expect(dialEvidence(machine).map(({ outcome }) => outcome)).toEqual(['unsupported', 'unsupported']);
  });

  it('takes the response after the word that it is dialled as no outcome, and the timeout that was granted', () => {
    const machine = create();
    const [same] = dialled(machine);
    const dialling = indication(same, { kind: 'dialling', origin: 'same-address', timeoutMs: 500 });
    after(machine, { kind: 'message', connection: FILTERING, bytes: dialling }, 20);
    after(machine, { kind: 'message', connection: FILTERING, bytes: response(same) }, 20);
    expect(dialEvidence(machine)[0]).toMatchObject({ outcome: 'pending', timeoutMs: 500 });
  });

  it('passes over what it did not ask for, what came on another connection, and what is no STUN', () => {
    const machine = create();
    const [same] = dialled(machine);
    const ended: DialBack = { kind: 'ended', outcome: 'refused', tookMs: 1 };
    const stranger = '0f'.repeat(12) as TransactionId;
    machine.handleTimeout(15);
    const inputs: TcpInput[] = [
      { kind: 'message', connection: FILTERING, bytes: indication(stranger, ended) },
      { kind: 'message', connection: 'filtering-2 198.51.100.1:3478', bytes: indication(same, ended) },
      { kind: 'message', connection: FILTERING, bytes: new Uint8Array(20) },
      { kind: 'accepted', socket: 'filtering', from: FROM },
    ];
    for (const input of inputs) machine.handleInput(input, 20);
    expect(dialEvidence(machine)[0]).toMatchObject({ outcome: 'pending' });
  });

  it('ends at its budget, closes everything, and says nothing more', () => {
    const machine = create(1000);
    dialled(machine);
    machine.handleTimeout(1000);
    expect(actions(machine).at(-1)).toEqual({ kind: 'close-all' });
    expect(machine.pollTimeout()).toBeUndefined();
    expect(after(machine, { kind: 'closed', connection: FILTERING }, 1001)).toEqual([]);
  });
});
