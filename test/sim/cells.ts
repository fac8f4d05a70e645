/** The scenarios that the classifier is held against, with their true answers, as data. */
import { natTypeOf, type Filtering, type Mapping } from '../../shared/nat/behaviour.ts';
import type { Dependence, NatBehaviour } from './nat.ts';
import type { PortAllocation } from './ports.ts';
import type { Layer, Scenario, Truth } from './scenario.ts';

const DEPENDENCES: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

const MAPPING_NAMES = {
  'endpoint-independent': 'EIM',
  'address-dependent': 'ADM',
  'address-and-port-dependent': 'APDM',
} as const;
const FILTERING_NAMES = {
  'endpoint-independent': 'EIF',
  'address-dependent': 'ADF',
  'address-and-port-dependent': 'APDF',
} as const;

const ALLOCATIONS: readonly (readonly [string, PortAllocation])[] = [
  ['random ports', { kind: 'random' }],
  ['preserved ports, else random', { kind: 'preserve', onCollision: 'random' }],
  ['preserved ports, else the next', { kind: 'preserve', onCollision: 'sequential' }],
  ['sequential ports', { kind: 'sequential', first: 20_000, delta: 1 }],
  ['sequential ports by two', { kind: 'sequential', first: 20_000, delta: 2 }],
  ['a block of ports, in order', { kind: 'block', base: 1024, size: 512, within: 'sequential' }],
  ['a block of ports, at random', { kind: 'block', base: 1024, size: 512, within: 'random' }],
];

/** Mapping × filtering with random ports: the nine cells of RFC 4787. */
export const NINE_CELLS: readonly Scenario[] = cellsWith(...ALLOCATIONS[0]!);

/** The nine cells with every way of picking ports. */
export const ALL_CELLS: readonly Scenario[] = ALLOCATIONS.flatMap(([name, ports]) => cellsWith(name, ports));

export const OPEN = scenario('open', [], 'none', 'endpoint-independent');
export const STRICT_FIREWALL = scenario(
  'firewall/APDF',
  [{ kind: 'firewall', filtering: 'address-and-port-dependent' }],
  'none',
  'address-and-port-dependent',
);

export const WITHOUT_NAT: readonly Scenario[] = [
  OPEN,
  scenario('a stateless router', [{ kind: 'stateless-router' }], 'none', 'endpoint-independent'),
  scenario(
    'firewall/EIF',
    [{ kind: 'firewall', filtering: 'endpoint-independent' }],
    'none',
    'endpoint-independent',
  ),
  scenario(
    'firewall/ADF',
    [{ kind: 'firewall', filtering: 'address-dependent' }],
    'none',
    'address-dependent',
  ),
  STRICT_FIREWALL,
];

export const LINUX_WITH_DROP = scenario(
  'Linux router with input drop',
  [{ kind: 'linux-router', inputDrop: true }],
  'endpoint-independent',
  'address-and-port-dependent',
);
export const LINUX_WITHOUT_DROP = scenario(
  'Linux router without input drop',
  [{ kind: 'linux-router', inputDrop: false }],
  'endpoint-independent',
  'address-and-port-dependent',
);

export const LINUX_ROUTERS: readonly Scenario[] = [
  LINUX_WITH_DROP,
  LINUX_WITHOUT_DROP,
  ...[true, false].map((inputDrop) =>
    scenario(
      `Linux router ${inputDrop ? 'with' : 'without'} input drop, fully random`,
      [{ kind: 'linux-router', inputDrop, fullyRandom: true }],
      'address-and-port-dependent',
      'address-and-port-dependent',
    ),
  ),
];

const FULL_CONE: Layer = nat('endpoint-independent', 'endpoint-independent');
const CARRIER: Layer = nat('endpoint-independent', 'endpoint-independent', {
  ports: { kind: 'block', base: 1024, size: 1024, within: 'random' },
});
const LINUX: Layer = { kind: 'linux-router', inputDrop: true };
const TRACKING_LINUX: Layer = { kind: 'linux-router', inputDrop: false };

/** Each from the inside out: the answer is the stricter of both, on either axis. */
export const LAYERED: readonly Scenario[] = [
  scenario(
    'Linux router behind a carrier’s full cone',
    [LINUX, CARRIER],
    'endpoint-independent',
    'address-and-port-dependent',
  ),
  scenario(
    'two Linux routers without input drop',
    [TRACKING_LINUX, TRACKING_LINUX],
    'endpoint-independent',
    'address-and-port-dependent',
  ),
  scenario(
    'full cone behind EIM/ADF',
    [FULL_CONE, nat('endpoint-independent', 'address-dependent')],
    'endpoint-independent',
    'address-dependent',
  ),
  scenario(
    'full cone behind ADM/EIF',
    [FULL_CONE, nat('address-dependent', 'endpoint-independent')],
    'address-dependent',
    'endpoint-independent',
  ),
  scenario(
    'ADM/EIF behind EIM/APDF',
    [
      nat('address-dependent', 'endpoint-independent'),
      nat('endpoint-independent', 'address-and-port-dependent'),
    ],
    'address-dependent',
    'address-and-port-dependent',
  ),
  scenario(
    'EIM/ADF behind APDM/APDF',
    [
      nat('endpoint-independent', 'address-dependent'),
      nat('address-and-port-dependent', 'address-and-port-dependent'),
    ],
    'address-and-port-dependent',
    'address-and-port-dependent',
  ),
  scenario(
    'full cone behind firewall/ADF',
    [FULL_CONE, { kind: 'firewall', filtering: 'address-dependent' }],
    'endpoint-independent',
    'address-dependent',
  ),
  scenario(
    'firewall/APDF in front of a full cone',
    [{ kind: 'firewall', filtering: 'address-and-port-dependent' }, FULL_CONE],
    'endpoint-independent',
    'address-and-port-dependent',
  ),
];

export const POOLS: readonly Scenario[] = [
  scenario(
    'EIM/APDF, paired pool',
    [nat('endpoint-independent', 'address-and-port-dependent', { pooling: 'paired' }, 4)],
    'endpoint-independent',
    'address-and-port-dependent',
  ),
  scenario(
    'EIM/EIF, arbitrary pool',
    [nat('endpoint-independent', 'endpoint-independent', { pooling: 'arbitrary' }, 4)],
    'endpoint-independent',
    'endpoint-independent',
  ),
  scenario(
    'EIM/APDF, arbitrary pool',
    [nat('endpoint-independent', 'address-and-port-dependent', { pooling: 'arbitrary' }, 4)],
    'endpoint-independent',
    'address-and-port-dependent',
  ),
  scenario(
    'APDM/APDF, arbitrary pool, ports preserved',
    [
      nat(
        'address-and-port-dependent',
        'address-and-port-dependent',
        { pooling: 'arbitrary', ports: { kind: 'preserve', onCollision: 'random' } },
        16,
      ),
    ],
    'address-and-port-dependent',
    'address-and-port-dependent',
  ),
];

export const IPV6: readonly Scenario[] = [
  { ...OPEN, name: 'open, IPv6', family: 'ipv6' },
  { ...WITHOUT_NAT[3]!, name: 'firewall/ADF, IPv6', family: 'ipv6' },
  { ...STRICT_FIREWALL, name: 'firewall/APDF, IPv6', family: 'ipv6' },
  { ...NINE_CELLS[2]!, name: 'NAT66 EIM/APDF', family: 'ipv6' },
  { ...NINE_CELLS[7]!, name: 'NAT66 APDM/ADF', family: 'ipv6' },
];

export const BLOCKED: readonly Scenario[] = [
  blocked('UDP blocked both ways', [{ kind: 'udp-block', blocked: 'both' }]),
  blocked('UDP blocked on the way out', [{ kind: 'udp-block', blocked: 'outbound' }]),
  blocked('UDP blocked on the way in', [{ kind: 'udp-block', blocked: 'inbound' }]),
  blocked('UDP rejected', [{ kind: 'udp-block', blocked: 'both', rejects: true }]),
  blocked('UDP blocked behind a Linux router', [LINUX, { kind: 'udp-block', blocked: 'both' }]),
];

/** Everything that lets UDP through. */
export const PASSING: readonly Scenario[] = [
  ...ALL_CELLS,
  ...WITHOUT_NAT,
  ...LINUX_ROUTERS,
  ...LAYERED,
  ...POOLS,
  ...IPV6,
];

function cellsWith(portsName: string, ports: PortAllocation): Scenario[] {
  return DEPENDENCES.flatMap((mapping) =>
    DEPENDENCES.map((filtering) =>
      scenario(
        `${MAPPING_NAMES[mapping]}/${FILTERING_NAMES[filtering]}, ${portsName}`,
        [nat(mapping, filtering, { ports })],
        mapping,
        filtering,
      ),
    ),
  );
}

function nat(
  mapping: Dependence,
  filtering: Dependence,
  more: Partial<NatBehaviour> = {},
  poolSize = 1,
): Layer & { kind: 'nat' } {
  return { kind: 'nat', behaviour: { mapping, filtering, ports: { kind: 'random' }, ...more }, poolSize };
}

function scenario(name: string, layers: readonly Layer[], mapping: Mapping, filtering: Filtering): Scenario {
  const truth: Truth = { type: natTypeOf(mapping, filtering), mapping, filtering };
  return { name, family: 'ipv4', layers, truth };
}

function blocked(name: string, layers: readonly Layer[]): Scenario {
  const truth: Truth = { type: 'udp-blocked', mapping: 'unknown', filtering: 'unknown' };
  return { name, family: 'ipv4', layers, truth };
}
