/** The classifier as a machine: inputs and times in, exact actions out. */
import { describe, expect, it } from 'vitest';
import { createClassifier } from '../../../probe/classify/classifier.ts';
import type { ClassifierAction, ClassifierEvent, ClassifierInput } from '../../../probe/classify/io.ts';
import { type Endpoint, formatEndpoint } from '../../../shared/endpoint.ts';
import type { Machine } from '../../../shared/machine.ts';
import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import { OTHER_ADDRESS, XOR_MAPPED_ADDRESS } from '../../../shared/stun/attributes/address.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import {
  decodeMessage,
  encodeMessage,
  hasAttribute,
  readAttribute,
  type StunMessage,
} from '../../../shared/stun/message.ts';
import { AA, AP, MAPPED, PA, PP } from '../../support/evidence.ts';

type Classifier = Machine<ClassifierInput, ClassifierAction, ClassifierEvent>;
type Send = Extract<ClassifierAction, { kind: 'send' }>;

const NAMES = new Map(
  [PP, PA, AP, AA].map((endpoint, index) => [formatEndpoint(endpoint), ['PP', 'PA', 'AP', 'AA'][index]!]),
);

function start(change: Partial<Parameters<typeof createClassifier>[0]> = {}): Classifier {
  let counter = 0;
  const machine = createClassifier({
    family: 'ipv4',
    servers: [PP],
    timeoutMs: 10_000,
    paceMs: 5,
    random: (length) => new Uint8Array(length).fill(++counter & 0xff),
    ...change,
  });
  return machine;
}

function drain(machine: Classifier): ClassifierAction[] {
  const actions: ClassifierAction[] = [];
  for (let action = machine.pollAction(); action; action = machine.pollAction()) actions.push(action);
  return actions;
}

function events(machine: Classifier): ClassifierEvent[] {
  const list: ClassifierEvent[] = [];
  for (let event = machine.pollEvent(); event; event = machine.pollEvent()) list.push(event);
  return list;
}

function messageOf({ bytes }: Send): StunMessage {
  const decoded = decodeMessage(bytes);
  if (decoded.kind !== 'message') throw new Error('the classifier sent something else than STUN');
  return decoded.message;
}

/** `mapping>PP`, `filtering>PP address+port`. */
function describeAction(action: ClassifierAction): string {
  if (action.kind !== 'send') return `${action.kind} ${'socket' in action ? action.socket : action.attempt}`;
  const change = readAttribute(messageOf(action), CHANGE_REQUEST);
  const flags =
    change === undefined
      ? ''
      : ` ${[change.address && 'address', change.port && 'port'].filter(Boolean).join('+')}`;
  return `${action.socket}>${NAMES.get(formatEndpoint(action.to))}${flags}`;
}

function open(machine: Classifier, socket: string, port: number, now: number): void {
  machine.handleInput({ kind: 'socket-opened', socket, local: { address: '10.0.0.2', port } }, now);
}

function reply(
  machine: Classifier,
  send: Send,
  from: Endpoint,
  attributes: AttributeValue[],
  now: number,
  receipt = false,
): void {
  const { transactionId } = messageOf(send);
  const bytes = encodeMessage({ class: receipt ? 'indication' : 'success', transactionId, attributes });
  machine.handleInput({ kind: 'datagram', socket: send.socket, from, bytes }, now);
}

/** Fires the timer as often as it is due until `until`, and lists what is sent when. */
function runUntil(machine: Classifier, until: number): [number, string][] {
  const log: [number, string][] = [];
  for (let at = machine.pollTimeout(); at !== undefined && at <= until; at = machine.pollTimeout()) {
    machine.handleTimeout(at);
    log.push(...drain(machine).map((action): [number, string] => [at, describeAction(action)]));
  }
  return log;
}

describe('the classifier', () => {
  it('opens two sockets with fresh ports of separate ranges', () => {
    const actions = drain(start());
    expect(actions.map(describeAction)).toEqual(['open-socket mapping', 'open-socket filtering']);
    const [mapping, filtering] = actions as Extract<ClassifierAction, { kind: 'open-socket' }>[];
    expect(mapping).toMatchObject({ given: false, towards: PP });
    expect(mapping!.port).toBeGreaterThanOrEqual(32768);
    expect(mapping!.port).toBeLessThan(49152);
    expect(filtering!.port).toBeGreaterThanOrEqual(49152);
  });

  it('binds the given port to the mapping socket alone', () => {
    const [mapping, filtering] = drain(start({ localPort: 40000 }));
    expect(mapping).toMatchObject({ port: 40000, given: true });
    expect(filtering).toMatchObject({ given: false });
    expect(filtering).not.toMatchObject({ port: 40000 });
  });

  it('tries another port where its own choice is taken', () => {
    const machine = start();
    drain(machine);
    machine.handleInput({ kind: 'socket-failed', socket: 'filtering', code: 'EADDRINUSE' }, 0);
    expect(drain(machine).map(describeAction)).toEqual(['open-socket filtering']);
  });

  it('ends as unreachable where the system gives no socket', () => {
    const machine = start();
    drain(machine);
    machine.handleInput({ kind: 'socket-failed', socket: 'mapping', code: 'EMFILE' }, 0);
    expect(events(machine)).toMatchObject([
      {
        kind: 'done',
        result: { outcome: { kind: 'unreachable', reason: 'the system refused a socket (EMFILE)' } },
      },
    ]);
  });

  it('paces the first volley: one new binding a slot, and one packet on a flow that is open', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    expect(drain(machine).map(describeAction)).toEqual(['mapping>PP']);
    open(machine, 'filtering', 50000, 1);
    expect(drain(machine)).toEqual([]);
    expect(runUntil(machine, 39)).toEqual([
      [5, 'filtering>PP address+port'],
      [5, 'filtering>PP port'],
      [10, 'filtering>PP address+port'],
      [10, 'filtering>PP port'],
      [15, 'filtering>PP address+port'],
      [15, 'filtering>PP port'],
      [20, 'filtering>PP address+port'],
      [20, 'filtering>PP port'],
    ]);
    // Without an answer the contact is repeated at 40 ms.
    expect(runUntil(machine, 40)).toEqual([[40, 'mapping>PP']]);
  });

  it('sends requests that are as long as what they draw, and every second plain one bare', () => {
    const again = start();
    drain(again);
    open(again, 'mapping', 40000, 0);
    const [contact] = drain(again) as [Send];
    again.handleTimeout(40);
    expect([contact, ...(drain(again) as Send[])].map(({ bytes }) => bytes.length)).toEqual([68, 20]);
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    drain(machine);
    open(machine, 'filtering', 50000, 1);
    machine.handleTimeout(5);
    const [first] = drain(machine) as [Send];
    expect(hasAttribute(messageOf(first), RECEIPT_REQUEST.type)).toBe(true);
  });

  it('asks the three other endpoints as soon as it knows them', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    const [contact] = drain(machine) as [Send];
    open(machine, 'filtering', 50000, 1);
    runUntil(machine, 29);
    reply(machine, contact, PP, [XOR_MAPPED_ADDRESS.of(MAPPED), OTHER_ADDRESS.of(AA)], 30);
    const sent = [
      ...drain(machine).map((action): [number, string] => [30, describeAction(action)]),
      ...runUntil(machine, 45),
    ];
    expect(sent).toEqual([
      [30, 'mapping>AA'],
      [35, 'mapping>PA'],
      [40, 'mapping>AP'],
    ]);
  });

  it('asks them along with the first where the other address is known beforehand, with controls there', () => {
    const machine = start({ alternate: AA });
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    expect(drain(machine).map(describeAction)).toEqual(['mapping>PP']);
    open(machine, 'filtering', 50000, 1);
    const sent = runUntil(machine, 39);
    expect(sent.filter(([, what]) => what.startsWith('mapping'))).toEqual([
      [10, 'mapping>AA'],
      [15, 'mapping>PA'],
      [20, 'mapping>AP'],
      ...[20, 25, 30, 35].map((at) => [at, 'mapping>AA']),
    ]);
  });

  it('takes no reply with the right transaction from the wrong socket', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    const [contact] = drain(machine) as [Send];
    open(machine, 'filtering', 50000, 1);
    reply(
      machine,
      { ...contact, socket: 'filtering' },
      PP,
      [XOR_MAPPED_ADDRESS.of(MAPPED), OTHER_ADDRESS.of(AA)],
      3,
    );
    expect(drain(machine)).toEqual([]);
  });

  it('passes over datagrams that are no answers', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    const [contact] = drain(machine) as [Send];
    for (const bytes of [new Uint8Array(0), new Uint8Array(20), contact.bytes]) {
      machine.handleInput({ kind: 'datagram', socket: 'mapping', from: PP, bytes }, 3);
    }
    expect(drain(machine)).toEqual([]);
    expect(events(machine)).toEqual([]);
  });

  it('asks over TCP, and for ICMP errors, when UDP has been silent for 250 ms', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    open(machine, 'filtering', 50000, 0);
    expect(runUntil(machine, 249).map(([, what]) => what)).not.toContain('connect-tcp 0');
    expect(runUntil(machine, 250)).toEqual(
      expect.arrayContaining([
        [250, 'connect-tcp 0'],
        [250, 'open-connected-socket refusal'],
      ]),
    );
  });

  it('calls UDP blocked at one second where TCP answers, and closes what it opened', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    open(machine, 'filtering', 50000, 0);
    runUntil(machine, 250);
    machine.handleInput({ kind: 'tcp-connected', attempt: '0' }, 260);
    machine.handleInput({ kind: 'tcp-answered', attempt: '0', bytes: new Uint8Array(0) }, 270);
    const log = runUntil(machine, 1100);
    expect(log.slice(-3)).toEqual([
      [1000, 'close-socket mapping'],
      [1000, 'close-socket filtering'],
      [1000, 'close-socket refusal'],
    ]);
    expect(events(machine).at(-1)).toMatchObject({
      kind: 'done',
      result: { outcome: { kind: 'verdict', verdict: { type: 'udp-blocked' } }, timing: { totalMs: 1000 } },
    });
    expect(machine.pollTimeout()).toBeUndefined();
  });

  it('calls the server unreachable where TCP times out too', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    open(machine, 'filtering', 50000, 0);
    drain(machine);
    // Five attempts from 250 ms on, 250 ms apart, of 3.5 s each; UDP is asked all the while.
    const log = runUntil(machine, 4750);
    expect(log.filter(([, what]) => what.startsWith('connect-tcp'))).toEqual(
      [250, 500, 750, 1000, 1250].map((at, index) => [at, `connect-tcp ${index}`]),
    );
    const contacts = log.filter(([, what]) => what === 'mapping>PP').map(([at]) => at);
    expect(contacts).toEqual(Array.from({ length: 118 }, (_, index) => (index + 1) * 40));
    expect(events(machine).at(-1)).toMatchObject({
      kind: 'done',
      result: { outcome: { kind: 'unreachable' }, timing: { totalMs: 4750 } },
    });
  });

  it('calls the server unreachable at the end of a short budget, if TCP had a fair chance', () => {
    for (const [timeoutMs, kind] of [
      [1249, 'verdict'],
      [1250, 'unreachable'],
    ] as const) {
      const machine = start({ timeoutMs });
      drain(machine);
      open(machine, 'mapping', 40000, 0);
      open(machine, 'filtering', 50000, 0);
      runUntil(machine, timeoutMs);
      expect(events(machine).at(-1)).toMatchObject({ kind: 'done', result: { outcome: { kind } } });
    }
  });

  it('ends at its time budget with what it knows', () => {
    const machine = start({ timeoutMs: 300 });
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    const [contact] = drain(machine) as [Send];
    open(machine, 'filtering', 50000, 1);
    reply(machine, contact, PP, [XOR_MAPPED_ADDRESS.of(MAPPED), OTHER_ADDRESS.of(AA)], 10);
    runUntil(machine, 300);
    expect(events(machine).at(-1)).toMatchObject({
      kind: 'done',
      result: {
        outcome: { kind: 'verdict', verdict: { type: 'inconclusive' } },
        timing: { totalMs: 300, rttMs: 10 },
      },
    });
  });

  it('ends with full cone the moment that the last thing it needs is there', () => {
    const machine = start();
    drain(machine);
    open(machine, 'mapping', 40000, 0);
    const [contact] = drain(machine) as [Send];
    open(machine, 'filtering', 50000, 1);
    machine.handleTimeout(5);
    const [change] = drain(machine) as [Send];
    reply(machine, change, AA, [XOR_MAPPED_ADDRESS.of(MAPPED)], 6);
    reply(machine, change, PP, [RECEIPT.of({ sentFrom: AA, relayDelayMs: 0 })], 6, true);
    reply(machine, contact, PP, [XOR_MAPPED_ADDRESS.of(MAPPED), OTHER_ADDRESS.of(AA)], 7);
    for (let at = machine.pollTimeout(); at !== undefined && at < 60; at = machine.pollTimeout()) {
      machine.handleTimeout(at);
      for (const action of drain(machine)) {
        if (action.kind !== 'send' || action.socket !== 'mapping') continue;
        reply(machine, action, action.to, [XOR_MAPPED_ADDRESS.of(MAPPED)], at + 1);
      }
    }
    expect(events(machine).at(-1)).toMatchObject({
      kind: 'done',
      result: {
        outcome: { kind: 'verdict', verdict: { type: 'full-cone' } },
        endpoints: { local: { address: '10.0.0.2', port: 40000 }, mapped: MAPPED },
      },
    });
  });
});
