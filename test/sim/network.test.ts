import { describe, expect, it } from 'vitest';
import { Host } from './host.ts';
import type { DirectionOptions } from './link.ts';
import { LinuxRouter } from './linux-router.ts';
import { Nat } from './nat.ts';
import { Network } from './network.ts';
import { Random } from './random.ts';
import { endpoint, openRecorder, sendAndSettle } from './recorder.ts';
import { connectTcp } from './tcp.ts';

const SERVER = '192.0.2.1:1000';

/** Sends numbered packets `gapMs` apart over a link and returns their numbers and times as they came. */
function overLink(
  up: DirectionOptions,
  packets: number,
  gapMs: number,
): { order: number[]; times: number[] } {
  const network = new Network(9);
  const sender = openRecorder(new Host(network.internet, ['10.0.0.2'], { up }), '10.0.0.2:4000');
  const receiver = openRecorder(new Host(network.internet, ['192.0.2.1']), SERVER);
  for (let packet = 0; packet < packets; packet += 1) {
    network.schedule(packet * gapMs, () => sender.socket.send(endpoint(SERVER), Buffer.from(String(packet))));
  }
  network.run(packets * gapMs + 10_000);
  return { order: receiver.texts.map(Number), times: receiver.times };
}

const isSorted = (numbers: number[]) =>
  numbers.every((value, index) => index === 0 || numbers[index - 1]! <= value);

describe('the clock', () => {
  it('runs events in order of time and then of scheduling, and skips cancelled ones', () => {
    const network = new Network(1);
    const seen: string[] = [];
    network.schedule(20, () => seen.push('c'));
    network.schedule(10, () => seen.push('a'));
    network.schedule(10, () => seen.push('b'));
    network.cancel(network.schedule(5, () => seen.push('cancelled')));
    network.schedule(30, () => {
      seen.push('d');
      network.schedule(0, () => seen.push(`e at ${network.now}`));
    });
    network.schedule(31, () => seen.push('late'));
    network.run(30);
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e at 30']);
    expect(network.now).toBe(30);
  });

  it('keeps a heap of many in order', () => {
    const network = new Network(1);
    const random = new Random(5);
    const seen: number[] = [];
    for (let event = 0; event < 2000; event += 1) {
      const at = random.integer(0, 500);
      const scheduled = network.schedule(at, () => seen.push(at));
      if (random.chance(0.3)) network.cancel(scheduled);
    }
    network.run(500);
    expect(seen.length).toBeGreaterThan(1300);
    expect(isSorted(seen)).toBe(true);
  });

  it('stops where it is told to, and goes on from there', () => {
    const network = new Network(1);
    network.schedule(10, () => network.stop());
    network.run(100);
    expect(network.now).toBe(10);
    network.run(100);
    expect(network.now).toBe(100);
  });
});

describe('sockets', () => {
  it('on port 0 get ephemeral ports; a taken port is refused, a closed one is free again', () => {
    const host = new Host(new Network(3).internet, ['192.0.2.1']);
    const open = (port: number) =>
      host.openSocket({ address: '192.0.2.1', port }, { onDatagram: () => undefined });
    const ports = Array.from({ length: 500 }, () => open(0)!.local.port);
    expect(new Set(ports).size).toBe(500);
    expect(Math.min(...ports)).toBeGreaterThanOrEqual(32768);
    expect(Math.max(...ports)).toBeLessThanOrEqual(60999);
    const fixed = open(1000);
    expect(open(1000)).toBeUndefined();
    fixed!.close();
    expect(open(1000)).toBeDefined();
  });

  it('that are connected hear nobody else', () => {
    const network = new Network(1);
    const server = new Host(network.internet, ['192.0.2.1']);
    const peer = openRecorder(server, SERVER);
    const stranger = openRecorder(server, '192.0.2.1:2000');
    const connected = openRecorder(new Host(network.internet, ['10.0.0.2']), '10.0.0.2:1', SERVER);
    sendAndSettle(network, stranger, '10.0.0.2:1');
    sendAndSettle(network, peer, '10.0.0.2:1');
    expect(connected.heard).toEqual([SERVER]);
  });
});

describe('links', () => {
  it('delay each way', () => {
    const network = new Network(1);
    const link = { up: { delayMs: 30 }, down: { delayMs: 20 } };
    const near = openRecorder(new Host(network.internet, ['10.0.0.2'], link), '10.0.0.2:4000');
    const far = openRecorder(
      new Host(network.internet, ['192.0.2.1'], { up: { delayMs: 7 }, down: { delayMs: 5 } }),
      SERVER,
    );
    sendAndSettle(network, near, SERVER);
    network.run(1000);
    sendAndSettle(network, far, '10.0.0.2:4000');
    expect([far.times, near.times]).toEqual([[35], [1027]]);
  });

  it('with jitter keep the order', () => {
    for (const jitter of [
      { kind: 'uniform', maxMs: 40 },
      { kind: 'exponential', meanMs: 20 },
      { kind: 'normal', meanMs: 20, deviationMs: 10 },
    ] as const) {
      const { order, times } = overLink({ delayMs: 50, jitter }, 500, 1);
      expect(order).toHaveLength(500);
      expect(isSorted(order)).toBe(true);
      expect(Math.min(...times.map((time, index) => time - index))).toBeGreaterThanOrEqual(50);
    }
  });

  it('add jitter with the stated mean', () => {
    for (const [jitter, meanMs] of [
      [{ kind: 'uniform', maxMs: 40 }, 20],
      [{ kind: 'exponential', meanMs: 20 }, 20],
      [{ kind: 'normal', meanMs: 20, deviationMs: 4 }, 20],
    ] as const) {
      // A second apart: no packet waits for the one before it.
      const { times } = overLink({ jitter }, 2000, 1000);
      const mean = times.reduce((sum, time, index) => sum + time - index * 1000, 0) / 2000;
      expect(Math.abs(mean - meanMs)).toBeLessThan(1.5);
    }
  });

  it('reorder and duplicate the stated share', () => {
    const reordered = overLink({ delayMs: 10, reorder: 0.1, reorderByMs: 2.5 }, 5000, 1);
    const late = reordered.times.filter((time, index) => time - reordered.order[index]! > 10).length;
    expect(Math.abs(late - 500)).toBeLessThan(90);
    expect(isSorted(reordered.order)).toBe(false);
    const duplicated = overLink({ duplicate: 0.1, duplicateAfterMs: 0.5 }, 5000, 1);
    expect(Math.abs(duplicated.order.length - 5500)).toBeLessThan(90);
    expect(isSorted(duplicated.order)).toBe(true);
  });

  it('lose the stated share', () => {
    const { order } = overLink({ loss: { kind: 'independent', probability: 0.2 } }, 5000, 1);
    expect(Math.abs(order.length - 4000)).toBeLessThan(115);
  });
});

describe('routing', () => {
  it('is direct within a realm, and nowhere for an address that nobody has', () => {
    const network = new Network(1);
    const fates: string[] = [];
    network.trace = (fate, packet) => fates.push(`${fate} ${packet.destinationAddress}`);
    const router = new LinuxRouter(network, '203.0.113.1', { inputDrop: true });
    const lan = network.internet.addRealmBehind(router, 'lan');
    const near = openRecorder(new Host(lan, ['10.0.0.2']), '10.0.0.2:1');
    const neighbour = openRecorder(new Host(lan, ['10.0.0.3']), '10.0.0.3:1');
    sendAndSettle(network, near, '10.0.0.3:1');
    sendAndSettle(network, near, '198.51.100.1:1');
    expect(neighbour.heard).toEqual(['10.0.0.2:1']);
    expect(fates).toEqual([
      'sent 10.0.0.3',
      'delivered 10.0.0.3',
      'sent 198.51.100.1',
      'no-route 198.51.100.1',
    ]);
  });

  it('refuses two of one address', () => {
    const network = new Network(1);
    new Host(network.internet, ['192.0.2.1']);
    expect(() => new Host(network.internet, ['192.0.2.1'])).toThrow('internet has two of 192.0.2.1');
  });

  it('answers for a port where nobody listens, and tells only connected sockets', () => {
    const network = new Network(1);
    new Host(network.internet, ['192.0.2.1']);
    const client = new Host(network.internet, ['10.0.0.2']);
    const connected = openRecorder(client, '10.0.0.2:1', SERVER);
    const free = openRecorder(client, '10.0.0.2:2');
    sendAndSettle(network, connected, SERVER);
    sendAndSettle(network, free, SERVER);
    expect([connected.refusals, free.refusals]).toEqual([[`${SERVER} port-unreachable`], []]);
  });
});

describe('TCP as a control', () => {
  /** What a client hears, with times, over a round trip of 110 ms and with the given loss. */
  function connect(address: string, listens: boolean, loss: number, seed = 2): string[] {
    const network = new Network(seed);
    const direction = { delayMs: 50, loss: { kind: 'independent', probability: loss } } as const;
    const nat = new LinuxRouter(network, '203.0.113.1', { inputDrop: true });
    const lan = network.internet.addRealmBehind(nat, 'lan', { up: direction, down: direction });
    const access = { up: { delayMs: 3 }, down: { delayMs: 2 } };
    const client = new Host(lan, ['10.0.0.2'], access);
    const server = new Host(network.internet, ['192.0.2.1'], access);
    if (listens) server.setTcpService(endpoint(SERVER), { accepts: true, answer: (request) => request });
    const heard: string[] = [];
    const hear = (kind: string) => heard.push(`${kind} ${network.now}`);
    connectTcp(client, { address, port: 1000 }, Buffer.from('?'), ({ kind }) => hear(kind));
    network.run(200_000);
    return heard;
  }

  it('is accepted and answered, refused, or silent', () => {
    expect(connect('192.0.2.1', true, 0)).toEqual(['connected 110', 'answered 220']);
    expect(connect('192.0.2.1', false, 0)).toEqual(['refused 110']);
    expect(connect('192.0.2.7', true, 0)).toEqual([]);
    expect(connect('192.0.2.1', true, 1)).toEqual([]);
  });

  it('sends again what was lost', () => {
    const times = new Set<number>();
    for (let seed = 1; seed <= 40; seed += 1) {
      const [connected] = connect('192.0.2.1', true, 0.5, seed);
      if (connected !== undefined) times.add(Number(connected.split(' ')[1]));
    }
    // A round trip after one of the transmissions at 0, 1, 3, 7, … s; of 40 runs some need a third.
    const allowed = [0, 1, 3, 7, 15, 31, 63].map((seconds) => seconds * 1000 + 110);
    expect(allowed).toEqual(expect.arrayContaining([...times]));
    expect([...times]).toEqual(expect.arrayContaining([110, 1110, 3110]));
  });
});

describe('a seed', () => {
  /** Every packet's fate in a busy network, as text. */
  function traceOf(seed: number): string[] {
    const network = new Network(seed);
    const lines: string[] = [];
    network.trace = (fate, packet) =>
      lines.push(
        `${network.now} ${fate} ${packet.sourceAddress}:${packet.sourcePort} > ${packet.destinationAddress}:${packet.destinationPort}`,
      );
    const rough: DirectionOptions = {
      delayMs: 20,
      jitter: { kind: 'exponential', meanMs: 5 },
      loss: { kind: 'gilbert-elliott', p: 0.1, r: 0.3, lossGood: 0, lossBad: 0.9 },
      reorder: 0.1,
      reorderByMs: 8,
      duplicate: 0.05,
    };
    const nat = new Nat(network, ['203.0.113.1', '203.0.113.2'], {
      mapping: 'address-and-port-dependent',
      filtering: 'address-dependent',
      ports: { kind: 'random' },
      pooling: 'arbitrary',
    });
    const lan = network.internet.addRealmBehind(nat, 'lan', { up: rough, down: rough });
    const client = new Host(lan, ['10.0.0.2']);
    const server = new Host(network.internet, ['192.0.2.1']);
    const echo = server.openSocket(endpoint(SERVER), {
      onDatagram: (bytes, from) => echo.send(from, bytes),
    })!;
    for (let packet = 0; packet < 100; packet += 1) {
      const socket = client.openSocket({ address: '10.0.0.2', port: 0 }, { onDatagram: () => undefined })!;
      network.schedule(packet * 3, () => socket.send(endpoint(SERVER), new Uint8Array(20)));
    }
    network.run(5000);
    return lines;
  }

  it('is the whole run: same seed, same trace', () => {
    const trace = traceOf(77);
    expect(trace.length).toBeGreaterThan(250);
    expect(traceOf(77)).toEqual(trace);
    expect(traceOf(78)).not.toEqual(trace);
  });

  it('gives a generator whose streams differ, are uniform and have the stated moments', () => {
    const random = new Random(123);
    const child = random.fork();
    const draws = Array.from({ length: 20_000 }, () => random.fraction());
    expect(child.fraction()).not.toBe(draws[0]);
    expect(new Random(123).fork().uint32()).toBe(new Random(123).fork().uint32());
    expect(new Random(2 ** 32 + 123).uint32()).not.toBe(new Random(123).uint32());
    expect(Math.abs(draws.reduce((sum, draw) => sum + draw, 0) / draws.length - 0.5)).toBeLessThan(0.01);
    expect(new Set(Array.from({ length: 200 }, () => random.integer(3, 6)))).toEqual(new Set([3, 4, 5, 6]));
    expect(random.bytes(13)).toHaveLength(13);
  });
});
