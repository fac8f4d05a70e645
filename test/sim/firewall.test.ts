import { describe, expect, it } from 'vitest';
import { StatefulFirewall, StatelessRouter, UdpBlock } from './firewall.ts';
import { Host } from './host.ts';
import { Nat } from './nat.ts';
import { Network } from './network.ts';
import type { Middlebox } from './realm.ts';
import { openRecorder, sendAndSettle } from './recorder.ts';

const REMOTES = ['192.0.2.1:1000', '192.0.2.1:2000', '192.0.2.2:1000', '192.0.2.2:2000'] as const;

/** Who is heard inside, before anything went out and after something went to the first remote. */
function heardThrough(build: (network: Network) => Middlebox): {
  before: string[];
  after: string[];
  out: string[];
} {
  const network = new Network(1);
  const lan = network.internet.addRealmBehind(build(network), 'lan');
  const inside = openRecorder(new Host(lan, ['203.0.113.2']), '203.0.113.2:4000');
  const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
  const remotes = REMOTES.map((remote) => openRecorder(server, remote));
  for (const remote of remotes) sendAndSettle(network, remote, '203.0.113.2:4000');
  const before = inside.heard.splice(0);
  sendAndSettle(network, inside, REMOTES[0]);
  for (const remote of remotes) sendAndSettle(network, remote, '203.0.113.2:4000');
  return { before, after: inside.heard, out: remotes[0]!.heard };
}

describe('a firewall without translation', () => {
  it('keeps addresses and lets answers in by its filtering', () => {
    const out = ['203.0.113.2:4000'];
    expect(heardThrough((network) => new StatefulFirewall(network, 'address-and-port-dependent'))).toEqual({
      before: [],
      after: REMOTES.slice(0, 1),
      out,
    });
    expect(heardThrough((network) => new StatefulFirewall(network, 'address-dependent'))).toEqual({
      before: [],
      after: REMOTES.slice(0, 2),
      out,
    });
    expect(heardThrough((network) => new StatefulFirewall(network, 'endpoint-independent'))).toEqual({
      before: [],
      after: REMOTES,
      out,
    });
    expect(heardThrough(() => new StatelessRouter())).toEqual({ before: REMOTES, after: REMOTES, out });
  });

  it('forgets a session after five idle minutes', () => {
    const network = new Network(1);
    const firewall = new StatefulFirewall(network, 'address-and-port-dependent');
    const lan = network.internet.addRealmBehind(firewall, 'lan');
    const inside = openRecorder(new Host(lan, ['203.0.113.2']), '203.0.113.2:4000');
    const remote = openRecorder(new Host(network.internet, ['192.0.2.1']), REMOTES[0]);
    sendAndSettle(network, inside, REMOTES[0]);
    network.run(300_001);
    sendAndSettle(network, remote, '203.0.113.2:4000');
    expect(inside.heard).toEqual([]);
  });

  it('works in front of another, for both', () => {
    const network = new Network(1);
    const outer = network.internet.addRealmBehind(
      new StatefulFirewall(network, 'address-dependent'),
      'outer',
    );
    const inner = outer.addRealmBehind(new StatefulFirewall(network, 'endpoint-independent'), 'inner');
    const inside = openRecorder(new Host(inner, ['2001:db8:1::2']), '[2001:db8:1::2]:4000');
    const server = new Host(network.internet, ['2001:db8::1', '2001:db8::2']);
    const remotes = ['[2001:db8::1]:1', '[2001:db8::1]:2', '[2001:db8::2]:1'].map((at) =>
      openRecorder(server, at),
    );
    sendAndSettle(network, inside, '[2001:db8::1]:1');
    for (const remote of remotes) sendAndSettle(network, remote, '[2001:db8:1::2]:4000');
    expect(inside.heard).toEqual(['[2001:db8::1]:1', '[2001:db8::1]:2']);
  });
});

describe('a NAT behind a firewall', () => {
  it('is reached through it at its own address', () => {
    const network = new Network(1);
    const outer = network.internet.addRealmBehind(
      new StatefulFirewall(network, 'address-dependent'),
      'outer',
    );
    const nat = new Nat(network, ['203.0.113.1'], {
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      ports: { kind: 'preserve', onCollision: 'random' },
    });
    const inside = openRecorder(new Host(outer.addRealmBehind(nat, 'lan'), ['10.0.0.2']), '10.0.0.2:4000');
    const server = new Host(network.internet, ['192.0.2.1', '192.0.2.2']);
    const remotes = REMOTES.map((remote) => openRecorder(server, remote));
    sendAndSettle(network, inside, REMOTES[0]);
    for (const remote of remotes) sendAndSettle(network, remote, '203.0.113.1:4000');
    expect(inside.heard).toEqual(REMOTES.slice(0, 2));
  });
});

describe('a firewall that blocks UDP', () => {
  it('blocks the way or ways it is told', () => {
    const nothing: string[] = [];
    const out = ['203.0.113.2:4000'];
    expect(heardThrough(() => new UdpBlock('both'))).toEqual({
      before: nothing,
      after: nothing,
      out: nothing,
    });
    expect(heardThrough(() => new UdpBlock('inbound'))).toEqual({ before: nothing, after: nothing, out });
    expect(heardThrough(() => new UdpBlock('outbound'))).toEqual({
      before: REMOTES,
      after: REMOTES,
      out: nothing,
    });
  });

  it('tells a connected sender if it rejects', () => {
    const network = new Network(1);
    const lan = network.internet.addRealmBehind(new UdpBlock('both', true), 'lan');
    const inside = openRecorder(new Host(lan, ['203.0.113.2']), '203.0.113.2:4000', REMOTES[0]);
    sendAndSettle(network, inside, REMOTES[0]);
    expect(inside.refusals).toEqual([`${REMOTES[0]} port-unreachable`]);
  });
});
