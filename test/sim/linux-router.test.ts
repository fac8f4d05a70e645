import { describe, expect, it } from 'vitest';
import { Host } from './host.ts';
import { LinuxRouter, type LinuxRouterOptions } from './linux-router.ts';
import { Network } from './network.ts';
import { openRecorder, sendAndSettle, takeHeard, type Recorder } from './recorder.ts';

const REMOTES = ['192.0.2.1:1000', '192.0.2.1:2000', '192.0.2.2:1000', '192.0.2.2:2000'] as const;

interface Lab {
  readonly network: Network;
  readonly lanHost: Host;
  readonly neighbourHost: Host;
  readonly inside: Recorder;
  readonly neighbour: Recorder;
  readonly remotes: readonly Recorder[];
}

function buildLab(options: LinuxRouterOptions, localPort = 5000): Lab {
  const network = new Network(1);
  const router = new LinuxRouter(network, '203.0.113.1', options);
  const lan = network.internet.addRealmBehind(router, 'lan');
  const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
  const lanHost = new Host(lan, ['10.0.0.2']);
  const neighbourHost = new Host(lan, ['10.0.0.3']);
  return {
    network,
    lanHost,
    neighbourHost,
    inside: openRecorder(lanHost, `10.0.0.2:${localPort}`),
    neighbour: openRecorder(neighbourHost, `10.0.0.3:${localPort}`),
    remotes: REMOTES.map((remote) => openRecorder(server, remote)),
  };
}

/** The external port that a remote sees of a sender. */
function portSeen(lab: Lab, from: Recorder, remote: number): number {
  sendAndSettle(lab.network, from, REMOTES[remote]!);
  return Number(takeHeard(lab.remotes[remote]!)[0]!.split(':')[1]);
}

for (const inputDrop of [true, false]) {
  describe(`a Linux router ${inputDrop ? 'with' : 'without'} input drop`, () => {
    it('keeps the port towards every destination, and so looks endpoint-independent', () => {
      const lab = buildLab({ inputDrop });
      expect(REMOTES.map((_, remote) => portSeen(lab, lab.inside, remote))).toEqual([5000, 5000, 5000, 5000]);
    });

    it('lets in only the endpoints sent to', () => {
      const lab = buildLab({ inputDrop });
      sendAndSettle(lab.network, lab.inside, REMOTES[0]);
      for (const remote of lab.remotes) sendAndSettle(lab.network, remote, '203.0.113.1:5000');
      expect(lab.inside.heard).toEqual([REMOTES[0]]);
    });

    it('shares a port between hosts towards different destinations; a collision spreads (5000, 5000, 59788, 59788)', () => {
      const lab = buildLab({ inputDrop });
      portSeen(lab, lab.inside, 2);
      const [first, second, third, fourth] = REMOTES.map((_, remote) => portSeen(lab, lab.neighbour, remote));
      expect([first, second]).toEqual([5000, 5000]);
      expect(third).not.toBe(5000);
      expect(third).toBeGreaterThanOrEqual(1024);
      expect(fourth).toBe(third);
    });

    it('forgets an unanswered connection after 30 s', () => {
      const lab = buildLab({ inputDrop });
      sendAndSettle(lab.network, lab.inside, REMOTES[0]);
      lab.network.run(29_999);
      sendAndSettle(lab.network, lab.remotes[0]!, '203.0.113.1:5000');
      expect(takeHeard(lab.inside)).toEqual([REMOTES[0]]);
      // That answer refreshed it, and made it a stream: 120 s more.
      lab.network.run(29_999 + 119_000);
      sendAndSettle(lab.network, lab.remotes[0]!, '203.0.113.1:5000');
      expect(takeHeard(lab.inside)).toEqual([REMOTES[0]]);
      lab.network.run(lab.network.now + 121_000);
      sendAndSettle(lab.network, lab.remotes[0]!, '203.0.113.1:5000');
      expect(takeHeard(lab.inside)).toEqual([]);
    });

    it('does not hairpin', () => {
      const lab = buildLab({ inputDrop });
      sendAndSettle(lab.network, lab.neighbour, REMOTES[0]);
      sendAndSettle(lab.network, lab.inside, '203.0.113.1:5000');
      expect(lab.neighbour.heard).toEqual([]);
    });
  });
}

describe('an unsolicited packet from an endpoint that is sent to next (MEASURING.md §5)', () => {
  it('changes the port towards that endpoint alone, without input drop', () => {
    const lab = buildLab({ inputDrop: false });
    expect(portSeen(lab, lab.inside, 0)).toBe(5000);
    sendAndSettle(lab.network, lab.remotes[3]!, '203.0.113.1:5000');
    expect(portSeen(lab, lab.inside, 2)).toBe(5000);
    expect(portSeen(lab, lab.inside, 3)).not.toBe(5000);
    expect(lab.inside.heard).toEqual([]);
  });

  it('changes nothing with input drop', () => {
    const lab = buildLab({ inputDrop: true });
    sendAndSettle(lab.network, lab.remotes[3]!, '203.0.113.1:5000');
    expect(portSeen(lab, lab.inside, 3)).toBe(5000);
  });

  it('is remembered for 30 s, and refreshed by every packet', () => {
    const lab = buildLab({ inputDrop: false });
    sendAndSettle(lab.network, lab.remotes[0]!, '203.0.113.1:5000');
    lab.network.run(30_001);
    expect(portSeen(lab, lab.inside, 0)).toBe(5000);

    sendAndSettle(lab.network, lab.remotes[1]!, '203.0.113.1:5000');
    const first = lab.network.now;
    lab.network.run(first + 20_000);
    sendAndSettle(lab.network, lab.remotes[1]!, '203.0.113.1:5000');
    lab.network.run(first + 40_000);
    expect(portSeen(lab, lab.inside, 1)).not.toBe(5000);
  });

  it('draws a port unreachable without input drop, and nothing with it', () => {
    for (const [inputDrop, refusals] of [
      [false, ['203.0.113.1:5000 port-unreachable']],
      [true, []],
    ] as const) {
      const lab = buildLab({ inputDrop });
      const asking = openRecorder(
        new Host(lab.network.internet, ['192.0.2.9']),
        '192.0.2.9:1',
        '203.0.113.1:5000',
      );
      sendAndSettle(lab.network, asking, '203.0.113.1:5000');
      expect(asking.refusals).toEqual(refusals);
    }
  });

  it('makes two such routers miss each other, unless both have sent before anything arrives', () => {
    // MEASURING.md §7: O × O plain, 0 of 10 without delay, 10 of 10 with the skew below the delay.
    for (const [delayMs, heard] of [
      [0, false],
      [20, true],
    ] as const) {
      const network = new Network(1);
      const link = { up: { delayMs }, down: { delayMs } };
      const peers = ['203.0.113.1', '203.0.113.2'].map((external, index) => {
        const router = new LinuxRouter(network, external, { inputDrop: false });
        const lan = network.internet.addRealmBehind(router, external, link);
        const own = `10.0.${index}.2`;
        return openRecorder(new Host(lan, [own]), `${own}:5000`);
      });
      for (let round = 0; round < 5; round += 1) {
        network.schedule(round * 100, () =>
          peers[0]!.socket.send({ address: '203.0.113.2', port: 5000 }, new Uint8Array(1)),
        );
        network.schedule(round * 100 + 5, () =>
          peers[1]!.socket.send({ address: '203.0.113.1', port: 5000 }, new Uint8Array(1)),
        );
      }
      network.run(2000);
      expect(peers.map((peer) => peer.heard.length > 0)).toEqual([heard, heard]);
    }
  });
});

describe('the port drawn where the own one is taken (MEASURING.md §7)', () => {
  it('is of the same class', () => {
    for (const [localPort, first, last] of [
      [5000, 1024, 65535],
      [1023, 600, 1023],
      [600, 600, 1023],
      [511, 1, 511],
    ] as const) {
      const lab = buildLab({ inputDrop: true }, localPort);
      portSeen(lab, lab.inside, 0);
      const drawn = portSeen(lab, lab.neighbour, 0);
      expect(drawn).not.toBe(localPort);
      expect(drawn).toBeGreaterThanOrEqual(first);
      expect(drawn).toBeLessThanOrEqual(last);
    }
  });

  it('is drawn for every connection by fully-random', () => {
    const lab = buildLab({ inputDrop: true, fullyRandom: true });
    const ports = REMOTES.map((_, remote) => portSeen(lab, lab.inside, remote));
    expect(new Set([5000, ...ports]).size).toBe(5);
    expect(REMOTES.map((_, remote) => portSeen(lab, lab.inside, remote))).toEqual(ports);
  });
});
