import { describe, expect, it } from 'vitest';
import { Host } from './host.ts';
import { Network } from './network.ts';
import { openRecorder, sendAndSettle, takeHeard } from './recorder.ts';
import { TwoUplinks, type Balance } from './uplinks.ts';

const UPLINKS = ['203.0.113.1', '198.51.100.1'];
const REMOTES = ['192.0.2.1:1000', '192.0.2.1:2000', '192.0.2.2:1000', '192.0.2.2:2000'];

/** What each remote sees of each of `hosts` inside hosts, all on port 4000. */
function sourcesSeen(balance: Balance, hosts: number, seed: number): string[][] {
  const network = new Network(seed);
  const box = new TwoUplinks(
    network,
    UPLINKS,
    {
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
      ports: { kind: 'preserve', onCollision: 'random' },
    },
    balance,
  );
  const lan = network.internet.addRealmBehind(box, 'lan');
  const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
  const remotes = REMOTES.map((remote) => openRecorder(server, remote));
  return Array.from({ length: hosts }, (_, index) => {
    const inside = openRecorder(
      new Host(lan, [`10.0.0.${index + 2}`]),
      `10.0.0.${index + 2}:${4000 + index}`,
    );
    return remotes.map((remote, remoteIndex) => {
      sendAndSettle(network, inside, REMOTES[remoteIndex]!);
      const [source] = takeHeard(remote);
      sendAndSettle(network, remote, source!);
      expect(takeHeard(inside)).toEqual([REMOTES[remoteIndex]]);
      return source!;
    });
  });
}

describe('two uplinks', () => {
  it('by destination: each address has its uplink, the port is kept, and answers come back', () => {
    expect(sourcesSeen('destination', 2, 1)).toEqual([
      ['203.0.113.1:4000', '203.0.113.1:4000', '198.51.100.1:4000', '198.51.100.1:4000'],
      ['203.0.113.1:4001', '203.0.113.1:4001', '198.51.100.1:4001', '198.51.100.1:4001'],
    ]);
  });

  it('by flow: each pair of endpoints has its uplink, about as often the one as the other', () => {
    const sources = sourcesSeen('flow', 50, 2).flat();
    expect(new Set(sources.map((source) => source.split(':')[0]))).toEqual(new Set(UPLINKS));
    const first = sources.filter((source) => source.startsWith(`${UPLINKS[0]!}:`)).length;
    // 200 flows; 28 is four standard deviations.
    expect(Math.abs(first - 100)).toBeLessThan(28);
    expect(sources.map((source) => source.split(':')[1])).toEqual(
      Array.from({ length: 200 }, (_, index) => String(4000 + Math.floor(index / 4))),
    );
  });
});
