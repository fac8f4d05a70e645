import { describe, expect, it } from 'vitest';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { AnswerSender, type SendingSocket } from '../../../server/udp/answer-sender.ts';
import { CLIENT, createCore, exchange, hexOf, request } from '../answer/exchange.ts';

interface Send {
  readonly socket: string;
  readonly bytes: Uint8Array;
  readonly port: number;
  readonly finish: (error: Error | null) => void;
}

/** Sockets whose sends wait until the test finishes them. */
class HeldSockets {
  readonly sends: Send[] = [];
  readonly sockets: SendingSocket[] = ['PP', 'PA', 'AP', 'AA'].map((socket) => ({
    send: (bytes, port, address, finish) => {
      expect(address).toBe(CLIENT.address);
      this.sends.push({ socket, bytes, port, finish });
    },
  }));
}

const ASK_RECEIPT = request([CHANGE_REQUEST.of({ address: true, port: true }), RECEIPT_REQUEST.of(84)]);

function start(): { core: ReturnType<typeof createCore>; held: HeldSockets; sender: AnswerSender } {
  const core = createCore();
  const held = new HeldSockets();
  return { core, held, sender: new AnswerSender(core, held.sockets) };
}

describe('a receipt', () => {
  it('leaves once the response has been sent, though the core has gone on', () => {
    const { core, held, sender } = start();
    const [, receipt] = exchange(core, ASK_RECEIPT);
    sender.send(2, CLIENT, 0);
    expect(held.sends.map(({ socket }) => socket)).toEqual(['AA']);
    exchange(core, request([CHANGE_REQUEST.of({ address: true, port: false }), RECEIPT_REQUEST.of(84)]), {
      source: { address: '198.51.100.99', port: 9 },
    });
    held.sends[0]!.finish(null);
    expect(held.sends.map(({ socket, port, bytes }) => [socket, port, hexOf(bytes)])[1]).toEqual([
      'PP',
      40000,
      receipt!.hex,
    ]);
    held.sends[1]!.finish(null);
    expect(sender.counts).toEqual({
      responses: 1,
      receipts: 1,
      ice: 0,
      errors: 0,
      withheldReceipts: 0,
      queueFull: 0,
    });
  });

  it('does not leave if the response could not be sent', () => {
    const { core, held, sender } = start();
    exchange(core, ASK_RECEIPT);
    sender.send(2, CLIENT, 0);
    held.sends[0]!.finish(new Error('ENETUNREACH'));
    expect(held.sends).toHaveLength(1);
    expect(sender.counts).toEqual({
      responses: 0,
      receipts: 0,
      ice: 0,
      errors: 1,
      withheldReceipts: 1,
      queueFull: 0,
    });
  });

  it('does not leave after the stop', () => {
    const { core, held, sender } = start();
    exchange(core, ASK_RECEIPT);
    sender.send(2, CLIENT, 0);
    sender.close();
    held.sends[0]!.finish(null);
    expect(held.sends).toHaveLength(1);
  });

  it('that could not be sent is counted', () => {
    const { core, held, sender } = start();
    exchange(core, ASK_RECEIPT);
    sender.send(2, CLIENT, 0);
    held.sends[0]!.finish(null);
    held.sends[1]!.finish(new Error('EPERM'));
    expect(sender.counts).toEqual({
      responses: 1,
      receipts: 0,
      ice: 0,
      errors: 1,
      withheldReceipts: 0,
      queueFull: 0,
    });
  });
});

describe('a socket that is full', () => {
  const CHANGED = request([CHANGE_REQUEST.of({ address: true, port: true })]);

  it('keeps the bytes of the send under way, and loses what comes meanwhile', () => {
    const { core, held, sender } = start();
    const answer = (bytes: Uint8Array): string => {
      sender.prepare();
      const [sent] = exchange(core, bytes);
      sender.send(1, CLIENT, 0);
      return sent!.hex;
    };
    const first = answer(request());
    // From another socket it still goes.
    const second = answer(CHANGED);
    answer(request());
    expect(held.sends.map(({ socket }) => socket)).toEqual(['PP', 'AA']);
    expect(sender.counts.queueFull).toBe(1);
    expect(held.sends.map(({ bytes }) => hexOf(bytes))).toEqual([first, second]);
    held.sends[0]!.finish(null);
    const fourth = answer(request([], { fingerprint: true }));
    expect(held.sends.map(({ bytes }) => hexOf(bytes))).toEqual([first, second, fourth]);
    expect(held.sends[2]!.socket).toBe('PP');
    for (const { finish } of held.sends.slice(1)) finish(null);
    expect(sender.counts).toMatchObject({ responses: 3, queueFull: 1 });
  });

  it('has a buffer of its own for as long as it takes, and the core goes on in another', () => {
    const { core, held, sender } = start();
    const buffers: Uint8Array[] = [];
    for (let turn = 0; turn < 4; turn++) {
      sender.prepare();
      exchange(core, CHANGED);
      sender.send(1, CLIENT, 0);
      buffers.push(core.outgoing[0].buffer);
      // The second is still under way when the third comes, which is lost.
      if (turn !== 1) held.sends.at(-1)!.finish(null);
    }
    expect(buffers.map((buffer) => buffers.indexOf(buffer))).toEqual([0, 0, 2, 2]);
    expect(sender.counts).toMatchObject({ queueFull: 1, responses: 3 });
  });
});
