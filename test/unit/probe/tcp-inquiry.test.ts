/** The TCP inquiry's driver on real sockets: against a real server, and where nobody is. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTcpInquiry } from '../../../probe/classify/inquiries/tcp.ts';
import { runTcpInquiry } from '../../../probe/drive/tcp-inquiry.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { assessTcp, type TcpAxis } from '../../../shared/nat/tcp.ts';
import { type LoopbackServer, loopbackFamily, startOnLoopback } from '../server/loopback.ts';

function valuesOf({ mapping, filtering, unsolicitedSyn, simultaneousOpen }: TcpAxis): string[] {
  return [mapping, filtering, unsolicitedSyn, simultaneousOpen].map(({ value }) => value);
}

function create(server: Endpoint, random: (length: number) => Uint8Array = randomBytes) {
  const family = server.address.includes(':') ? 'ipv6' : 'ipv4';
  return createTcpInquiry({ family, server, timeoutMs: 4000, paceMs: 5, random });
}

/** A listener on the first free port from `first` up. */
async function listenFrom(first: number): Promise<Server> {
  for (let port = first; ; port++) {
    const server = createServer();
    try {
      server.listen(port, '0.0.0.0');
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

let running: LoopbackServer;
beforeAll(async () => {
  running = await startOnLoopback();
});
afterAll(() => running.server.stop());

describe('runTcpInquiry', () => {
  it('finds loopback open: nothing translates or filters there', async () => {
    const { evidence } = await runTcpInquiry(create(running.endpoints[0]!));
    expect(valuesOf(assessTcp(evidence))).toEqual(['none', 'endpoint-independent', 'accepted', 'likely']);
    const bindings = evidence.filter((item) => item.kind === 'tcp-binding');
    const mappingPorts = bindings
      .filter(({ purpose }) => purpose === 'mapping')
      .map(({ local }) => local?.port);
    // One local port for all four, another for each that is dialled.
    expect(mappingPorts).toHaveLength(4);
    expect(new Set(mappingPorts).size).toBe(1);
    expect(new Set(bindings.map(({ local }) => local?.port)).size).toBe(1 + bindings.length - 4);
  });

  it('finds one address over IPv6', async () => {
    const six = await startOnLoopback({ families: [await loopbackFamily('::1', undefined)] });
    try {
      const { evidence } = await runTcpInquiry(create(six.endpoints[0]!));
      expect(valuesOf(assessTcp(evidence))).toEqual(['none', 'unknown', 'unknown', 'unknown']);
    } finally {
      await six.server.stop();
    }
  });

  it('takes another port where somebody listens on the first', async () => {
    // The first draw is the port that is held: filtering ports begin at 49152.
    const holder = await listenFrom(49152);
    const { port } = holder.address() as AddressInfo;
    let isFirst = true;
    const random = (length: number): Uint8Array => {
      if (!isFirst || length !== 2) return randomBytes(length);
      isFirst = false;
      return Uint8Array.of((port - 49152) >> 8, (port - 49152) & 0xff);
    };
    try {
      const { evidence } = await runTcpInquiry(create(running.endpoints[0]!, random));
      expect(isFirst).toBe(false);
      const ports = evidence.flatMap((item) => (item.kind === 'tcp-binding' ? item.local?.port : []));
      expect(ports).not.toContain(port);
      expect(valuesOf(assessTcp(evidence))[1]).toBe('endpoint-independent');
    } finally {
      holder.close();
    }
  });

  it('is refused at once where nobody listens', async () => {
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await once(gone, 'close');
    const startedAt = performance.now();
    const { evidence } = await runTcpInquiry(create({ address: '127.0.0.1', port }));
    expect(assessTcp(evidence).mapping.reasons[0]!.code).toBe('tcp-refused');
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it('stops when it is told to, and leaves no connection behind', async () => {
    const accepted: string[] = [];
    const silent = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('close', () => accepted.push('closed'));
      accepted.push('opened');
      socket.resume();
    }).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const abort = new AbortController();
    const run = runTcpInquiry(create({ address: '127.0.0.1', port }), { signal: abort.signal });
    run.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 150));
    abort.abort(new Error('enough'));
    await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    const count = (what: string): number => accepted.filter((item) => item === what).length;
    const giveUpAt = performance.now() + 2000;
    while (count('closed') < count('opened') && performance.now() < giveUpAt)
      await new Promise((r) => setTimeout(r, 5));
    expect(count('opened')).toBeGreaterThan(0);
    expect(count('closed')).toBe(count('opened'));
    silent.close();
  });

  it('does not begin once it has been told to stop', async () => {
    const run = runTcpInquiry(create(running.endpoints[0]!), { signal: AbortSignal.abort() });
    await expect(run).rejects.toMatchObject({ code: 'ERR_ABORTED' });
  });
});
