/** A lane's batches against a scripted kernel: what is sent when sends fail. */
import { describe, expect, it } from 'vitest';
import { CHANGE_REQUEST, RESPONSE_PORT } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { LaneSockets } from '../../../server/udp/batched/lane-sockets.ts';
import { SEND } from '../../../server/udp/batched/lane-state.ts';
import type { SystemCalls } from '../../../server/udp/batched/system-calls.ts';
import { createCore, exchange, hexOf, request } from '../answer/exchange.ts';

const EPERM = 1;
const EINTR = 4;
const EBADF = 9;
const EAGAIN = 11;
const ENETDOWN = 100;
/** Where the lane is made to believe that its memory is. */
const BASE = 0x7f12_ffff_0000;
const SOCKETS = [40, 41, 42, 43] as const;
const CLIENT = { address: '198.51.100.7', port: 40000 };
const SOCKADDR = Buffer.from('02009c40c63364070000000000000000', 'hex');

const CHANGE_BOTH = CHANGE_REQUEST.of({ address: true, port: true });
const ASK_RECEIPT = request([CHANGE_BOTH, RECEIPT_REQUEST.of(84)]);

interface Sent {
  readonly fd: number;
  readonly to: number;
  readonly hex: string;
}

/** Hands over the datagrams given, and takes what is sent, unless a result is scripted. */
class ScriptedKernel {
  readonly sent: Sent[] = [];
  /** Results of the next calls of sendmmsg: how many to take, or a negative error number. */
  readonly sendResults: number[] = [];
  receiveError = 0;
  private readonly waiting: Uint8Array[];
  private error = 0;
  private memory: Buffer = Buffer.alloc(0);

  constructor(...waiting: Uint8Array[]) {
    this.waiting = waiting;
  }

  get calls(): SystemCalls {
    const calls: Partial<SystemCalls> = {
      errno: () => this.error,
      addressOf: (buffer) => {
        this.memory = Buffer.from(buffer);
        return BigInt(BASE);
      },
      recvmmsg: (_fd, messages, count) => this.receive(Number(messages), count),
      sendmmsg: (fd, messages, count) => this.send(fd, Number(messages), count),
    };
    return calls as SystemCalls;
  }

  private receive(messages: number, count: number): number {
    if (this.receiveError !== 0) return this.fail(this.receiveError);
    const taken = this.waiting.splice(0, count);
    if (taken.length === 0) return this.fail(EAGAIN);
    for (const [index, bytes] of taken.entries()) {
      const header = messages - BASE + index * 64;
      SOCKADDR.copy(this.memory, this.pointer(header));
      this.memory.set(bytes, this.pointer(this.pointer(header + 16)));
      this.memory.writeUInt32LE(bytes.length, header + 56);
    }
    return taken.length;
  }

  private send(fd: number, messages: number, count: number): number {
    const result = this.sendResults.shift() ?? count;
    if (result < 0) return this.fail(-result);
    for (let index = 0; index < result; index++) {
      const header = messages - BASE + index * 64;
      const name = this.pointer(header);
      const iov = this.pointer(header + 16);
      const start = this.pointer(iov);
      const length = this.memory.readUInt32LE(iov + 8);
      this.sent.push({
        fd,
        to: this.memory.readUInt16BE(name + 2),
        hex: hexOf(this.memory.subarray(start, start + length)),
      });
    }
    return result;
  }

  private pointer(at: number): number {
    return Number(this.memory.readBigUInt64LE(at)) - BASE;
  }

  private fail(error: number): number {
    this.error = error;
    return -1;
  }
}

function start(kernel: ScriptedKernel): { lane: LaneSockets; sends: Float64Array } {
  const sends = new Float64Array(Object.keys(SEND).length);
  const options = {
    calls: kernel.calls,
    family: 'ipv4',
    sockets: SOCKETS,
    core: createCore(),
    sends,
  } as const;
  return { lane: new LaneSockets(options), sends };
}

/** As the core alone answers. */
function answersOf(bytes: Uint8Array): string[] {
  return exchange(createCore(), bytes, { source: CLIENT }).map(({ hex }) => hex);
}

describe('a batch', () => {
  it('leaves by the sockets of its answers’ roles, to where they ask', () => {
    const elsewhere = request([RESPONSE_PORT.of(5000)]);
    const kernel = new ScriptedKernel(request(), ASK_RECEIPT, Buffer.from('no STUN'), elsewhere, request());
    const { lane, sends } = start(kernel);
    expect(lane.answerBatch(0)).toBe(false);
    const [plain] = answersOf(request());
    const [response, receipt] = answersOf(ASK_RECEIPT);
    expect(kernel.sent).toEqual([
      { fd: 40, to: 40000, hex: plain },
      { fd: 40, to: 5000, hex: answersOf(elsewhere)[0] },
      { fd: 40, to: 40000, hex: plain },
      { fd: 43, to: 40000, hex: response },
      { fd: 40, to: 40000, hex: receipt },
    ]);
    expect([sends[SEND.responses], sends[SEND.receipts], sends[SEND.errors]]).toEqual([4, 1, 0]);
  });

  it('of more than fit is not the last', () => {
    const kernel = new ScriptedKernel(...Array.from({ length: 70 }, () => request()));
    const { lane, sends } = start(kernel);
    expect([lane.answerBatch(1), lane.answerBatch(1)]).toEqual([true, false]);
    expect(sends[SEND.responses]).toBe(70);
  });

  it('goes on after a send that the system refuses, and asks again after a signal', () => {
    const kernel = new ScriptedKernel(request(), request(), request());
    kernel.sendResults.push(1, -EINTR, -EPERM);
    const { lane, sends } = start(kernel);
    lane.answerBatch(0);
    expect(kernel.sent).toHaveLength(2);
    expect([sends[SEND.responses], sends[SEND.errors]]).toEqual([2, 1]);
  });

  it('counts what a full socket does not take', () => {
    const kernel = new ScriptedKernel(request(), request());
    kernel.sendResults.push(-EAGAIN);
    const { lane, sends } = start(kernel);
    lane.answerBatch(0);
    expect([sends[SEND.responses], sends[SEND.queueFull]]).toEqual([1, 1]);
  });

  it('gives no receipt for a response that was not sent, in the next batch again', () => {
    const kernel = new ScriptedKernel(ASK_RECEIPT, ASK_RECEIPT);
    kernel.sendResults.push(1, -EPERM);
    const { lane, sends } = start(kernel);
    lane.answerBatch(0);
    expect(kernel.sent.map(({ fd }) => fd)).toEqual([43, 40]);
    expect([sends[SEND.receipts], sends[SEND.withheldReceipts]]).toEqual([1, 1]);
    const other = new ScriptedKernel(ASK_RECEIPT, ASK_RECEIPT);
    other.sendResults.push(-EPERM);
    const { lane: again } = start(other);
    again.answerBatch(0);
    expect(other.sent.map(({ fd }) => fd)).toEqual([43, 40]);
  });

  it('is not answered where the main thread takes it', () => {
    const kernel = new ScriptedKernel(request(), ASK_RECEIPT);
    const { lane } = start(kernel);
    const taken: string[] = [];
    lane.answerBatch(0, (role, _bytes, from, end, { port }) => {
      taken.push(`${role} ${port} ${end - from}`);
      return end - from > 20;
    });
    expect(taken).toEqual(['0 40000 20', `0 40000 ${ASK_RECEIPT.length}`]);
    expect(kernel.sent).toHaveLength(1);
  });
});

describe('an error in receiving', () => {
  it('of the network is counted', () => {
    const kernel = new ScriptedKernel();
    const { lane, sends } = start(kernel);
    kernel.receiveError = ENETDOWN;
    expect(lane.answerBatch(0)).toBe(false);
    expect(sends[SEND.errors]).toBe(1);
  });

  it('of the lane’s own making ends it', () => {
    const kernel = new ScriptedKernel();
    const { lane } = start(kernel);
    kernel.receiveError = EBADF;
    expect(() => lane.answerBatch(0)).toThrow('recvmmsg EBADF');
  });
});
