import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import {
  type EndpointsEvidence,
  type Evidence,
  INTERFACE_KINDS,
  type InterfaceEvidence,
  PORT_MAPPER_ERRORS,
  type PortMapperEvidence,
} from '../../../shared/nat/evidence.ts';
import { assessLayers, describeLayers, endpointsOf } from '../../../shared/nat/layers.ts';

const GATEWAY = '192.168.1.1';
const LOCAL = '192.168.1.2';
const OUTSIDE = '203.0.113.7';

describe('assessLayers', () => {
  it('knows nothing before a server has answered', () => {
    expect(assessLayers([lan()])).toEqual({
      value: 'unknown',
      confidence: 0,
      atLeast: 0,
      reasons: [
        { code: 'layers-not-seen', text: 'no server has told how this machine is seen from outside' },
      ],
      path: { name: 'eth0', kind: 'ethernet', address: LOCAL, gateway: GATEWAY },
      otherInterfaces: [],
      portMappers: [],
    });
  });

  it('finds no NAT where the server saw the machine’s own address, whatever the port', () => {
    const axis = assessLayers([endpoints(OUTSIDE, [OUTSIDE]), lan({ address: OUTSIDE })]);
    expect(summary(axis)).toEqual(['none', 0, 1, 'layers-none']);
  });

  it('counts one NAT where the router’s outer address is the one that the server saw', () => {
    const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ externalAddress: OUTSIDE })]);
    expect(summary(axis)).toEqual(['one-nat', 1, 0.98, 'layers-one']);
  });

  it('counts one NAT where the server saw several addresses and the router’s among them', () => {
    const seen = endpoints(LOCAL, ['203.0.113.8', OUTSIDE]);
    expect(assessLayers([seen, lan(), mapper({ externalAddress: OUTSIDE })]).value).toBe('one-nat');
  });

  it.each(['100.64.0.2', '100.127.255.254'])('calls it CGN where the router has %s outside', (address) => {
    const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ externalAddress: address })]);
    expect(summary(axis)).toEqual(['cgn', 2, 0.99, 'layers-shared-outside']);
  });

  it.each(['10.1.2.3', '172.31.0.9', '192.168.0.2', '169.254.1.1'])(
    'calls it double NAT where the router has %s outside',
    (address) => {
      const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ externalAddress: address })]);
      expect(summary(axis)).toEqual(['double-nat', 2, 0.99, 'layers-private-outside']);
    },
  );

  it('calls it CGN where the router has a public address that is not the one seen', () => {
    const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ externalAddress: '25.0.0.9' })]);
    expect(summary(axis)).toEqual(['cgn', 2, 0.9, 'layers-other-outside']);
  });

  it('calls it CGN where the machine itself has a shared address', () => {
    const axis = assessLayers([endpoints('100.70.0.9', [OUTSIDE]), lan({ address: '100.70.0.9' })]);
    expect(summary(axis)).toEqual(['cgn', 1, 0.95, 'layers-shared-local']);
  });

  it('takes an inner address of one protocol before a public one of another', () => {
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan(),
      mapper({ protocol: 'nat-pmp', externalAddress: OUTSIDE }),
      mapper({ protocol: 'pcp', externalAddress: '100.64.0.2' }),
    ]);
    expect(axis.value).toBe('cgn');
  });

  it('takes a router without public address for one behind another NAT, with less confidence', () => {
    const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ error: 'no-external-address' })]);
    expect(summary(axis)).toEqual(['double-nat', 2, 0.8, 'layers-no-address-outside']);
  });

  it('takes a mapper that sees another address than this machine’s for one behind a NAT', () => {
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan(),
      mapper({ protocol: 'pcp', error: 'address-mismatch' }),
    ]);
    expect(summary(axis)).toEqual(['double-nat', 2, 0.95, 'layers-nat-before-mapper']);
  });

  it('counts at least one NAT where no mapper tells more', () => {
    expect(summary(assessLayers([endpoints(LOCAL, [OUTSIDE]), lan()]))).toEqual([
      'unknown',
      1,
      0,
      'layers-uncounted',
    ]);
  });

  it('does not listen to a port mapper that is not on the way', () => {
    const elsewhere = mapper({ gateway: '192.168.1.254', externalAddress: '100.64.0.2' });
    expect(assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), elsewhere]).value).toBe('unknown');
  });

  it.each(['10.8.0.2', '100.101.102.103'])(
    'places the NAT behind a VPN that the machine has %s in',
    (own) => {
      const vpn: InterfaceEvidence = {
        kind: 'interface',
        name: 'wg0',
        interfaceKind: 'vpn',
        address: own,
        onPath: true,
      };
      const axis = assessLayers([
        endpoints(own, [OUTSIDE]),
        vpn,
        mapper({ externalAddress: '198.51.100.1' }),
      ]);
      expect(summary(axis)).toEqual(['unknown', 1, 0, 'layers-behind-tunnel']);
      expect(axis.path).toEqual({ name: 'wg0', kind: 'vpn', address: own });
      expect(describeLayers(axis)[0]).toBe('this goes through the VPN interface wg0');
    },
  );

  it('works for IPv6: a unique-local address that is seen as another is translated', () => {
    const axis = assessLayers([endpoints('fd00::2', ['2001:db8::2']), lan({ address: 'fd00::2' })]);
    expect(summary(axis)).toEqual(['unknown', 1, 0, 'layers-uncounted']);
    const plain = assessLayers([endpoints('2001:db8::2', ['2001:db8::2'])]);
    expect(summary(plain)).toEqual(['none', 0, 1, 'layers-none']);
  });

  it('names other VPN and container interfaces once, and nothing ordinary', () => {
    const other = (name: string, interfaceKind: InterfaceEvidence['interfaceKind'], address: string) =>
      ({ kind: 'interface', name, interfaceKind, address, onPath: false }) as const;
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan(),
      other('eth0', 'ethernet', 'fd00::2'),
      other('wlan0', 'wifi', '192.168.2.2'),
      other('tailscale0', 'vpn', '100.101.102.103'),
      other('tailscale0', 'vpn', 'fd7a::1'),
      other('docker0', 'container', '172.17.0.1'),
    ]);
    expect(axis.otherInterfaces).toEqual([
      { name: 'tailscale0', kind: 'vpn' },
      { name: 'docker0', kind: 'container' },
    ]);
    expect(describeLayers(axis)).toEqual([
      'one NAT at least: no router tells whether another is outside it',
      'also up: VPN interface tailscale0, container interface docker0',
      'no port mapper answers',
    ]);
  });
});

describe('describeLayers', () => {
  it('says which protocols the router speaks, how fast, and what is wrong with them', () => {
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan(),
      mapper({ protocol: 'pcp', externalAddress: '100.64.0.2', error: 'no-resources', latencyMs: 0.4 }),
      mapper({ protocol: 'nat-pmp', error: 'no-external-address', latencyMs: 12.6 }),
      mapper({ protocol: 'upnp-igd', latencyMs: 61 }),
    ]);
    expect(describeLayers(axis)).toEqual([
      'carrier-grade NAT: the router’s outer address 100.64.0.2 is of a carrier’s shared range',
      'the router maps ports on request: PCP (1 ms, has no ports left), ' +
        'NAT-PMP (13 ms, has no public address), UPnP (61 ms)',
    ]);
  });
});

describe('each thing that can be wrong with a port mapper', () => {
  it.each(PORT_MAPPER_ERRORS)('%s: has words, and no say on the layers by itself but two', (error) => {
    const axis = assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), mapper({ error })]);
    const tells = error === 'no-external-address' || error === 'address-mismatch';
    expect(axis.value).toBe(tells ? 'double-nat' : 'unknown');
    expect(describeLayers(axis).at(-1)).toMatch(
      /^the router maps ports on request: NAT-PMP \(5 ms, [^)]+\)$/,
    );
    // An outer address tells more than what failed beside it.
    const told = mapper({ protocol: 'pcp', error, externalAddress: OUTSIDE });
    expect(assessLayers([endpoints(LOCAL, [OUTSIDE]), lan(), told]).value).toBe('one-nat');
  });
});

describe('each kind of interface', () => {
  it.each(INTERFACE_KINDS)('%s on the way: a tunnel’s NAT is at its other end, no other’s', (kind) => {
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan({ interfaceKind: kind }),
      mapper({ externalAddress: OUTSIDE }),
    ]);
    const leadsElsewhere = kind === 'vpn' || kind === 'tunnel';
    expect(axis.value).toBe(leadsElsewhere ? 'unknown' : 'one-nat');
    expect(describeLayers(axis)[0]!.startsWith('this goes through the ')).toBe(leadsElsewhere);
  });

  it.each(INTERFACE_KINDS)('%s beside the way: named if it explains surprises', (kind) => {
    const axis = assessLayers([
      endpoints(LOCAL, [OUTSIDE]),
      lan(),
      lan({ name: 'x0', interfaceKind: kind, address: '172.17.0.1', onPath: false }),
      // A further address of the interface on the way is none beside it.
      lan({ interfaceKind: kind, address: '192.168.1.3', onPath: false }),
    ]);
    const isNamed = ['vpn', 'tunnel', 'container', 'virtual-machine'].includes(kind);
    expect(axis.otherInterfaces).toEqual(isNamed ? [{ name: 'x0', kind }] : []);
  });
});

it('takes the first outer address where several public ones are told', () => {
  const axis = assessLayers([
    endpoints(LOCAL, [OUTSIDE]),
    lan(),
    mapper({ protocol: 'pcp', externalAddress: OUTSIDE }),
    mapper({ protocol: 'upnp-igd', externalAddress: '25.0.0.9' }),
  ]);
  expect(axis.value).toBe('one-nat');
});

describe('endpointsOf', () => {
  const server: Endpoint = { address: '198.51.100.1', port: 3478 };
  const other: Endpoint = { address: '198.51.100.2', port: 3479 };

  function series(
    socket: string,
    to: Endpoint,
    mapped: Endpoint,
    change?: { address: boolean; port: boolean },
  ) {
    return {
      kind: 'binding',
      socket,
      to,
      ...(change && { change }),
      receipt: false,
      sends: [{ atMs: 0, transactionId: '00' }],
      replies: [{ kind: 'response', send: 0, atMs: 1, from: to, mapped }],
    } as const;
  }

  it('takes the mapping socket and every endpoint that it was seen as, once each', () => {
    const local = { address: LOCAL, port: 40_000 };
    const evidence: Evidence[] = [
      { kind: 'socket', socket: 'filtering', purpose: 'filtering', local: { address: LOCAL, port: 50_000 } },
      { kind: 'socket', socket: 'mapping', purpose: 'mapping', local },
      series('filtering', server, { address: OUTSIDE, port: 1 }),
      series('mapping', server, { address: OUTSIDE, port: 2 }),
      series('mapping', other, { address: OUTSIDE, port: 2 }),
      series('mapping', other, { address: '203.0.113.8', port: 3 }),
      series('mapping', server, { address: OUTSIDE, port: 4 }, { address: true, port: true }),
    ];
    expect(endpointsOf(evidence)).toEqual({
      kind: 'endpoints',
      local,
      mapped: [
        { address: OUTSIDE, port: 2 },
        { address: '203.0.113.8', port: 3 },
      ],
    });
  });

  it('is undefined where nothing was heard', () => {
    expect(endpointsOf([])).toBeUndefined();
    const local = { address: LOCAL, port: 40_000 };
    expect(endpointsOf([{ kind: 'socket', socket: 'mapping', purpose: 'mapping', local }])).toBeUndefined();
  });
});

function summary({ value, atLeast, confidence, reasons }: ReturnType<typeof assessLayers>): unknown[] {
  return [value, atLeast, confidence, ...reasons.map(({ code }) => code)];
}

function endpoints(local: string, mapped: readonly string[]): EndpointsEvidence {
  return {
    kind: 'endpoints',
    local: { address: local, port: 40_000 },
    mapped: mapped.map((address, index) => ({ address, port: 50_000 + index })),
  };
}

function lan(overrides: Partial<InterfaceEvidence> = {}): InterfaceEvidence {
  return {
    kind: 'interface',
    name: 'eth0',
    interfaceKind: 'ethernet',
    address: LOCAL,
    onPath: true,
    gateway: GATEWAY,
    ...overrides,
  };
}

function mapper(overrides: Partial<PortMapperEvidence>): PortMapperEvidence {
  return { kind: 'port-mapper', protocol: 'nat-pmp', gateway: GATEWAY, latencyMs: 5, ...overrides };
}
