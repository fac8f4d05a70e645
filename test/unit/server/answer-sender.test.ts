import { describe, expect, it } from 'vitest';
import { rawAttribute } from '../../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { SHORT_DATAGRAM_BYTES } from '../../../server/answer/answer-core.ts';
import { AnswerSender, BURST, type SendingSocket } from '../../../server/udp/answer-sender.ts';
import { CLIENT, CLIENTS, createCore, exchange, hexOf, request } from '../answer/exchange.ts';

interface Send {
  readonly socket: string;
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly isAsked: boolean;
  finish(error: Error | null): void;
}

/** Sockets that have room, and take each send at once, unless a test says that they have none. */
class TestSockets {
  readonly sends: Send[] = [];
  readonly full = new Set<string>();
  /** What becomes of sends that are not held. */
  outcome: Error | null = null;
  readonly sockets = ['PP', 'PA', 'AP', 'AA'].map((socket): SendingSocket => {
    let waiting = 0;
    return {
      send: (bytes, port, address, onSent) => {
        expect([CLIENT.address, CLIENTS.ipv6.address]).toContain(address);
        const isHeld = this.full.has(socket);
        if (isHeld) waiting++;
        const finish = (error: Error | null): void => {
          if (isHeld) waiting--;
          onSent?.(error);
        };
        // Only of what waits the bytes must stay as they are.
        const sent = isHeld ? bytes : bytes.slice();
        this.sends.push({ socket, bytes: sent, port, isAsked: onSent !== undefined, finish });
        if (!isHeld) finish(this.outcome);
      },
      getSendQueueCount: () => waiting,
    };
  });

  get hex(): string[] {
    return this.sends.map(({ bytes }) => hexOf(bytes));
  }
}

const CHANGED = request([CHANGE_REQUEST.of({ address: true, port: true })]);
const ASK_RECEIPT = request([CHANGE_REQUEST.of({ address: true, port: true }), RECEIPT_REQUEST.of(84)]);
const NOTHING_SENT = { responses: 0, receipts: 0, ice: 0, errors: 0, withheldReceipts: 0, queueFull: 0 };
const REFUSED = new Error('ENETUNREACH');

function start(family: 'ipv4' | 'ipv6' = 'ipv4'): {
  sockets: TestSockets;
  sender: AnswerSender;
  /** Has an answer sent with the next flush(); its bytes as hexadecimal. */
  answer: (bytes?: Uint8Array) => string;
} {
  const core = createCore(family);
  const sockets = new TestSockets();
  const sender = new AnswerSender(core, sockets.sockets);
  const answer = (bytes = request()): string => {
    sender.prepare(bytes.length);
    const source = CLIENTS[family];
    const sent = exchange(core, bytes, { source });
    sender.send(sent.length as 1 | 2, source, 0);
    return sent[0]!.hex;
  };
  return { sockets, sender, answer };
}

describe('a burst', () => {
  it('leaves whole and in order, each from the socket of its role', () => {
    const { sockets, sender, answer } = start();
    const requests = Array.from({ length: BURST }, (_, i) =>
      i % 3 === 0 ? CHANGED : request([], { fingerprint: i % 2 === 0 }),
    );
    for (let turn = 1; turn <= 3; turn++) {
      const answers = requests.map((bytes) => answer(bytes));
      expect(sockets.sends).toEqual([]);
      sender.flush();
      expect(sockets.hex).toEqual(answers);
      expect(sockets.sends.map(({ socket }) => socket)).toEqual(
        requests.map((bytes) => (bytes === CHANGED ? 'AA' : 'PP')),
      );
      expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: turn * BURST });
      sockets.sends.length = 0;
    }
  });

  it('has answers of any length, the longest of which need a place of their own', () => {
    const { sockets, sender, answer } = start('ipv6');
    const unknown = Array.from({ length: 100 }, (_, i) => rawAttribute(0x4000 + i, new Uint8Array(4)));
    const requests = [
      request([PADDING.of(60_000)]),
      request(),
      request([PADDING.of(SHORT_DATAGRAM_BYTES - 24)]),
      request(unknown),
      request([PADDING.of(9000)]),
      request([], { fingerprint: true }),
    ];
    for (const turned of [requests, requests.toReversed()]) {
      const answers = turned.map((bytes) => answer(bytes));
      sender.flush();
      expect(sockets.hex).toEqual(answers);
      sockets.sends.length = 0;
    }
  });

  it('of none sends nothing', () => {
    const { sockets, sender } = start();
    sender.flush();
    expect(sockets.sends).toEqual([]);
  });

  it('does not leave after the stop', () => {
    const { sockets, sender, answer } = start();
    answer();
    sender.close();
    sender.flush();
    expect(sockets.sends).toEqual([]);
  });
});

describe('what has become of a send', () => {
  it('is asked of the first from each socket', () => {
    const { sockets, sender, answer } = start();
    for (const bytes of [request(), CHANGED, request(), CHANGED]) answer(bytes);
    sender.flush();
    expect(sockets.sends.map(({ isAsked }) => isAsked)).toEqual([true, true, false, false]);
  });

  it('is asked of each, for a long while after one was refused', () => {
    const { sockets, sender, answer } = start();
    const burst = (): void => {
      for (let i = 0; i < 10; i++) answer();
      sender.flush();
    };
    sockets.outcome = REFUSED;
    burst();
    // Nothing was known of a refusal before the first one.
    expect(sender.counts).toEqual({ ...NOTHING_SENT, errors: 10 });
    burst();
    expect(sender.counts).toEqual({ ...NOTHING_SENT, errors: 20 });
    sockets.outcome = null;
    for (let turn = 0; turn < 1000; turn++) burst();
    expect(sockets.sends.every(({ isAsked }) => isAsked)).toBe(true);
    sockets.sends.length = 0;
    burst();
    expect(sockets.sends.filter(({ isAsked }) => isAsked)).toHaveLength(1);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 10_010, errors: 20 });
  });
});

describe('a receipt', () => {
  /** Answers one such request and flushes, with the socket of its response held. */
  function startHeld(): ReturnType<typeof start> & { receipt: string } {
    const started = start();
    const [, receipt] = exchange(createCore(), ASK_RECEIPT);
    started.sockets.full.add('AA');
    started.answer(ASK_RECEIPT);
    started.sender.flush();
    expect(started.sockets.sends.map(({ socket }) => socket)).toEqual(['AA']);
    return { ...started, receipt: receipt!.hex };
  }

  it('leaves once the response has been sent, though the core has gone on', () => {
    const { sockets, sender, answer, receipt } = startHeld();
    answer(request([CHANGE_REQUEST.of({ address: true, port: false }), RECEIPT_REQUEST.of(84)]));
    sockets.full.clear();
    sockets.sends[0]!.finish(null);
    expect(sockets.sends.map(({ socket, port, bytes }) => [socket, port, hexOf(bytes)])[1]).toEqual([
      'PP',
      40000,
      receipt,
    ]);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 1, receipts: 1 });
  });

  it('is waited for in the middle of a burst as well', () => {
    const { sockets, sender, answer } = start();
    for (const bytes of [CHANGED, CHANGED, ASK_RECEIPT, CHANGED]) answer(bytes);
    sender.flush();
    expect(sockets.sends.map(({ socket }) => socket)).toEqual(['AA', 'AA', 'AA', 'PP', 'AA']);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 4, receipts: 1 });
  });

  it('does not leave if the response could not be sent', () => {
    const { sockets, sender } = startHeld();
    sockets.sends[0]!.finish(REFUSED);
    expect(sockets.sends).toHaveLength(1);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, errors: 1, withheldReceipts: 1 });
  });

  it('goes with its response where that is lost, and not with the next one in its place', () => {
    const { sockets, sender, answer } = startHeld();
    answer(ASK_RECEIPT);
    sender.flush();
    expect(sender.counts).toEqual({ ...NOTHING_SENT, queueFull: 1 });
    sockets.full.clear();
    sockets.sends[0]!.finish(null);
    sockets.sends.length = 0;
    for (const bytes of [request(), ASK_RECEIPT]) answer(bytes);
    sender.flush();
    expect(sockets.sends.map(({ socket }) => socket)).toEqual(['PP', 'AA', 'PP']);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 3, receipts: 2, queueFull: 1 });
  });

  it('does not leave after the stop', () => {
    const { sockets, sender } = startHeld();
    sender.close();
    sockets.sends[0]!.finish(null);
    expect(sockets.sends).toHaveLength(1);
  });

  it('that could not be sent is counted', () => {
    const { sockets, sender } = startHeld();
    sockets.full.clear();
    sockets.outcome = new Error('EPERM');
    sockets.sends[0]!.finish(null);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 1, errors: 1 });
  });
});

describe('a socket that is full', () => {
  it('keeps the bytes of the sends under way, and loses what comes meanwhile', () => {
    const { sockets, sender, answer } = start();
    sockets.full.add('PP');
    const waiting = [answer(), answer(request([], { fingerprint: true }))];
    // From another socket it still goes.
    const other = answer(CHANGED);
    sender.flush();
    for (let i = 0; i < BURST; i++) answer();
    sender.flush();
    const third = answer(CHANGED);
    sender.flush();
    expect(sockets.sends.map(({ socket }) => socket)).toEqual(['PP', 'PP', 'AA', 'AA']);
    expect(sender.counts.queueFull).toBe(BURST);
    expect(sockets.hex).toEqual([...waiting, other, third]);
    sockets.full.clear();
    sockets.sends[0]!.finish(null);
    answer();
    sender.flush();
    expect(sender.counts.queueFull).toBe(BURST + 1);
    sockets.sends[1]!.finish(null);
    const last = answer();
    sender.flush();
    expect(sockets.hex).toEqual([...waiting, other, third, last]);
    expect(sender.counts).toEqual({ ...NOTHING_SENT, responses: 5, queueFull: BURST + 1 });
  });
});
