/** What is run through holes, on loopback and without a terminal. */
import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { PassThrough, Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { NatprobeError } from '../../../shared/errors.ts';
import { bridgeThrough, type BridgeOptions } from '../../../probe/streams/bridge.ts';
import { chatThrough } from '../../../probe/streams/chat.ts';
import { execThrough } from '../../../probe/streams/exec.ts';
import { pipeThrough } from '../../../probe/streams/pipe.ts';
import { openSecureStream, type SecureStream } from '../../../probe/streams/secure-stream.ts';
import { Random } from '../../sim/random.ts';
import { openHolePair, type HolePair, type PairOptions } from '../../support/stream-holes.ts';

const pairs: HolePair[] = [];
const sockets: Socket[] = [];

async function streams(program: string, options: PairOptions = {}): Promise<[SecureStream, SecureStream]> {
  const pair = await openHolePair(options);
  pairs.push(pair);
  return Promise.all([openSecureStream(pair.a, { program }), openSecureStream(pair.b, { program })]);
}

afterEach(async () => {
  await Promise.all(pairs.splice(0).map((pair) => pair.close()));
  for (const socket of sockets.splice(0)) socket.close();
});

/** Keeps what is written; each piece takes a moment. */
class Sink extends Writable {
  readonly pieces: Buffer[] = [];
  override _write(piece: Buffer, _encoding: string, done: () => void): void {
    this.pieces.push(Buffer.from(piece));
    setImmediate(done);
  }
  get bytes(): Buffer {
    return Buffer.concat(this.pieces);
  }
  get text(): string {
    return this.bytes.toString();
  }
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

function inPieces(bytes: Uint8Array, random: Random): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length;) {
        const size = random.integer(1, 200_000);
        yield Buffer.from(bytes.subarray(at, at + size));
        at += size;
      }
    })(),
    { objectMode: false },
  );
}

describe('a pipe', () => {
  it('is exact to the byte, both ways, on a bad path', async () => {
    const [a, b] = await streams('pipe', { loss: 0.02, delayed: 0.05 });
    const random = new Random(1);
    const [fromA, fromB] = [random.bytes(3_000_001), random.bytes(70_000)];
    const [atA, atB] = [new Sink(), new Sink()];
    await Promise.all([
      pipeThrough(a, inPieces(fromA, random), atA),
      pipeThrough(b, inPieces(fromB, random), atB),
    ]);
    expect([hashOf(atA.bytes), hashOf(atB.bytes)]).toEqual([hashOf(fromB), hashOf(fromA)]);
  });

  it('waits for the input that goes on when the other has ended', async () => {
    const [a, b] = await streams('pipe');
    const [slow, atA] = [new PassThrough(), new Sink()];
    const both = Promise.all([pipeThrough(a, Readable.from([]), atA), pipeThrough(b, slow, new Sink())]);
    await sleep(200);
    slow.end('late');
    await both;
    expect(atA.text).toBe('late');
  });

  it('ends with an error where its input is still open and the other side has gone', async () => {
    const [a, b] = await streams('pipe');
    const piping = pipeThrough(a, new PassThrough(), new Sink());
    b.destroy(new NatprobeError('ERR_ABORTED', 'test'));
    await expect(piping).rejects.toMatchObject({ code: 'ERR_STREAM_LOST' });
  });

  it('ends on both sides where nobody takes what comes out, and when it is stopped', async () => {
    const [a, b] = await streams('pipe');
    const broken = new Writable({ write: (_bytes, _encoding, done) => done(new Error('write EPIPE')) });
    const results = await Promise.allSettled([
      pipeThrough(a, new PassThrough(), broken),
      pipeThrough(b, Readable.from([Buffer.from('x')]), new Sink()),
    ]);
    expect(results).toMatchObject([
      { reason: { code: 'ERR_OUTPUT' } },
      { reason: { code: 'ERR_STREAM_LOST' } },
    ]);
    const [c] = await streams('pipe');
    await expect(
      pipeThrough(c, new PassThrough(), new Sink(), AbortSignal.timeout(50)),
    ).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});

describe('a chat without a terminal', () => {
  it('says what the other typed under its name, and who comes and goes', async () => {
    const [a, b] = await streams('chat');
    const [inA, inB, outA, outB, talk] = [
      new PassThrough(),
      new PassThrough(),
      new Sink(),
      new Sink(),
      new Sink(),
    ];
    const both = Promise.all([
      chatThrough(a, 'bob', { input: inA, output: outA, talk }),
      chatThrough(b, 'alice', { input: inB, output: outB, talk: new Sink() }),
    ]);
    inA.write('hello\nhow are you?\n');
    inB.write('fine, and you?\n');
    await expect
      .poll(() => [outA.text, outB.text])
      .toEqual(['bob: fine, and you?\n', 'alice: hello\nalice: how are you?\n']);
    inB.write('bye\n/quit\nnot said\n');
    await both;
    expect(outA.text).toBe('bob: fine, and you?\nbob: bye\n');
    expect(talk.text).toBe('* bob is here; /quit or Ctrl-D ends the chat\n* bob has left\n');
  });

  it('ends with its input, and brings all of it over', async () => {
    const [a, b] = await streams('chat');
    const outB = new Sink();
    await Promise.all([
      chatThrough(a, 'bob', {
        input: Readable.from(['one\ntwo\n', 'three']),
        output: new Sink(),
        talk: new Sink(),
      }),
      chatThrough(b, 'alice', { input: new PassThrough(), output: outB, talk: new Sink() }),
    ]);
    expect(outB.text).toBe('alice: one\nalice: two\nalice: three\n');
  });

  it('shows nothing that moves the cursor, whatever a peer sends', async () => {
    const [a, b] = await streams('chat');
    const outB = new Sink();
    const chat = chatThrough(b, 'al\u001b[2Jice\n', {
      input: new PassThrough(),
      output: outB,
      talk: new Sink(),
    });
    await a.write(Buffer.from('\u001b[2J\u001b]0;title\u0007a\rb\u202ec\u0000\n'));
    await a.write(Buffer.from([0xff, 0xfe, 0x0a]));
    await a.write(Buffer.from('x'.repeat(10_000)));
    await a.write(Buffer.from(`${'y'.repeat(10_000)}\n`));
    await a.end();
    await chat;
    expect(outB.text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(Math.max(...outB.text.split('\n').map((line) => line.length))).toBeLessThan(4200);
  });
});

describe('a bridge', () => {
  async function localProgram(): Promise<Socket> {
    const socket = createSocket('udp4');
    sockets.push(socket);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return socket;
  }

  /** Resolves with the bridge's port once it works. */
  function bridge(
    stream: SecureStream,
    program: Socket,
    options: Partial<BridgeOptions> = {},
  ): { port: Promise<number>; over: ReturnType<typeof bridgeThrough> } {
    const { promise: port, resolve } = Promise.withResolvers<number>();
    const over = bridgeThrough(stream, {
      program: { address: '127.0.0.1', port: program.address().port },
      onOpen: (at) => resolve(at.port),
      onTooLong: () => undefined,
      ...options,
    });
    over.catch(() => undefined);
    return { port, over };
  }

  it('carries datagrams between two programs, each in its size, and ends on both sides', async () => {
    const [a, b] = await streams('bridge');
    const [here, there] = await Promise.all([localProgram(), localProgram()]);
    const stop = new AbortController();
    const tooLong: number[] = [];
    const [one, other] = [
      bridge(a, here, { signal: stop.signal, onTooLong: (bytes) => tooLong.push(bytes) }),
      bridge(b, there),
    ];
    const heard: string[] = [];
    there.on('message', (bytes, from) => {
      heard.push(hashOf(bytes));
      there.send(Buffer.from(`got ${bytes.length}`), from.port, from.address);
    });
    const answers: string[] = [];
    here.on('message', (bytes) => answers.push(bytes.toString()));

    const sizes = [0, 1, 148, 1000, 1428];
    const sent = sizes.map((size) => Buffer.from(new Random(size + 1).bytes(size)));
    const port = await one.port;
    await other.port;
    for (const bytes of sent) {
      here.send(bytes, port, '127.0.0.1');
      await sleep(5);
    }
    here.send(Buffer.alloc(1429), port, '127.0.0.1');
    here.send(Buffer.alloc(8000), port, '127.0.0.1');
    await expect.poll(() => answers).toEqual(sizes.map((size) => `got ${size}`));
    expect(heard).toEqual(sent.map(hashOf));
    stop.abort();
    expect(await one.over).toEqual({ sent: 5, received: 5, dropped: 2 });
    expect(await other.over).toEqual({ sent: 5, received: 5, dropped: 0 });
    expect(tooLong).toEqual([1429]);
  });

  it('learns where a program is that asks from a port of its own, and listens where it is told', async () => {
    const [a, b] = await streams('bridge');
    const [unused, server, client] = await Promise.all([localProgram(), localProgram(), localProgram()]);
    const free = createSocket('udp4');
    free.bind(0, '127.0.0.1');
    await once(free, 'listening');
    const { port: listenPort } = free.address();
    free.close();
    const [asking, answering] = [bridge(a, unused, { port: listenPort }), bridge(b, server)];
    expect(await asking.port).toBe(listenPort);
    await answering.port;
    server.on('message', (bytes, from) => server.send(`echo ${bytes.toString()}`, from.port, from.address));
    const echo = once(client, 'message');
    client.send('question', listenPort, '127.0.0.1');
    expect(String((await echo)[0])).toBe('echo question');
    await a.end();
    await Promise.all([asking.over, answering.over]);
  });

  it('says that the port is taken', async () => {
    const [a] = await streams('bridge');
    const taken = await localProgram();
    await expect(bridge(a, taken, { port: taken.address().port }).over).rejects.toMatchObject({
      code: 'ERR_BRIDGE',
    });
  });
});

describe('another program', () => {
  it('finds both endpoints in its environment, and can bind the local one', async () => {
    const pair = await openHolePair();
    pairs.push(pair);
    const { a, b } = pair;
    const heard = new Promise<string>((resolve) =>
      b.on('message', (bytes) => resolve(Buffer.from(bytes).toString())),
    );
    const script = `
      const socket = require('node:dgram').createSocket('udp4');
      const { NATPROBE_LOCAL_PORT, NATPROBE_REMOTE_ADDRESS, NATPROBE_REMOTE_PORT, NATPROBE_KEY, NATPROBE_PEER, NATPROBE_ROLE } = process.env;
      socket.bind(Number(NATPROBE_LOCAL_PORT), () =>
        socket.send([NATPROBE_PEER, NATPROBE_ROLE, NATPROBE_KEY.length].join(), Number(NATPROBE_REMOTE_PORT), NATPROBE_REMOTE_ADDRESS, () => process.exit(7)));`;
    const code = await execThrough(a, `'${process.execPath}' -e '${script.replaceAll("'", '"')}'`);
    expect(await heard).toBe('peer,controlling,64');
    expect(code).toBe(7);
  });

  it('is not handed a hole that a relay carries, which would end with its socket', async () => {
    const pair = await openHolePair();
    pairs.push(pair);
    Object.assign(pair.a.report, { path: 'relay' });
    await expect(execThrough(pair.a, 'true')).rejects.toMatchObject({ code: 'ERR_EXEC' });
  });

  it('ends with the code that a shell gives for a signal, also when natprobe is stopped', async () => {
    const pair = await openHolePair();
    pairs.push(pair);
    expect(await execThrough(pair.a, 'exec sleep 10', AbortSignal.timeout(1500))).toBe(143);
    expect(await execThrough(pair.b, 'no-such-program-here 2>/dev/null', AbortSignal.timeout(5000))).toBe(
      127,
    );
  });
});
