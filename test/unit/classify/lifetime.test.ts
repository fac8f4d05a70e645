/** The lifetime inquiry as a machine: what it sends when, in virtual time, and how it ends. */
import { describe, expect, it } from 'vitest';
import { createInquiry, type InquiryMachine } from '../../../probe/classify/inquiry.ts';
import {
  DEFAULT_LIFETIME_MAX_MS,
  DEFAULT_LIFETIME_RESOLUTION_MS,
  lifetimeIntervalsMs,
  lifetimeTimeoutMs,
  MAX_LIFETIME_INTERVALS,
  planLifetime,
} from '../../../probe/classify/inquiries/lifetime.ts';
import type { ClassifierAction } from '../../../probe/classify/io.ts';
import { decodeMessage, encodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import { XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { MAPPED, PP } from '../../support/evidence.ts';

const OPTIONS = {
  family: 'ipv4',
  servers: [PP],
  timeoutMs: lifetimeTimeoutMs({ server: PP, maxMs: 2000, resolutionMs: 1000 }, 5),
  paceMs: 5,
} as const;

function start(): InquiryMachine {
  let counter = 0;
  const random = (length: number): Uint8Array => {
    counter += 1;
    return Uint8Array.from({ length }, (_, index) => (counter >> (8 * (index % 4))) & 0xff);
  };
  return createInquiry({ ...OPTIONS, random }, planLifetime({ server: PP, maxMs: 2000, resolutionMs: 1000 }));
}

interface Sent {
  readonly atMs: number;
  readonly socket: string;
  readonly responsePort: number | undefined;
}

/** Plays a server 10 ms away that sees each socket at its own port. With `deaf` no response to another port comes in. */
function play(
  machine: InquiryMachine,
  untilMs: number,
  deaf = false,
): { sent: Sent[]; endedMs: number | undefined } {
  const sent: Sent[] = [];
  const arrivals: { atMs: number; socket: string; bytes: Uint8Array }[] = [];
  const ports = new Map<string, number>();
  let nowMs = 0;
  let endedMs: number | undefined;
  for (;;) {
    for (let action = machine.pollAction(); action; action = machine.pollAction()) carryOut(action);
    for (let event = machine.pollEvent(); event; event = machine.pollEvent())
      if (event.kind === 'done') endedMs = nowMs;
    const next = Math.min(arrivals[0]?.atMs ?? Infinity, machine.pollTimeout() ?? Infinity);
    if (endedMs !== undefined || next > untilMs) return { sent, endedMs };
    nowMs = Math.max(nowMs, next);
    const arrival = arrivals[0];
    if (arrival !== undefined && arrival.atMs <= nowMs) {
      arrivals.shift();
      machine.handleInput(
        { kind: 'datagram', socket: arrival.socket, from: PP, bytes: arrival.bytes },
        nowMs,
      );
    } else machine.handleTimeout(nowMs);
  }

  function carryOut(action: ClassifierAction): void {
    if (action.kind === 'open-socket') {
      ports.set(action.socket, 2000 + ports.size);
      const local = { address: '10.0.0.2', port: ports.get(action.socket)! };
      machine.handleInput({ kind: 'socket-opened', socket: action.socket, local }, nowMs);
    }
    if (action.kind !== 'send') return;
    const decoded = decodeMessage(action.bytes);
    if (decoded.kind !== 'message') throw new Error('something else than STUN was sent');
    const responsePort = readAttribute(decoded.message, RESPONSE_PORT);
    sent.push({ atMs: nowMs, socket: action.socket, responsePort });
    const owner = [...ports].find(([, port]) => port === responsePort)?.[0];
    if (deaf && owner !== undefined) return;
    const mapped = { address: MAPPED.address, port: ports.get(action.socket)! };
    const bytes = encodeMessage({
      class: 'success',
      transactionId: decoded.message.transactionId,
      attributes: [XOR_MAPPED_ADDRESS.of(mapped)],
    });
    arrivals.push({ atMs: nowMs + 10, socket: owner ?? action.socket, bytes });
  }
}

describe('the intervals of a lifetime', () => {
  it('lie half a step from whole steps, and end with the longest', () => {
    expect(lifetimeIntervalsMs(20_000, 5000)).toEqual([2500, 7500, 12_500, 17_500, 20_000]);
    expect(lifetimeIntervalsMs(3000, 5000)).toEqual([2500, 3000]);
    expect(lifetimeIntervalsMs(2000, 5000)).toEqual([2000]);
    const standard = lifetimeIntervalsMs(DEFAULT_LIFETIME_MAX_MS, DEFAULT_LIFETIME_RESOLUTION_MS);
    for (const ms of [30_000, 60_000, 120_000, 180_000]) {
      const next = standard.findIndex((interval) => interval > ms);
      expect([ms - standard[next - 1]!, standard[next]! - ms]).toEqual([2500, 2500]);
    }
  });

  it('are at least one and not too many', () => {
    expect(lifetimeIntervalsMs(MAX_LIFETIME_INTERVALS * 10, 10)).toHaveLength(MAX_LIFETIME_INTERVALS + 1);
    for (const [maxMs, stepMs] of [
      [MAX_LIFETIME_INTERVALS * 10 + 1, 10],
      [0, 10],
      [10, 0],
      [NaN, 10],
    ] as const) {
      expect(() => lifetimeIntervalsMs(maxMs, stepMs)).toThrow(RangeError);
      expect(() => planLifetime({ server: PP, maxMs, resolutionMs: stepMs })).toThrow(RangeError);
    }
  });
});

describe('the lifetime inquiry', () => {
  it('contacts the server from the companion alone until it answers, and gives up after five seconds', () => {
    const machine = start();
    const silent: Sent[] = [];
    let nowMs = 0;
    let isDone = false;
    while (!isDone && nowMs < 20_000) {
      for (let action = machine.pollAction(); action; action = machine.pollAction()) {
        if (action.kind === 'open-socket') {
          const local = { address: '10.0.0.2', port: 1 };
          machine.handleInput({ kind: 'socket-opened', socket: action.socket, local }, nowMs);
        }
        if (action.kind === 'send')
          silent.push({ atMs: nowMs, socket: action.socket, responsePort: undefined });
      }
      for (let event = machine.pollEvent(); event; event = machine.pollEvent())
        isDone ||= event.kind === 'done';
      nowMs = Math.max(nowMs, machine.pollTimeout() ?? nowMs);
      if (!isDone) machine.handleTimeout(nowMs);
    }
    expect(silent.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 20 }, (_, index) => index * 250));
    expect(new Set(silent.map(({ socket }) => socket))).toEqual(new Set(['lifetime']));
    expect(nowMs).toBe(5000);
  });

  it('then opens the flows one a slot, keeps streams going for 2.4 s, and asks about each in its time', () => {
    const { sent } = play(start(), 2000);
    expect(sent[0]).toEqual({ atMs: 0, socket: 'lifetime', responsePort: undefined });
    const contacts = sent.filter(({ socket }) => socket !== 'lifetime');
    expect(contacts.slice(0, 9).map(({ atMs, socket }) => `${atMs} ${socket}`)).toEqual([
      '10 lifetime-fresh',
      '15 lifetime-inbound-1',
      '20 lifetime-inbound-2',
      '25 lifetime-brief-1',
      '30 lifetime-brief-2',
      '35 lifetime-brief-3',
      '40 lifetime-stream-1',
      '45 lifetime-stream-2',
      '50 lifetime-stream-3',
    ]);
    // Streams go on after 1200 ms; nothing else sends again of its own accord.
    expect(contacts.slice(9).map(({ atMs, socket }) => `${atMs} ${socket}`)).toEqual([
      '1240 lifetime-stream-1',
      '1245 lifetime-stream-2',
      '1250 lifetime-stream-3',
    ]);
    const firstAsked = new Map<number, number>();
    for (const { atMs, responsePort } of sent)
      if (responsePort !== undefined && !firstAsked.has(responsePort)) firstAsked.set(responsePort, atMs);
    // Ports by order of opening: fresh at once, inbound after its gaps, the flows after their intervals.
    expect([...firstAsked]).toEqual([
      [2001, 20],
      [2002, 15 + 250],
      [2004, 25 + 500],
      [2003, 20 + 1000],
      [2005, 30 + 1500],
    ]);
    // Each question has a control of the companion beside it.
    for (const { atMs, responsePort } of sent) {
      if (responsePort === undefined) continue;
      const beside = sent.some(
        (other) =>
          other.socket === 'lifetime' &&
          other.responsePort === undefined &&
          Math.abs(other.atMs - atMs) <= 10,
      );
      expect(beside, `${atMs}`).toBe(true);
    }
  });

  it('asks nothing more of a server that gives no receipts and lets nothing in: it ends early', () => {
    const { endedMs } = play(start(), 20_000, true);
    expect(endedMs).toBeLessThan(2500);
  });

  it('ends when told to stop, with its evidence, and closes its sockets', () => {
    const machine = start();
    play(machine, 600);
    machine.handleInput({ kind: 'stop' }, 700);
    const closed: string[] = [];
    for (let action = machine.pollAction(); action; action = machine.pollAction())
      if (action.kind === 'close-socket') closed.push(action.socket);
    expect(closed).toHaveLength(10);
    const event = machine.pollEvent();
    const last = event?.kind === 'progress' ? machine.pollEvent() : event;
    expect(last?.kind).toBe('done');
    if (last?.kind === 'done') {
      expect(last.result.evidence[0]).toMatchObject({ kind: 'run', untilMs: 700 });
      expect(last.result.evidence.filter(({ kind }) => kind === 'binding').length).toBeGreaterThan(9);
    }
    machine.handleInput({ kind: 'stop' }, 800);
    expect([machine.pollEvent(), machine.pollTimeout()]).toEqual([undefined, undefined]);
  });
});
