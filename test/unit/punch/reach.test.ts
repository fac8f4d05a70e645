/** What the verdict says about peers; test/sim/plain-punch.test.ts holds the punching itself against simulated NATs. */
import { describe, expect, it } from 'vitest';
import { describePunching, describeReach } from '../../../shared/punch/reach.ts';
import { type Filtering, type Mapping, natTypeOf } from '../../../shared/nat/behaviour.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';

const MAPPINGS = ['none', 'endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;
const FILTERINGS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;

function verdict(mapping: Mapping, filtering: Filtering): Verdict {
  return { type: natTypeOf(mapping, filtering), mapping, filtering, confidence: 1, reasons: [] };
}

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
