/** What the verdict says about peers, held against a small simulation of both NATs. */
import { describe, expect, it } from 'vitest';
import {
  type Behaviour,
  describePunching,
  describeReach,
  punchesPlainly,
} from '../../../probe/cli/render/peers.ts';
import { type Filtering, type Mapping, natTypeOf } from '../../../shared/nat/behaviour.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';

const MAPPINGS = ['none', 'endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const FILTERINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const BEHAVIOURS = MAPPINGS.flatMap((mapping) => FILTERINGS.map((filtering) => ({ mapping, filtering })));

/** A NAT with one public address, by RFC 4787: ports by mapping key, contacts by mapping. */
class Nat {
  readonly #ports = new Map<string, number>();
  readonly #contacts = new Map<number, Set<string>>();
  readonly address: string;
  readonly behaviour: Behaviour;

  constructor(address: string, behaviour: Behaviour) {
    this.address = address;
    this.behaviour = behaviour;
  }

  /** The public port that a packet to `to` leaves from. */
  send(to: Place): number {
    const key = {
      none: '',
      'endpoint-independent': '',
      'address-dependent': to.address,
      'address-and-port-dependent': `${to.address}:${to.port}`,
    }[this.behaviour.mapping as (typeof MAPPINGS)[number]];
    const port = this.#ports.get(key) ?? 1000 + this.#ports.size;
    this.#ports.set(key, port);
    const contacts = this.#contacts.get(port) ?? new Set();
    contacts.add(`${to.address}:${to.port}`);
    this.#contacts.set(port, contacts);
    return port;
  }

  letsIn(port: number, from: Place): boolean {
    const contacts = this.#contacts.get(port);
    if (contacts === undefined) return false;
    switch (this.behaviour.filtering) {
      case 'endpoint-independent':
        return true;
      case 'address-dependent':
        return [...contacts].some((contact) => contact.startsWith(`${from.address}:`));
      default:
        return contacts.has(`${from.address}:${from.port}`);
    }
  }
}

interface Place {
  readonly address: string;
  readonly port: number;
}

/** Both send to what the server saw of the other, and to whatever they hear, until nothing new is heard. */
function simulatePunch(one: Behaviour, other: Behaviour): boolean {
  const server = { address: 'S', port: 1 };
  const sides = [new Nat('A', one), new Nat('B', other)] as const;
  const seen = sides.map((nat) => ({ address: nat.address, port: nat.send(server) }));
  const targets = [[seen[1]!], [seen[0]!]];
  const heard = [false, false];
  for (let round = 0; round < 6; round++) {
    // First both send, then both receive: packets cross.
    const flights = sides.flatMap((nat, index) =>
      targets[index]!.map((to) => ({ to, from: { address: nat.address, port: nat.send(to) } })),
    );
    for (const { to, from } of flights) {
      const receiver = to.address === 'A' ? 0 : 1;
      if (!sides[receiver].letsIn(to.port, from)) continue;
      heard[receiver] = true;
      const known = targets[receiver]!;
      if (!known.some(({ port }) => port === from.port)) known.push(from);
    }
  }
  return heard[0]! && heard[1]!;
}

function verdict(mapping: Mapping, filtering: Filtering): Verdict {
  return { type: natTypeOf(mapping, filtering), mapping, filtering, confidence: 1, reasons: [] };
}

describe('a plain punch', () => {
  it('works exactly where both NATs, simulated, end with both hearing each other', () => {
    for (const a of BEHAVIOURS) {
      for (const b of BEHAVIOURS) {
        const pair = `${a.mapping}/${a.filtering} x ${b.mapping}/${b.filtering}`;
        expect([pair, punchesPlainly(a, b)]).toEqual([pair, simulatePunch(a, b)]);
      }
    }
  });

  it('works both ways round alike', () => {
    for (const a of BEHAVIOURS) {
      for (const b of BEHAVIOURS) expect(punchesPlainly(a, b)).toBe(punchesPlainly(b, a));
    }
  });
});

describe('what is said about punching', () => {
  const START = 'Both sides sending at once, to what the server saw, should work ';
  const cases: [Mapping, Filtering, string | undefined][] = [
    ['none', 'endpoint-independent', 'with every type of peer.'],
    ['endpoint-independent', 'endpoint-independent', 'with every type of peer.'],
    ['endpoint-independent', 'address-dependent', 'with every type of peer.'],
    [
      'endpoint-independent',
      'address-and-port-dependent',
      'with open, symmetric firewall, full cone, restricted cone and port-restricted cone; not with symmetric.',
    ],
    [
      'address-and-port-dependent',
      'address-and-port-dependent',
      'with open, full cone and restricted cone; not with symmetric firewall, port-restricted cone or symmetric.',
    ],
    [
      'endpoint-independent',
      'unknown',
      'with open, symmetric firewall, full cone, restricted cone and port-restricted cone; perhaps with symmetric.',
    ],
    [
      'dependent',
      'unknown',
      'with open, full cone and restricted cone; not with symmetric firewall, port-restricted cone or symmetric.',
    ],
  ];
  for (const [mapping, filtering, end] of cases) {
    it(`${mapping} mapping, ${filtering} filtering`, () => {
      expect(describePunching(verdict(mapping, filtering))).toBe(`${START}${end}`);
    });
  }

  it('is nothing where the mapping is unknown', () => {
    expect(describePunching(verdict('unknown', 'unknown'))).toBeUndefined();
  });
});

describe('who can reach this machine', () => {
  it('differs by mapping and filtering', () => {
    const said = [...MAPPINGS, 'dependent' as const].flatMap((mapping) =>
      [...FILTERINGS, 'unknown' as const].map(
        (filtering) => `${mapping}/${filtering}: ${describeReach(verdict(mapping, filtering))}`,
      ),
    );
    expect(said).toMatchSnapshot();
  });

  it('is nobody where UDP is blocked', () => {
    expect(describeReach({ ...verdict('unknown', 'unknown'), type: 'udp-blocked' })).toBe(
      'No peer over UDP, in either direction: use TCP, or a relay over TCP.',
    );
  });
});
