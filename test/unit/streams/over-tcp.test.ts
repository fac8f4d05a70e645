/** Programs through a hole over TCP: on loopback, by the connection itself. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { bridgeThrough } from '../../../probe/streams/bridge.ts';
import { execThrough } from '../../../probe/streams/exec.ts';
import { openSecureStream, type SecureStream } from '../../../probe/streams/secure-stream.ts';
import { Random } from '../../sim/random.ts';
import { openTcpHolePair, type TcpHolePair } from '../../support/tcp-holes.ts';
import { codeOf, readAll, writeAll } from './stream-io.ts';

const MEGABYTE = 1024 * 1024;
const pairs: TcpHolePair[] = [];

async function pairOver(options: { readonly foreign?: boolean } = {}): Promise<TcpHolePair> {
  const pair = await openTcpHolePair(options);
  pairs.push(pair);
  return pair;
}

afterEach(async () => {
  await Promise.all(pairs.splice(0).map((pair) => pair.close()));
});

function openBoth({ a, b }: TcpHolePair, program = 'pipe'): Promise<[SecureStream, SecureStream]> {
  return Promise.all([openSecureStream(a, { program }), openSecureStream(b, { program })]);
}

describe('a stream over TCP', () => {
  it('carries each byte both ways, encrypted, and ends on both sides without an error', async () => {
    const pair = await pairOver();
    const secret = 'not for those on the way';
    let seen = Buffer.alloc(0);
    pair.b.socket.on('data', (bytes) => (seen = Buffer.concat([seen, bytes])));
    pair.b.socket.pause();
    const [a, b] = await openBoth(pair);
    const random = new Random(1);
    const fromA = Buffer.concat([Buffer.from(secret), random.bytes(9 * MEGABYTE)]);
    const fromB = Buffer.from(random.bytes(MEGABYTE));
    const [atB, atA] = await Promise.all([readAll(b), readAll(a), writeAll(a, fromA), writeAll(b, fromB)]);
    await Promise.all([a.closed(), b.closed()]);
    expect([atB.equals(fromA), atA.equals(fromB)]).toEqual([true, true]);
    expect([seen.length > fromA.length, seen.includes(secret)]).toEqual([true, false]);
  });

  it('is there as soon as the later side is', async () => {
    for (const late of ['a', 'b'] as const) {
      const pair = await pairOver();
      const first = openSecureStream(pair[late === 'a' ? 'b' : 'a'], { program: 'pipe' });
      await sleep(200);
      await Promise.all([first, openSecureStream(pair[late], { program: 'pipe' })]);
    }
  });

  it('goes on one way when the other has ended', async () => {
    const [a, b] = await openBoth(await pairOver());
    await a.end();
    expect(await readAll(b)).toHaveLength(0);
    await writeAll(b, Buffer.from('still here'));
    expect((await readAll(a)).toString()).toBe('still here');
    await Promise.all([a.closed(), b.closed()]);
  });

  it('breaks with the reason when the connection does, and when the peer is gone without a word', async () => {
    for (const [end, reason] of [
      ['resetAndDestroy', 'the peer has ended it'],
      ['destroy', 'the peer has ended it'],
    ] as const) {
      const pair = await pairOver();
      const [a, b] = await openBoth(pair);
      const lost = codeOf(readAll(b));
      pair.b.socket[end]();
      await expect(readAll(a)).rejects.toThrow(reason);
      expect(await lost).toBe('ERR_STREAM_LOST');
    }
  });

  it('never says that the peer has all where it has not', async () => {
    const pair = await pairOver();
    const [a, b] = await openBoth(pair);
    await b.end();
    // All of it fits into the buffers of the connection, and nobody takes it from there.
    pair.b.socket.pause();
    const ending = codeOf(writeAll(a, Buffer.from('on the way')));
    await sleep(50);
    pair.b.socket.destroy();
    expect(await ending).toBe('ERR_STREAM_LOST');
  });

  it('does not begin with who lacks the key, nor with another program', async () => {
    expect(['ERR_STREAM_KEY', 'ERR_STREAM_LOST']).toContain(
      await codeOf(openBoth(await pairOver({ foreign: true }))),
    );
    const { a, b } = await pairOver();
    const failures = await Promise.all([
      codeOf(openSecureStream(a, { program: 'pipe' })),
      codeOf(openSecureStream(b, { program: 'chat' })),
    ]);
    expect(failures).toEqual(['ERR_STREAM_PROGRAM', 'ERR_STREAM_PROGRAM']);
  });
});

describe('a bridge over TCP', () => {
  it('keeps the bounds of datagrams, of those too that no packet would hold', async () => {
    const [a, b] = await openBoth(await pairOver(), 'bridge');
    const [here, there] = [createSocket('udp4'), createSocket('udp4')];
    await Promise.all([here, there].map((socket) => once(socket.bind(0, '127.0.0.1'), 'listening')));
    const stop = new AbortController();
    const ports: number[] = [];
    const bridges = [
      [a, here],
      [b, there],
    ].map(([stream, socket]) =>
      bridgeThrough(stream as SecureStream, {
        program: { address: '127.0.0.1', port: (socket as typeof here).address().port },
        signal: stop.signal,
        onOpen: (at) => ports.push(at.port),
        onTooLong: () => undefined,
      }),
    );
    await expect.poll(() => ports.length).toBe(2);
    const heard: number[] = [];
    there.on('message', (bytes) => heard.push(bytes.length));
    for (const size of [0, 1, 1428, 9000]) here.send(Buffer.alloc(size, 7), ports[0], '127.0.0.1');
    await expect.poll(() => heard).toEqual([0, 1, 1428, 9000]);
    stop.abort();
    expect(await Promise.all(bridges)).toMatchObject([{ sent: 4 }, { received: 4 }]);
    here.close();
    there.close();
  });
});

describe('another program over TCP', () => {
  it('has the connection as its standard input and output, each to its end', async () => {
    const pair = await pairOver();
    const codes = await Promise.all([
      execThrough(pair.a, 'printf "one\\ntwo\\n"; exec 1>&-; test "$(cat)" = 2 || exit 9'),
      execThrough(pair.b, 'grep -c . ; exit 7'),
    ]);
    expect(codes).toEqual([0, 7]);
  });
});
