import type { Endpoint } from '../../shared/endpoint.ts';
import type { Behaviour } from '../../shared/punch/plain.ts';
import { StatefulFirewall } from './firewall.ts';
import { Host, type UdpSocket } from './host.ts';
import { Nat } from './nat.ts';
import { Network } from './network.ts';
import type { PortAllocation } from './ports.ts';
import type { Realm } from './realm.ts';

/** Enough for a reply to a reply to a reply, each of which a NAT may send from a new endpoint. */
const ROUNDS = 6;
const ROUND_MS = 100;
/** One way; less than half a round, so that a round is heard before the next begins. */
const DELAY_MS = 20;

/**
 * Two hosts, each behind a NAT, a firewall or nothing, that learn of each other at a rendezvous, and
 * then send at the same times, for several rounds, to what that saw and to whatever they have heard.
 * Returns which of them heard the other.
 */
export function punchInSimulation(
  a: Behaviour,
  b: Behaviour,
  ports: PortAllocation,
  seed: number,
): { readonly a: boolean; readonly b: boolean } {
  const network = new Network(seed);
  const seen = new Map<number, Endpoint>();
  const link = { up: { delayMs: DELAY_MS }, down: { delayMs: DELAY_MS } };
  const rendezvous = { address: '192.0.2.1', port: 3478 };
  new Host(network.internet, [rendezvous.address], link).openSocket(rendezvous, {
    onDatagram: (bytes, from) => seen.set(bytes[0]!, from),
  });

  const [one, other] = [a, b].map((behaviour, index) => {
    const peer = new Peer(behindOf(network, behaviour, ports, index));
    peer.socket.send(rendezvous, Uint8Array.of(index));
    return peer;
  }) as [Peer, Peer];
  network.run(ROUND_MS);
  one.targets.push(seen.get(1)!);
  other.targets.push(seen.get(0)!);
  for (let round = 1; round <= ROUNDS; round++) {
    one.sendAll();
    other.sendAll();
    network.run((round + 1) * ROUND_MS);
  }
  return { a: one.heard, b: other.heard };
}

function behindOf(network: Network, behaviour: Behaviour, ports: PortAllocation, index: number): Host {
  const link = { up: { delayMs: DELAY_MS }, down: { delayMs: DELAY_MS } };
  const realm = realmOf(network, behaviour, ports, index);
  const isTranslated = behaviour.mapping !== 'none';
  return new Host(realm, [isTranslated ? '10.0.0.2' : `198.51.100.${index + 1}`], link);
}

function realmOf(
  network: Network,
  { mapping, filtering }: Behaviour,
  ports: PortAllocation,
  index: number,
): Realm {
  const name = `side ${index}`;
  if (mapping !== 'none') {
    const nat = new Nat(network, [`203.0.113.${index + 1}`], { mapping, filtering, ports });
    return network.internet.addRealmBehind(nat, name);
  }
  if (filtering === 'endpoint-independent') return network.internet;
  return network.internet.addRealmBehind(new StatefulFirewall(network, filtering), name);
}

const PAYLOAD = Uint8Array.of(0);

class Peer {
  readonly socket: UdpSocket;
  readonly targets: Endpoint[] = [];
  heard = false;

  constructor(host: Host) {
    const local = { address: host.addressOf('ipv4')!, port: 5000 };
    this.socket = host.openSocket(local, {
      onDatagram: (_bytes, from) => {
        this.heard = true;
        if (!this.targets.some(({ address, port }) => address === from.address && port === from.port))
          this.targets.push(from);
      },
    })!;
  }

  sendAll(): void {
    for (const target of this.targets) this.socket.send(target, PAYLOAD);
  }
}
