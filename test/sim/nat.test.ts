import { describe, expect, it } from 'vitest';
import { Host } from './host.ts';
import { Nat, type Dependence, type NatBehaviour } from './nat.ts';
import { Network } from './network.ts';
import { udpPacket } from './packet.ts';
import { openRecorder, sendAndSettle, takeHeard, type Recorder } from './recorder.ts';

const DEPENDENCES: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];
/** Two addresses by two ports, in the order of RFC 4787's Y1:y1, Y1:y2, Y2:y1, Y2:y2. */
const REMOTES = ['192.0.2.1:1000', '192.0.2.1:2000', '192.0.2.2:1000', '192.0.2.2:2000'] as const;
const BASE: NatBehaviour = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  ports: { kind: 'sequential', first: 5000, delta: 1 },
};

interface Lab {
  readonly network: Network;
  readonly inside: Recorder;
  readonly neighbour: Recorder;
  readonly remotes: readonly [Recorder, Recorder, Recorder, Recorder];
}

/** 10.0.0.2:4000 and 10.0.0.3:4000 behind the NAT, the four remotes outside. */
function buildLab(behaviour: NatBehaviour, pool: readonly string[] = ['203.0.113.1'], seed = 1): Lab {
  const network = new Network(seed);
  const lan = network.internet.addRealmBehind(new Nat(network, pool, behaviour), 'lan');
  const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
  return {
    network,
    inside: openRecorder(new Host(lan, ['10.0.0.2']), '10.0.0.2:4000'),
    neighbour: openRecorder(new Host(lan, ['10.0.0.3']), '10.0.0.3:4000'),
    remotes: [
      openRecorder(server, REMOTES[0]),
      openRecorder(server, REMOTES[1]),
      openRecorder(server, REMOTES[2]),
      openRecorder(server, REMOTES[3]),
    ],
  };
}

/** Sends to each remote in turn, and returns the source that each saw. */
function mappingsSeen(lab: Lab, from: Recorder = lab.inside): string[] {
  return REMOTES.map((remote, index) => {
    sendAndSettle(lab.network, from, remote);
    return takeHeard(lab.remotes[index]!).join();
  });
}

describe('mapping (RFC 4787 §4.1)', () => {
  const expected = {
    'endpoint-independent': ['203.0.113.1:5000', '203.0.113.1:5000', '203.0.113.1:5000', '203.0.113.1:5000'],
    'address-dependent': ['203.0.113.1:5000', '203.0.113.1:5000', '203.0.113.1:5001', '203.0.113.1:5001'],
    'address-and-port-dependent': [
      '203.0.113.1:5000',
      '203.0.113.1:5001',
      '203.0.113.1:5002',
      '203.0.113.1:5003',
    ],
  };
  for (const mapping of DEPENDENCES) {
    it(`${mapping} reuses a mapping for as much as its name says`, () => {
      const lab = buildLab({ ...BASE, mapping });
      expect(mappingsSeen(lab)).toEqual(expected[mapping]);
      expect(mappingsSeen(lab)).toEqual(expected[mapping]);
    });
  }

  it('gives each internal endpoint its own', () => {
    const lab = buildLab(BASE);
    sendAndSettle(lab.network, lab.inside, REMOTES[0]);
    sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
    expect(takeHeard(lab.remotes[0])).toEqual(['203.0.113.1:5000', '203.0.113.1:5001']);
  });
});

describe('filtering (RFC 4787 §5), with each mapping', () => {
  const passing = { 'endpoint-independent': 4, 'address-dependent': 2, 'address-and-port-dependent': 1 };
  for (const mapping of DEPENDENCES) {
    for (const filtering of DEPENDENCES) {
      it(`${filtering} behind ${mapping} mapping`, () => {
        const lab = buildLab({ ...BASE, mapping, filtering });
        for (const remote of lab.remotes) sendAndSettle(lab.network, remote, '203.0.113.1:5000');
        expect(lab.inside.heard).toEqual([]);
        sendAndSettle(lab.network, lab.inside, REMOTES[0]);
        for (const remote of lab.remotes) sendAndSettle(lab.network, remote, '203.0.113.1:5000');
        expect(lab.inside.heard).toEqual(REMOTES.slice(0, passing[filtering]));
      });
    }
  }

  it('keeps filter state with the mapping: another mapping of the same socket opens nothing', () => {
    const lab = buildLab({ ...BASE, mapping: 'address-dependent', filtering: 'address-dependent' });
    mappingsSeen(lab);
    sendAndSettle(lab.network, lab.remotes[2], '203.0.113.1:5000');
    expect(lab.inside.heard).toEqual([]);
    sendAndSettle(lab.network, lab.remotes[3], '203.0.113.1:5001');
    expect(lab.inside.heard).toEqual([REMOTES[3]]);
  });
});

describe('port allocation (RFC 4787 §4.2)', () => {
  const symmetric: NatBehaviour = { ...BASE, mapping: 'address-and-port-dependent' };

  it('preserves the port until it is taken, then counts up', () => {
    const lab = buildLab({ ...symmetric, ports: { kind: 'preserve', onCollision: 'sequential' } });
    const ports = ['203.0.113.1:4000', '203.0.113.1:4001', '203.0.113.1:4002', '203.0.113.1:4003'];
    expect(mappingsSeen(lab)).toEqual(ports);
    sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
    expect(takeHeard(lab.remotes[0])).toEqual(['203.0.113.1:4004']);
  });

  it('preserves the port until it is taken, then draws', () => {
    const drawnWith = (seed: number) =>
      mappingsSeen(
        buildLab({ ...symmetric, ports: { kind: 'preserve', onCollision: 'random' } }, undefined, seed),
      );
    const [preserved, ...drawn] = drawnWith(7);
    expect(preserved).toBe('203.0.113.1:4000');
    expect(new Set([preserved, ...drawn]).size).toBe(4);
    expect(drawnWith(7)).toEqual([preserved, ...drawn]);
    expect(drawnWith(8)).not.toEqual([preserved, ...drawn]);
  });

  it('counts in steps over all hosts', () => {
    const lab = buildLab({ ...symmetric, ports: { kind: 'sequential', first: 65531, delta: 2 } });
    sendAndSettle(lab.network, lab.inside, REMOTES[0]);
    sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
    sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
    expect(takeHeard(lab.remotes[0])).toEqual([
      '203.0.113.1:65531',
      '203.0.113.1:65533',
      '203.0.113.1:65533',
    ]);
    // Past the last port it goes on from the first, here with the other parity.
    sendAndSettle(lab.network, lab.inside, REMOTES[1]);
    sendAndSettle(lab.network, lab.inside, REMOTES[2]);
    expect(takeHeard(lab.remotes[2])).toEqual(['203.0.113.1:1025']);
  });

  it('gives each internal address a block, and another once that is full', () => {
    const lab = buildLab(
      { ...symmetric, ports: { kind: 'block', base: 2048, size: 2, within: 'sequential' } },
      undefined,
      3,
    );
    const ports = mappingsSeen(lab).map((seen) => Number(seen.split(':')[1]));
    const neighbourPorts = mappingsSeen(lab, lab.neighbour).map((seen) => Number(seen.split(':')[1]));
    const blocks = [...ports, ...neighbourPorts].map((port) => port >> 1);
    expect([...ports, ...neighbourPorts].map((port) => port % 2)).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
    expect(Math.min(...ports, ...neighbourPorts)).toBeGreaterThanOrEqual(2048);
    expect(blocks.filter((block, index) => blocks.indexOf(block) === index)).toHaveLength(4);
  });

  it('draws ports uniformly from 1024 up', () => {
    const network = new Network(11);
    const nat = new Nat(network, ['203.0.113.1'], { ...symmetric, ports: { kind: 'random' } });
    const counts = new Array<number>(8).fill(0);
    for (let port = 1; port <= 8000; port += 1) {
      const packet = udpPacket(
        { address: '10.0.0.2', port },
        { address: '192.0.2.1', port: 1000 },
        new Uint8Array(0),
      );
      expect(nat.handleOutbound(packet)).toBe('pass');
      counts[Math.floor(((packet.sourcePort - 1024) * 8) / (65536 - 1024))]! += 1;
    }
    // Eight bins of 1000 each; 120 is four standard deviations.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });

  it('keeps even ports even and odd ones odd, and draws otherwise', () => {
    const network = new Network(12);
    const nat = new Nat(network, ['203.0.113.1'], { ...symmetric, ports: { kind: 'parity' } });
    const counts = new Array<number>(8).fill(0);
    for (let port = 1; port <= 8000; port += 1) {
      const packet = udpPacket(
        { address: '10.0.0.2', port },
        { address: '192.0.2.1', port: 1000 },
        new Uint8Array(0),
      );
      expect(nat.handleOutbound(packet)).toBe('pass');
      expect(packet.sourcePort % 2).toBe(port % 2);
      counts[Math.floor(((packet.sourcePort - 1024) * 8) / (65536 - 1024))]! += 1;
    }
    // Eight bins of 1000 each; 120 is four standard deviations.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });

  it('drops what it has no port for', () => {
    const lab = buildLab({
      ...symmetric,
      ports: { kind: 'block', base: 65534, size: 2, within: 'random' },
    });
    const ports = mappingsSeen(lab).map((seen) => seen.split(':')[1]);
    expect(ports.slice(0, 2).sort()).toEqual(['65534', '65535']);
    expect(ports.slice(2)).toEqual([undefined, undefined]);
  });
});

describe('address pools (RFC 4787 §4.1)', () => {
  const POOL = ['203.0.113.1', '203.0.113.2', '203.0.113.3', '203.0.113.4'];
  const addressesOf = (seen: string[]) => new Set(seen.map((text) => text.split(':')[0]));

  it('paired: one external address for all of a host', () => {
    const lab = buildLab({ ...BASE, mapping: 'address-and-port-dependent', pooling: 'paired' }, POOL);
    expect(addressesOf(mappingsSeen(lab)).size).toBe(1);
  });

  it('arbitrary: an address for each mapping', () => {
    const lab = buildLab({ ...BASE, mapping: 'address-and-port-dependent', pooling: 'arbitrary' }, POOL, 5);
    expect(addressesOf(mappingsSeen(lab)).size).toBeGreaterThan(1);
    expect(addressesOf(mappingsSeen(buildLab({ ...BASE, pooling: 'arbitrary' }, POOL, 5))).size).toBe(1);
  });
});

describe('lifetime (RFC 4787 §4.3)', () => {
  const lifetimeOf = (refreshedByOutbound: boolean, refreshedByInbound: boolean): NatBehaviour => ({
    ...BASE,
    lifetime: { idleMs: 30_000, refreshedByOutbound, refreshedByInbound },
  });
  /** Whether an inbound packet still passes 40 s after the first, with one packet half-way. */
  function outlives(behaviour: NatBehaviour, half: 'outbound' | 'inbound' | 'none'): boolean {
    const { network, inside, remotes } = buildLab(behaviour);
    sendAndSettle(network, inside, REMOTES[0]);
    network.run(20_000);
    if (half === 'outbound') sendAndSettle(network, inside, REMOTES[0]);
    if (half === 'inbound') sendAndSettle(network, remotes[0], '203.0.113.1:5000');
    network.run(40_000);
    takeHeard(inside);
    sendAndSettle(network, remotes[0], '203.0.113.1:5000');
    return takeHeard(inside).length === 1;
  }

  it('is refreshed by what is said to refresh it', () => {
    expect(outlives(lifetimeOf(true, false), 'none')).toBe(false);
    expect(outlives(lifetimeOf(true, false), 'outbound')).toBe(true);
    expect(outlives(lifetimeOf(true, false), 'inbound')).toBe(false);
    expect(outlives(lifetimeOf(false, true), 'outbound')).toBe(false);
    expect(outlives(lifetimeOf(false, true), 'inbound')).toBe(true);
  });

  it('frees the port and forgets the filter', () => {
    const lab = buildLab({
      ...lifetimeOf(true, false),
      ports: { kind: 'preserve', onCollision: 'sequential' },
    });
    sendAndSettle(lab.network, lab.inside, REMOTES[1]);
    lab.network.run(60_000);
    sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
    expect(takeHeard(lab.remotes[0])).toEqual(['203.0.113.1:4000']);
    sendAndSettle(lab.network, lab.remotes[1], '203.0.113.1:4000');
    expect([...lab.inside.heard, ...lab.neighbour.heard]).toEqual([]);
  });
});

describe('hairpin (RFC 4787 §6)', () => {
  /** The neighbour has a mapping at 203.0.113.1:5000; what does it hear from the inside host? */
  function hairpinned(hairpin: NatBehaviour['hairpin'] & string, filtering: Dependence): string[] {
    const { network, inside, neighbour } = buildLab({ ...BASE, hairpin, filtering });
    sendAndSettle(network, neighbour, REMOTES[0]);
    sendAndSettle(network, inside, '203.0.113.1:5000');
    return neighbour.heard;
  }

  it('translates the source, or not, or drops', () => {
    expect(hairpinned('external-source', 'endpoint-independent')).toEqual(['203.0.113.1:5001']);
    expect(hairpinned('internal-source', 'endpoint-independent')).toEqual(['10.0.0.2:4000']);
    expect(hairpinned('none', 'endpoint-independent')).toEqual([]);
  });

  it('filters hairpinned packets too', () => {
    expect(hairpinned('external-source', 'address-dependent')).toEqual([]);
  });
});

describe('ICMP errors (RFC 5508 §4)', () => {
  it('reach the inside socket that sent, if it is connected', () => {
    const network = new Network(1);
    const lan = network.internet.addRealmBehind(new Nat(network, ['203.0.113.1'], BASE), 'lan');
    new Host(network.internet, ['192.0.2.1']);
    const inside = openRecorder(new Host(lan, ['10.0.0.2']), '10.0.0.2:4000', '192.0.2.1:9');
    sendAndSettle(network, inside, '192.0.2.1:9');
    expect(inside.refusals).toEqual(['192.0.2.1:9 port-unreachable']);
  });

  it('come back through the mapping of the datagram that drew them', () => {
    const { network, inside, remotes } = buildLab({ ...BASE, filtering: 'endpoint-independent' });
    sendAndSettle(network, inside, REMOTES[0]);
    inside.socket.close();
    const mappedTo = takeHeard(remotes[0])[0]!;
    const asking = openRecorder(new Host(network.internet, ['192.0.2.9']), '192.0.2.9:1', mappedTo);
    sendAndSettle(network, asking, mappedTo);
    expect(asking.refusals).toEqual([`${mappedTo} port-unreachable`]);
  });
});

describe('NAT behind NAT', () => {
  it('rewrites twice, and both filters apply', () => {
    const network = new Network(1);
    const outer = new Nat(network, ['203.0.113.1'], { ...BASE, filtering: 'endpoint-independent' });
    const carrier = network.internet.addRealmBehind(outer, 'carrier');
    const inner = new Nat(network, ['100.64.0.2'], {
      ...BASE,
      filtering: 'address-dependent',
      ports: { kind: 'sequential', first: 7000, delta: 1 },
    });
    const lan = carrier.addRealmBehind(inner, 'lan');
    const inside = openRecorder(new Host(lan, ['10.0.0.2']), '10.0.0.2:4000');
    const onCarrier = openRecorder(new Host(carrier, ['100.64.0.9']), '100.64.0.9:1');
    const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
    const [first, second, third] = REMOTES.map((remote) => openRecorder(server, remote));
    sendAndSettle(network, inside, '100.64.0.9:1');
    expect(onCarrier.heard).toEqual(['100.64.0.2:7000']);
    sendAndSettle(network, inside, REMOTES[0]);
    expect(first!.heard).toEqual(['203.0.113.1:5000']);
    sendAndSettle(network, second!, '203.0.113.1:5000');
    sendAndSettle(network, third!, '203.0.113.1:5000');
    expect(inside.heard).toEqual([REMOTES[1]]);
  });
});
