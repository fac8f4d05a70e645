import { describe, expect, it } from 'vitest';
import { planPortMapping, PORT_MAPPING_TIMEOUT_MS } from '../../probe/classify/inquiries/port-mapping.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import {
  assessPortMapping,
  PORT_MAPPING_SOCKETS,
  type PortMappingAxis,
} from '../../shared/nat/port-mapping.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence } from './nat.ts';
import { buildWorld, type Conditions, type Layer, type World } from './scenario.ts';

const INTERNAL: Endpoint = { address: '10.0.0.2', port: 41_000 };
const EXTERNAL_PORT = 45_678;
/** The mapped port of a router that another one is outside of. */
const INNER_OUTSIDE: Endpoint = { address: '100.64.1.2', port: EXTERNAL_PORT };

const FILTERINGS: readonly Dependence[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

interface Run {
  readonly axis: PortMappingAxis;
  readonly evidence: readonly Evidence[];
  readonly tookMs: number;
  readonly world: World;
}

function verify(layers: readonly Layer[], conditions: Conditions): Run {
  const world = buildWorld(
    {
      name: 'port-mapping',
      family: 'ipv4',
      layers,
      truth: { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' },
    },
    conditions,
  );
  const plan = planPortMapping({ server: world.server.primary, externalPort: EXTERNAL_PORT });
  const { result, tookMs } = inquireIn(world, plan, {
    localPort: INTERNAL.port,
    timeoutMs: PORT_MAPPING_TIMEOUT_MS,
  });
  return { axis: assessPortMapping(result!.evidence), evidence: result!.evidence, tookMs, world };
}

function router(filtering: Dependence, mapped: boolean, to = INTERNAL): Layer {
  return {
    kind: 'nat',
    behaviour: {
      mapping: 'address-and-port-dependent',
      filtering,
      ports: { kind: 'random' },
      ...(mapped ? { forwards: new Map([[EXTERNAL_PORT, to]]) } : {}),
    },
  };
}

const LOSSES = [
  ['without loss', 20, {}],
  ['at 10 % loss each way', 100, { rough: { loss: { kind: 'independent', probability: 0.1 } } }],
] as const;

for (const [name, seeds, rough] of LOSSES) {
  describe(`a mapped port, ${name}`, () => {
    it.each(FILTERINGS)('is reached through a NAT of %s filtering', (filtering) => {
      for (let seed = 1; seed <= seeds; seed += 1) {
        const { axis, world } = verify([router(filtering, true)], { seed, rttMs: 20, ...rough });
        expect(axis, `seed ${seed}`).toMatchObject({
          value: 'reachable',
          confidence: 1,
          public: { address: '203.0.113.1', port: EXTERNAL_PORT },
          heardFrom: world.server.endpoints[3],
        });
      }
    });

    it.each(FILTERINGS)('that isn’t is not called reached behind %s filtering', (filtering) => {
      const undecided: number[] = [];
      for (let seed = 1; seed <= seeds; seed += 1) {
        const { axis } = verify([router(filtering, false)], { seed, rttMs: 20, ...rough });
        expect(axis.value, `seed ${seed}`).not.toBe('reachable');
        if (axis.value === 'unknown') undecided.push(seed);
        else expect(axis.confidence).toBeGreaterThanOrEqual(0.999);
      }
      expect(undecided).toEqual([]);
    });

    it('is not reached where another NAT is outside, and is where that one has it mapped too', () => {
      const inner = router('address-and-port-dependent', true);
      for (let seed = 1; seed <= seeds; seed += 1) {
        const conditions = { seed, rttMs: 20, ...rough };
        const found = [false, true].map((isMapped) => {
          const outer = router('address-and-port-dependent', isMapped, INNER_OUTSIDE);
          return verify([inner, outer], conditions).axis.value;
        });
        expect(found, `seed ${seed}`).toEqual(['unreachable', 'reachable']);
      }
    });
  });
}

describe('the question about a mapped port', () => {
  it('comes from an endpoint that nothing here has sent to, where no packet is lost', () => {
    const { evidence, tookMs, world } = verify([router('endpoint-independent', true)], {
      seed: 1,
      rttMs: 20,
    });
    const sentTo = evidence.flatMap((item) => (item.kind === 'binding' ? [item.to] : []));
    expect(sentTo).toEqual([world.server.primary, world.server.primary]);
    const senders = evidence.flatMap((item) => (item.kind === 'binding' ? [item.socket] : []));
    expect(new Set(senders)).toEqual(new Set([PORT_MAPPING_SOCKETS.asker]));
    // Contact and question: two round trips, and the pace.
    expect(tookMs).toBeLessThanOrEqual(50);
  });

  it('is asked of a server with one address by its other port', () => {
    const conditions = { seed: 1, rttMs: 20, oneAddress: true };
    const { axis, world } = verify([router('address-and-port-dependent', true)], conditions);
    expect(axis).toMatchObject({ value: 'reachable', heardFrom: world.server.endpoints[1] });
    const without = verify([router('address-and-port-dependent', false)], conditions);
    expect(without.axis.value).toBe('unreachable');
  });

  it.each(['ignores-response-port', 'refuses-response-port'] as const)(
    'tells nothing with a server that %s',
    (kind) => {
      const conditions = { seed: 1, rttMs: 20, server: { kind } };
      const { axis, tookMs } = verify([router('endpoint-independent', true)], conditions);
      expect(axis.reasons.map(({ code }) => code)).toEqual(['port-mapping-unsupported']);
      expect(tookMs).toBeLessThanOrEqual(50);
    },
  );

  it('that is answered without receipts counts when it is heard, and tells nothing when not', () => {
    const conditions = { seed: 1, rttMs: 20, server: { kind: 'rfc5780' } } as const;
    expect(verify([router('address-dependent', true)], conditions).axis.value).toBe('reachable');
    const { axis } = verify([router('address-dependent', false)], conditions);
    expect(axis.reasons.map(({ code }) => code)).toEqual(['port-mapping-open']);
  });

  it('stays open where the server is not there', () => {
    const { axis } = verify([{ kind: 'udp-block', blocked: 'outbound' }], { seed: 1, rttMs: 20 });
    expect(axis.reasons.map(({ code }) => code)).toEqual(['no-answer']);
  });
});
