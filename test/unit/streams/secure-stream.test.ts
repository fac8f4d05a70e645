/** Streams through holes on loopback: what arrives, when it ends, and what cannot harm it. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { NatprobeError } from '../../../shared/errors.ts';
import { streamEnds } from '../../../probe/streams/keys.ts';
import {
  openSecureStream,
  type SecureStream,
  type StreamOptions,
} from '../../../probe/streams/secure-stream.ts';
import { Random } from '../../sim/random.ts';
import { openEnd, openHolePair, type HolePair, type PairOptions } from '../../support/stream-holes.ts';
import { codeOf, readAll, writeAll } from './stream-io.ts';

const MEGABYTE = 1024 * 1024;

const pairs: HolePair[] = [];

async function pairOver(options: PairOptions = {}): Promise<HolePair> {
  const pair = await openHolePair(options);
  pairs.push(pair);
  return pair;
}

afterEach(async () => {
  await Promise.all(pairs.splice(0).map((pair) => pair.close()));
});

function openBoth(
  { a, b }: HolePair,
  options: Partial<StreamOptions> = {},
): Promise<[SecureStream, SecureStream]> {
  return Promise.all([
    openSecureStream(a, { program: 'pipe', ...options }),
    openSecureStream(b, { program: 'pipe', ...options }),
  ]);
}

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The side that gets its plan first is there first. */
async function moveBoth({ a, b }: HolePair): Promise<void> {
  const [socketA, socketB] = await Promise.all([openEnd(), openEnd()]);
  b.moveTo(socketB, socketA.local);
  await sleep(20);
  a.moveTo(socketA, socketB.local);
}

/** A packet of a stream as UDX has it: magic, version, kind, no padding, id, window, sequence, acknowledged. */
function packet(kind: number, id: number, sequence: number, body = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(20);
  header.set([0xff, 1, kind, 0]);
  [id, 1 << 20, sequence, 0].forEach((word, index) => header.writeUInt32LE(word, 4 + 4 * index));
  return Buffer.concat([header, body]);
}
const DATA = 0b00001;
const DESTROY = 0b01000;
const MESSAGE = 0b10000;

describe('a stream through a hole', () => {
  it('is there on both sides within a moment, whoever is first', async () => {
    const startedAt = performance.now();
    await openBoth(await pairOver());
    expect(performance.now() - startedAt).toBeLessThan(700);
  });

  it('is there as soon as the later side is, whichever that is', async () => {
    for (const late of ['a', 'b'] as const) {
      const pair = await pairOver();
      const early = late === 'a' ? 'b' : 'a';
      const first = openSecureStream(pair[early], { program: 'pipe' });
      await sleep(300);
      const startedAt = performance.now();
      await Promise.all([first, openSecureStream(pair[late], { program: 'pipe' })]);
      expect(performance.now() - startedAt, `${late} comes later`).toBeLessThan(700);
    }
  });

  for (const seed of [1, 2, 3]) {
    it(`carries each byte both ways past loss and disorder (seed ${seed})`, async () => {
      const pair = await pairOver({ loss: 0.02, delayed: 0.1, delayMs: 20, seed });
      const [a, b] = await openBoth(pair);
      const random = new Random(seed);
      const [fromA, fromB] = [random.bytes(2 * MEGABYTE), random.bytes(MEGABYTE)];
      const [atB, atA] = await Promise.all([readAll(b), readAll(a), writeAll(a, fromA), writeAll(b, fromB)]);
      await Promise.all([a.closed(), b.closed()]);
      expect([hashOf(atB), hashOf(atA)]).toEqual([hashOf(fromA), hashOf(fromB)]);
    });
  }

  it('goes on one way when the other has ended', async () => {
    const [a, b] = await openBoth(await pairOver());
    await a.end();
    expect(await readAll(b)).toHaveLength(0);
    await b.write(Buffer.from('still here'));
    await b.end();
    expect((await readAll(a)).toString()).toBe('still here');
    await Promise.all([a.closed(), b.closed()]);
  });

  it('ends without an error on both sides, whichever last packets are lost', async () => {
    // At the same time: each waits for retransmissions.
    const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
    await Promise.all(
      seeds.map(async (seed) => {
        const pair = await pairOver({ loss: 0.25, seed });
        const [a, b] = await openBoth(pair);
        const got = Promise.all([readAll(b), readAll(a)]);
        await Promise.all([writeAll(a, Buffer.from('over')), writeAll(b, Buffer.from('out'))]);
        expect((await got).map(String), `seed ${seed}`).toEqual(['over', 'out']);
        await Promise.all([a.closed(), b.closed()]);
      }),
    );
  });

  it('makes a writer wait for a reader that takes nothing', async () => {
    const [a, b] = await openBoth(await pairOver());
    let written = 0;
    const writing = (async () => {
      for (; written < 16; written += 1) await a.write(Buffer.alloc(MEGABYTE));
      await a.end();
    })();
    await expect.poll(() => written, { timeout: 20_000 }).toBeGreaterThan(4);
    await sleep(1000);
    expect(written).toBeLessThan(10);
    const [read] = await Promise.all([readAll(b), writing]);
    expect(read).toHaveLength(16 * MEGABYTE);
  });

  it('moves with its hole to other sockets when nothing is under way', async () => {
    const pair = await pairOver();
    const [a, b] = await openBoth(pair);
    await a.write(Buffer.from('before, '));
    await sleep(100);
    pair.path.setFilter(() => false);
    for (let move = 0; move < 2; move += 1) await moveBoth(pair);
    await writeAll(a, Buffer.from('after'));
    expect((await readAll(b)).toString()).toBe('before, after');
    await b.end();
    await Promise.all([a.closed(), b.closed()]);
  });

  it('breaks when its hole moves and something was under way: only the place where that was sent gets it', async () => {
    const pair = await pairOver();
    const [a, b] = await openBoth(pair);
    pair.path.setFilter(() => false);
    const reading = codeOf(readAll(b));
    await a.write(Buffer.from('lost'));
    await sleep(50);
    await moveBoth(pair);
    await expect(a.end()).rejects.toThrow('under way when the hole was lost');
    expect(await reading).toBe('ERR_STREAM_LOST');
  });

  it('breaks with the reason when the hole is gone for good', async () => {
    const pair = await pairOver();
    const [a, b] = await openBoth(pair);
    const reading = codeOf(readAll(a));
    pair.a.fail('nothing of the peer came through');
    expect(await reading).toBe('ERR_STREAM_LOST');
    await expect(a.write(Buffer.from('x'))).rejects.toThrow('nothing of the peer came through');
    // The other side is told at once.
    await expect(readAll(b)).rejects.toThrow('the peer has ended it');
  });

  it('gives what came before it broke', async () => {
    const pair = await pairOver();
    const [a, b] = await openBoth(pair);
    await a.write(Buffer.from('first'));
    await sleep(100);
    a.destroy(new NatprobeError('ERR_ABORTED', 'stream'));
    await sleep(100);
    const pieces: string[] = [];
    const reading = (async () => {
      for await (const piece of b) pieces.push(Buffer.from(piece).toString());
    })();
    expect(await codeOf(reading)).toBe('ERR_STREAM_LOST');
    expect(pieces).toEqual(['first']);
  });

  it('says that nobody answers, and that it was stopped', async () => {
    const { a, b } = await pairOver();
    const alone = openSecureStream(a, { program: 'pipe', timeoutMs: 300 });
    expect(await codeOf(alone)).toBe('ERR_STREAM_SILENT');
    const stop = new AbortController();
    // What the first side said of its end may come in meanwhile.
    await sleep(50);
    const stopped = openSecureStream(b, { program: 'pipe', signal: stop.signal });
    setTimeout(() => stop.abort(), 100);
    expect(await codeOf(stopped)).toBe('ERR_ABORTED');
  });

  it('says on both sides that they run different programs', async () => {
    const { a, b } = await pairOver();
    const failures = await Promise.all([
      codeOf(openSecureStream(a, { program: 'pipe' })),
      codeOf(openSecureStream(b, { program: 'chat' })),
    ]);
    expect(failures).toEqual(['ERR_STREAM_PROGRAM', 'ERR_STREAM_PROGRAM']);
  });

  it('carries datagrams beside it in their sizes, up to the longest that a packet of 1500 bytes holds', async () => {
    const [a, b] = await openBoth(await pairOver());
    const heard: Buffer[] = [];
    b.onDatagram((bytes) => heard.push(Buffer.from(bytes)));
    expect(a.longestDatagram).toBe(1428);
    const sizes = [0, 1, 500, a.longestDatagram];
    const sent = sizes.map((size) => Buffer.from(new Random(size).bytes(size)));
    for (const bytes of sent) expect(a.sendDatagram(bytes)).toBe(true);
    expect(a.sendDatagram(Buffer.alloc(a.longestDatagram + 1))).toBe(false);
    await expect.poll(() => heard.length).toBe(sizes.length);
    expect(heard).toEqual(sent);
  });
});

describe('a stranger', () => {
  it('does not get in without the key', async () => {
    const pair = await pairOver({ foreign: true });
    expect(await codeOf(openBoth(pair, { timeoutMs: 500 }))).toBe('ERR_STREAM_SILENT');
  });

  it('cannot disturb a stream with packets of its own, nor with copies of those that passed', async () => {
    const pair = await pairOver();
    const seen: Buffer[] = [];
    pair.path.setFilter((bytes, from) => {
      if (from === 'a' && seen.length < 200) seen.push(Buffer.from(bytes));
      return true;
    });
    const [a, b] = await openBoth(pair);
    const bytes = new Random(4).bytes(2 * MEGABYTE);
    const reading = readAll(b);
    const writing = writeAll(a, bytes);

    const stranger = createSocket('udp4');
    const { port } = pair.b.socket.address()!;
    const random = new Random(5);
    for (let round = 0; round < 20; round += 1) {
      for (const kind of [DATA, DESTROY, MESSAGE, DATA | MESSAGE]) {
        stranger.send(
          packet(kind, random.uint32(), round, Buffer.from(random.bytes(200))),
          port,
          '127.0.0.1',
        );
      }
      stranger.send(random.bytes(random.integer(1, 1400)), port, '127.0.0.1');
      for (const copy of seen) stranger.send(copy, port, '127.0.0.1');
      await sleep(5);
    }
    await writing;
    stranger.close();
    expect(hashOf(await reading)).toBe(hashOf(bytes));
    await b.end();
    await Promise.all([a.closed(), b.closed()]);
  });

  it('who sits on the path and forges data ends the stream, and is not believed', async () => {
    const pair = await pairOver();
    const [, b] = await openBoth(pair);
    const reading = readAll(b);
    const { own } = streamEnds(pair.b.key, 'controlled');
    const forger = createSocket('udp4');
    const forged = Buffer.from(new Random(6).bytes(100));
    forged.set([40, 0, 0]);
    for (let sequence = 0; sequence < 20; sequence += 1)
      forger.send(packet(DATA, own.id, sequence, forged), pair.b.socket.address()!.port, '127.0.0.1');
    expect(await codeOf(reading)).toBe('ERR_STREAM_KEY');
    forger.close();
  });
});
