import { describe, expect, it } from 'vitest';
import type { InterfaceEvidence } from '../../shared/nat/evidence.ts';
import { assessLayers, endpointsOf, type LayersAxis } from '../../shared/nat/layers.ts';
import { classifyIn } from './classify.ts';
import { searchPortMappers, startPortMapper } from './port-mapper.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';

const ROUTER = '10.0.0.1';
const PUBLIC = '203.0.113.1';
const SHARED = '100.64.1.2';
const NAT: Layer = {
  kind: 'nat',
  behaviour: {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports: { kind: 'random' },
  },
};

interface Case {
  readonly layers: readonly Layer[];
  /** Of the box nearest to the client, where another one is outside. */
  readonly innerOutside?: string;
  /** What its port mapper says; left out where it has none. */
  readonly says?: string;
}

/** Each way through, and what it should be told as: the value, or the reason why not. */
const TRUTHS: readonly (readonly [string, Case, string])[] = [
  ['no NAT', { layers: [] }, 'none'],
  ['a firewall', { layers: [{ kind: 'firewall', filtering: 'address-dependent' }] }, 'none'],
  ['one router', { layers: [NAT], says: PUBLIC }, 'one-nat'],
  ['a carrier’s NAT', { layers: [NAT, NAT], says: SHARED }, 'cgn'],
  [
    'a carrier’s NAT with other people’s addresses',
    { layers: [NAT, NAT], innerOutside: '25.0.0.2', says: '25.0.0.2' },
    'cgn',
  ],
  [
    'two routers of a house',
    { layers: [NAT, NAT], innerOutside: '192.168.0.2', says: '192.168.0.2' },
    'double-nat',
  ],
  ['a router without outer address', { layers: [NAT, NAT], says: '0.0.0.0' }, 'double-nat'],
  ['a router without port mapper', { layers: [NAT, NAT] }, 'layers-uncounted'],
];

const LOSSES: readonly [string, Partial<Conditions>][] = [
  ['without loss', {}],
  [
    'at 10 % loss on both sides of the router',
    {
      rough: { loss: { kind: 'independent', probability: 0.1 } },
      access: { loss: { kind: 'independent', probability: 0.1 } },
    },
  ],
];

function measure({ layers, innerOutside, says }: Case, conditions: Conditions): LayersAxis {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld(
    { name: 'layers', family: 'ipv4', layers, truth },
    { ...conditions, ...(innerOutside === undefined ? {} : { innerOutside }) },
  );
  if (says !== undefined) startPortMapper(world.lan, ROUTER, says);
  const endpoints = endpointsOf(classifyIn(world).result!.evidence)!;
  const path: InterfaceEvidence = {
    kind: 'interface',
    name: 'eth0',
    interfaceKind: 'ethernet',
    address: endpoints.local.address,
    onPath: true,
    gateway: ROUTER,
  };
  const mappers = layers.length === 0 ? [] : searchPortMappers(world.client, ROUTER);
  return assessLayers([endpoints, path, ...mappers]);
}

describe('the layers axis', () => {
  for (const [name, conditions] of LOSSES) {
    it(`tells how many NATs there are, and whose, ${name}`, () => {
      const misses = TRUTHS.flatMap(([what, layers, truth]) =>
        Array.from({ length: 10 }, (_, index) => index + 1).flatMap((seed) => {
          const { value, reasons } = measure(layers, { seed, rttMs: 20, ...conditions });
          const said = value === 'unknown' ? reasons[0]!.code : value;
          return said === truth ? [] : [`${what}, seed ${seed}: ${said}`];
        }),
      );
      expect(misses).toEqual([]);
    });
  }
});
