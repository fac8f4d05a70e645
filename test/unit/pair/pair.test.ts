/** Two hosts that find, help and lose each other, in virtual time. */
import { describe, expect, it } from 'vitest';
import { BEAT_MS, LOST_AFTER_MS } from '../../../server/pair/pair.ts';
import { RELAY_TIMEOUT_MS } from '../../../server/pair/pending-relays.ts';
import { answerTo, endpointsAt, Network, type TestHost } from './two-hosts.ts';

const A = endpointsAt('192.0.2.1');
const B = endpointsAt('192.0.2.2');

function pairOf(): { network: Network; a: TestHost; b: TestHost } {
  const network = new Network();
  const a = network.addHost('a', A);
  const b = network.addHost('b', B);
  network.run(100);
  return { network, a, b };
}

function relay(network: Network, host: TestHost, port = 40_000): void {
  host.machine.handleInput({ kind: 'relay', answer: answerTo(port) }, network.now);
  network.drain(host);
}

describe('two hosts of a name', () => {
  it('find each other within two hellos, and stay together', () => {
    const { network, a, b } = pairOf();
    network.run(60_000);
    expect(a.events.map(({ event }) => event)).toEqual([{ kind: 'found', partner: B }]);
    expect(b.events.map(({ event }) => event)).toEqual([{ kind: 'found', partner: A }]);
    expect(a.events[0]!.at).toBeLessThan(BEAT_MS);
    expect(a.machine.roundTripMs).toBe(4);
  });

  it('find each other however the second one is late', () => {
    for (const lateMs of [1, 250, 499, 500, 501, 10_000]) {
      const network = new Network();
      const a = network.addHost('a', A);
      network.run(lateMs);
      const b = network.addHost('b', B);
      network.run(BEAT_MS);
      expect([a.machine.partner, b.machine.partner], `${lateMs}`).toEqual([B, A]);
    }
  });

  it('have the other send, and tell of it once it has', () => {
    const { network, a, b } = pairOf();
    relay(network, a);
    expect(a.receipts).toEqual([]);
    network.run(10);
    expect(b.sends).toMatchObject([
      { family: 'ipv4', port: 1, target: { address: '198.51.100.7', port: 40_000 } },
    ]);
    expect([...b.sends[0]!.bytes]).toEqual([1, 1, 0, 0]);
    expect(a.receipts).toEqual([{ kind: 'sent', answer: answerTo(40_000), delayMs: 4 }]);
    expect(a.refusals).toEqual([]);
    expect(a.machine.counts.asked).toMatchObject({ sent: 1, unacknowledged: 0 });
    expect(b.machine.counts.served).toMatchObject({ sent: 1 });
  });

  it.each(['failed', 'limited'] as const)('tell of no send that has %s', (outcome) => {
    const { network, a, b } = pairOf();
    relay(network, a);
    const number = network.said.findLast(({ kind }) => kind === 'relay') as { number: number };
    network.deliver(a, { kind: 'done', from: b.id, to: a.id, number: number.number, outcome });
    network.run(RELAY_TIMEOUT_MS);
    expect(a.receipts).toEqual([]);
    expect(a.refusals).toHaveLength(outcome === 'failed' ? 1 : 0);
  });
});

describe('a host that dies', () => {
  it('is lost in less than 3 s, whenever it dies, and nothing it was asked is told as sent', () => {
    for (let diesAtMs = 0; diesAtMs < BEAT_MS; diesAtMs += 7) {
      const { network, a, b } = pairOf();
      network.run(5000 + diesAtMs);
      b.isAlive = false;
      const diedAt = network.now;
      let asked = 0;
      while (a.machine.partner !== undefined) {
        relay(network, a, 40_000 + asked++);
        network.run(50);
      }
      expect(a.events.at(-1)!.event).toEqual({ kind: 'lost', why: 'silent' });
      expect(a.events.at(-1)!.at - diedAt).toBeLessThanOrEqual(LOST_AFTER_MS);
      network.run(RELAY_TIMEOUT_MS);
      expect(a.receipts).toEqual([]);
      expect(a.refusals).toHaveLength(asked);
      expect(a.machine.counts.asked.unacknowledged).toBe(asked);
    }
  });

  it('is found again when it is back, as another process of the same address', () => {
    const { network, a, b } = pairOf();
    b.isAlive = false;
    network.run(300);
    const back = network.addHost('c', B);
    network.run(1000);
    expect([a.machine.partner, back.machine.partner]).toEqual([B, A]);
    relay(network, a);
    network.run(10);
    expect(back.sends).toHaveLength(1);
    expect(a.events.map(({ event }) => event.kind)).toEqual(['found', 'lost', 'found']);
  });

  it('says so if it is stopped, and is lost at once', () => {
    const { network, a, b } = pairOf();
    b.machine.handleInput({ kind: 'stop' }, network.now);
    network.drain(b);
    b.isAlive = false;
    network.run(network.delayMs);
    expect(a.events.at(-1)!.event).toEqual({ kind: 'lost', why: 'stopped' });
  });
});

describe('hosts that nothing carries messages between', () => {
  it('both know within 3 s, refuse at once from then on, and both recover', () => {
    const { network, a, b } = pairOf();
    network.run(5000);
    network.isUp = false;
    network.run(LOST_AFTER_MS + 1);
    expect([a.machine.partner, b.machine.partner]).toEqual([undefined, undefined]);
    relay(network, a);
    expect(a.refusals).toHaveLength(1);
    network.isUp = true;
    network.run(BEAT_MS + 50);
    expect([a.machine.partner, b.machine.partner]).toEqual([B, A]);
  });

  it('that lose one hello or its echo stay together', () => {
    const { network, a } = pairOf();
    for (let outage = 0; outage < 20; outage++) {
      network.run(5000 + 37 * outage);
      network.isUp = false;
      network.run(BEAT_MS);
      network.isUp = true;
    }
    expect(a.events.map(({ event }) => event.kind)).toEqual(['found']);
  });
});

describe('what somebody has recorded', () => {
  it('makes nobody send again', () => {
    const { network, a, b } = pairOf();
    relay(network, a);
    network.run(10);
    const recorded = network.said.filter(({ kind }) => kind === 'relay');
    for (const message of recorded) network.deliver(b, message);
    expect(b.sends).toHaveLength(1);
  });

  it('makes nobody send what was asked for long ago, though it was never heard', () => {
    const { network, a, b } = pairOf();
    network.isUp = false;
    relay(network, a);
    const message = network.said.at(-1)!;
    network.isUp = true;
    network.run(2 * LOST_AFTER_MS);
    network.deliver(b, message);
    expect(message.kind).toBe('relay');
    expect(b.sends).toEqual([]);
  });

  it('brings no dead host back, and keeps no living one away', () => {
    const { network, a, b } = pairOf();
    network.run(5000);
    const recorded = network.said.filter(({ from }) => from === b.id);
    b.isAlive = false;
    network.run(LOST_AFTER_MS);
    for (let round = 0; round < 20; round++) {
      for (const message of recorded) network.deliver(a, message);
      network.run(100);
    }
    expect(a.machine.partner).toBeUndefined();
    const back = network.addHost('c', B);
    for (let round = 0; round < 20; round++) {
      for (const message of recorded) network.deliver(a, message);
      network.run(100);
    }
    expect([a.machine.partner, back.machine.partner]).toEqual([B, A]);
  });
});

describe('hosts that do not fit', () => {
  it.each([
    ['same-address', A],
    ['other-ports', endpointsAt('192.0.2.2', [3478, 3480])],
    ['no-common-family', {}],
  ] as const)('%s: are told of once, and no pair', (why, endpoints) => {
    const network = new Network();
    const a = network.addHost('a', A);
    network.addHost('b', endpoints);
    network.run(10_000);
    expect(a.events.map(({ event }) => event)).toEqual([{ kind: 'misfit', why }]);
    expect(a.machine.partner).toBeUndefined();
  });

  it('a third one stays alone, whichever it is, until one of the two has gone', () => {
    const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3'];
    for (const late of [0, 1, 2]) {
      const network = new Network();
      const add = (index: number): TestHost =>
        network.addHost(`${index + 1}`, endpointsAt(addresses[index]!));
      const pair = [0, 1, 2].filter((index) => index !== late).map(add);
      network.run(1000);
      const third = add(late);
      network.run(20_000);
      expect(third.events.filter(({ event }) => event.kind === 'found')).toEqual([]);
      expect(pair.map(({ machine }) => machine.partner)).not.toContain(undefined);
      expect(pair[0]!.events.map(({ event }) => event)).toContainEqual({ kind: 'misfit', why: 'third' });
      pair[0]!.isAlive = false;
      network.run(5000);
      expect(third.machine.partner).toEqual(
        pair[1]!.machine.partner && endpointsAt(addresses.filter((_, i) => i !== late)[1]!),
      );
    }
  });

  it('three that begin at once: two are a pair, and the third is nobody’s', () => {
    const network = new Network();
    const hosts = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address, index) =>
      network.addHost(`${index + 1}`, endpointsAt(address)),
    );
    network.run(20_000);
    expect(hosts.map(({ machine }) => machine.partner)).toEqual([
      endpointsAt('192.0.2.2'),
      endpointsAt('192.0.2.1'),
      undefined,
    ]);
  });
});
