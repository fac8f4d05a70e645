import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { Evidence, TcpBindingEvidence, TcpDialEvidence } from '../../../shared/nat/evidence.ts';
import { observeTcp, stateOfDials } from '../../../shared/nat/tcp-dials.ts';
import { assessTcp, describeTcp } from '../../../shared/nat/tcp.ts';
import type { DialOrigin } from '../../../shared/stun/attributes/dial-back.ts';
import { AA, AP, LOCAL, MAPPED, PA, PP, publicPort, run } from '../../support/evidence.ts';

function begun(
  socket: string,
  to: Endpoint,
  outcome: TcpBindingEvidence['outcome'] = 'pending',
): TcpBindingEvidence {
  const purpose = socket.startsWith('mapping') ? 'mapping' : 'filtering';
  return { kind: 'tcp-binding', socket, purpose, to, atMs: 0, outcome };
}

function binding(
  socket: string,
  to: Endpoint,
  mapped: Endpoint,
  change: Partial<TcpBindingEvidence> = {},
): TcpBindingEvidence {
  return { ...begun(socket, to, 'answered'), local: LOCAL, connectMs: 10, mapped, ...change };
}

function mapping(mapped: readonly [Endpoint, Endpoint, Endpoint, Endpoint], socket = 'mapping'): Evidence[] {
  return [PP, PA, AP, AA].map((to, index) => binding(socket, to, mapped[index]!));
}

const FILTERING = Array.from({ length: 5 }, (_, index) =>
  index === 0 ? 'filtering' : `filtering-${index + 1}`,
);
const PORTS = FILTERING.map((socket, index) => binding(socket, PP, MAPPED, { atMs: 5 * index }));
const SAME = [...mapping([MAPPED, MAPPED, MAPPED, MAPPED]), ...PORTS];

/** One dial to each filtering port, 5 ms apart. */
function dials(origin: DialOrigin, change: Partial<TcpDialEvidence>, count = 5): TcpDialEvidence[] {
  return FILTERING.slice(0, count).map((socket, index) => ({
    kind: 'tcp-dial',
    socket,
    origin,
    atMs: 20 + 5 * index,
    timeoutMs: 820,
    outcome: 'timeout',
    ...change,
  }));
}

const LET_IN = {
  outcome: 'connected',
  tookMs: 10,
  acceptedAtMs: 40,
  dialledFrom: { address: AP.address, port: 50000 },
} as const;

function assess(...evidence: Evidence[]) {
  const { mapping, filtering, unsolicitedSyn, simultaneousOpen } = assessTcp([run(900), ...evidence]);
  return [mapping.value, filtering.value, unsolicitedSyn.value, simultaneousOpen.value];
}

describe('TCP mapping', () => {
  const [one, two, three, four] = [50001, 50002, 50003, 50004].map(publicPort) as [
    Endpoint,
    Endpoint,
    Endpoint,
    Endpoint,
  ];

  it.each([
    ['none', [LOCAL, LOCAL, LOCAL, LOCAL]],
    ['endpoint-independent', [one, one, one, one]],
    ['address-dependent', [one, one, two, two]],
    ['address-and-port-dependent', [one, two, three, four]],
  ] as const)('%s', (value, mapped) => {
    const axis = assessTcp([run(900), ...mapping(mapped)]).mapping;
    const isDependent = value.endsWith('dependent') && value !== 'endpoint-independent';
    expect(axis).toMatchObject({ value, confidence: isDependent ? 0.9 : 1, mapped: mapped[0] });
    const twice = assessTcp([run(900), ...mapping(mapped), ...mapping(mapped, 'mapping-2')]).mapping;
    expect(twice).toMatchObject({ value, confidence: 1 });
  });

  it('is what two of three ports say: one may have collided', () => {
    const evidence = [
      ...mapping([one, one, two, two]),
      ...mapping([three, three, three, three], 'mapping-2'),
      ...mapping([four, four, four, four], 'mapping-3'),
    ];
    expect(assessTcp([run(900), ...evidence]).mapping).toMatchObject({
      value: 'endpoint-independent',
      confidence: 1,
    });
  });

  it('compares one port with itself: filtering ports have others', () => {
    const ports = FILTERING.map((socket, index) => binding(socket, PP, publicPort(50100 + index)));
    expect(assess(...mapping([one, one, one, one]), ...ports)[0]).toBe('endpoint-independent');
  });

  it('is unknown without an answer, and why is told', () => {
    for (const [outcome, code] of [
      ['pending', 'tcp-silent'],
      ['unreachable', 'tcp-silent'],
      ['refused', 'tcp-refused'],
    ] as const) {
      const axis = assessTcp([run(3500), begun('mapping', PP, outcome)]);
      expect(axis.mapping).toMatchObject({ value: 'unknown', confidence: 0, reasons: [{ code }] });
      expect(axis.simultaneousOpen.value).toBe('unknown');
    }
  });
});

describe('TCP filtering and unsolicited SYNs', () => {
  const EIM = 'endpoint-independent';

  it.each([
    ['let in from anywhere', LET_IN, LET_IN, [EIM, EIM, 'accepted', 'likely']],
    [
      'one let in from the other address is enough',
      { outcome: 'pending' },
      LET_IN,
      [EIM, EIM, 'accepted', 'likely'],
    ],
    ['dropped but from the called address', LET_IN, {}, [EIM, 'address-dependent', 'dropped', 'likely']],
    [
      'refused but from the called address',
      LET_IN,
      { outcome: 'refused' },
      [EIM, 'address-dependent', 'reset', 'by-chance'],
    ],
    ['dropped', {}, {}, [EIM, 'address-and-port-dependent', 'dropped', 'likely']],
    [
      'refused',
      { outcome: 'refused' },
      { outcome: 'refused' },
      [EIM, 'address-and-port-dependent', 'reset', 'by-chance'],
    ],
    [
      'an ICMP error',
      { outcome: 'unreachable' },
      { outcome: 'unreachable' },
      [EIM, 'address-and-port-dependent', 'icmp', 'by-chance'],
    ],
    [
      'the called address refused, the other dropped',
      { outcome: 'refused' },
      {},
      [EIM, 'address-and-port-dependent', 'dropped', 'likely'],
    ],
    [
      'nothing from the other address yet',
      LET_IN,
      { outcome: 'pending' },
      [EIM, 'unknown', 'unknown', 'unknown'],
    ],
    ['not dialled', { outcome: 'declined' }, { outcome: 'failed' }, [EIM, 'unknown', 'unknown', 'unknown']],
  ] as const)('%s', (_name, same, other, expected) => {
    expect(assess(...SAME, ...dials('same-address', same), ...dials('other-address', other))).toEqual(
      expected,
    );
  });

  it('one refusal among silence tells, since routers limit how often they answer', () => {
    const mixed = [...dials('other-address', {}, 4), ...dials('other-address', { outcome: 'refused' }, 1)];
    expect(stateOfDials(observeTcp([run(900), ...SAME, ...mixed]), 'other-address')).toEqual({
      kind: 'blocked',
      how: 'reset',
      confidence: 1,
      dials: 5,
    });
  });

  it('needs a port that can be guessed for a simultaneous open where each peer sees another', () => {
    const evidence = [...mapping([publicPort(1), publicPort(2), publicPort(3), publicPort(4)]), ...PORTS];
    const all = [...evidence, ...dials('same-address', {}), ...dials('other-address', {})];
    expect(assess(...all)[3]).toBe('needs-prediction');
  });

  it('does not take for this machine’s what another answers', () => {
    const { outcome, tookMs, dialledFrom } = LET_IN;
    const unheard = { outcome, tookMs, dialledFrom };
    const axis = assessTcp([
      run(900),
      ...SAME,
      ...dials('same-address', unheard),
      ...dials('other-address', unheard),
    ]);
    expect(axis.filtering).toMatchObject({ value: 'unknown', reasons: [{ code: 'tcp-answered-elsewhere' }] });
    expect(axis.unsolicitedSyn.value).toBe('unknown');
  });

  it.each([
    ['unsupported', 'tcp-no-dial-backs'],
    ['no-address', 'tcp-one-address'],
  ] as const)('is unknown where dials are %s', (outcome, code) => {
    const same = outcome === 'no-address' ? LET_IN : { outcome };
    const axis = assessTcp([
      run(900),
      ...SAME,
      ...dials('same-address', same),
      ...dials('other-address', { outcome }),
    ]);
    expect(axis.filtering).toMatchObject({ value: 'unknown', confidence: 0, reasons: [{ code }] });
    expect(axis.unsolicitedSyn).toMatchObject({ value: 'unknown', reasons: [{ code }] });
  });

  it('is known with one address where that is filtered too', () => {
    const evidence = [
      ...SAME,
      ...dials('same-address', {}),
      ...dials('other-address', { outcome: 'no-address' }),
    ];
    expect(assess(...evidence).slice(1, 3)).toEqual(['address-and-port-dependent', 'dropped']);
  });
});

describe('silence', () => {
  function state(...evidence: Evidence[]) {
    return stateOfDials(observeTcp([run(900), ...evidence]), 'other-address');
  }

  it('is as sure as the handshakes beside it make it', () => {
    // 9 answered: 5!·10!/15!
    const chance = 120 / (11 * 12 * 13 * 14 * 15);
    const found = state(...SAME, ...dials('other-address', {}));
    expect(found).toMatchObject({ kind: 'blocked', how: 'dropped', dials: 5 });
    expect(found.kind === 'blocked' && found.confidence).toBeCloseTo(1 - chance, 12);
  });

  it('is not credible from few dials, or where handshakes took a second SYN', () => {
    expect(state(...SAME, ...dials('other-address', {}, 3))).toEqual({ kind: 'open', silent: 3 });
    const lossy = PORTS.map((port, index) => (index < 2 ? { ...port, connectMs: 1010 } : port));
    const evidence = [...mapping([MAPPED, MAPPED, MAPPED, MAPPED]), ...lossy];
    expect(state(...evidence, ...dials('other-address', {}))).toEqual({ kind: 'open', silent: 5 });
    // 909 ms later is a busy machine, 910 ms a repeated SYN.
    expect(
      observeTcp([
        run(900),
        binding('mapping', PP, MAPPED),
        binding('filtering', PP, MAPPED, { connectMs: 909 }),
      ]).path.lost,
    ).toBe(0);
    expect(
      observeTcp([
        run(900),
        binding('mapping', PP, MAPPED),
        binding('filtering', PP, MAPPED, { connectMs: 910 }),
      ]).path.lost,
    ).toBe(1);
  });

  it('counts a handshake that is late and still open as lost', () => {
    const late = (nowMs: number) =>
      observeTcp([run(nowMs), binding('mapping', PP, MAPPED), begun('mapping', PA)]).path;
    expect(late(119)).toEqual({ answered: 1, lost: 0 });
    expect(late(120)).toEqual({ answered: 1, lost: 1 });
  });

  it('proves nothing of an address that nothing was ever heard from', () => {
    const primaryOnly = [PP, PA].map((to) => binding('mapping', to, MAPPED));
    const more = ['a', 'b', 'c', 'd'].map((name) => binding(`mapping-${name}`, PP, MAPPED));
    expect(state(...primaryOnly, ...more, ...PORTS, ...dials('other-address', {}))).toEqual({
      kind: 'open',
      silent: 5,
    });
  });

  it('needs three pacing slots, and dials that waited long enough', () => {
    expect(state(...SAME, ...dials('other-address', { atMs: 20 }))).toEqual({ kind: 'open', silent: 5 });
    expect(state(...SAME, ...dials('other-address', { timeoutMs: 119 }))).toEqual({
      kind: 'open',
      silent: 0,
    });
    expect(state(...SAME, ...dials('other-address', { timeoutMs: 120 })).kind).toBe('blocked');
  });
});

describe('describeTcp', () => {
  it('has a sentence of at most 72 columns for each value', () => {
    const outcomes = [
      LET_IN,
      {},
      { outcome: 'refused' },
      { outcome: 'unreachable' },
      { outcome: 'unsupported' },
    ] as const;
    const sentences = new Set<string>();
    for (const same of outcomes) {
      for (const other of outcomes) {
        const axis = assessTcp([
          run(900),
          ...SAME,
          ...dials('same-address', same),
          ...dials('other-address', other),
        ]);
        for (const sentence of describeTcp(axis).slice(1)) sentences.add(sentence);
      }
    }
    expect([...sentences].filter((sentence) => sentence.length > 72)).toEqual([]);
    expect(sentences.size).toBeGreaterThanOrEqual(10);
  });

  it('throws without the run', () => {
    expect(() => assessTcp([])).toThrow('evidence without its run');
  });
});
