import { describe, expect, it } from 'vitest';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { assessPooling, type PoolingAxis } from '../../shared/nat/pooling.ts';
import { classifyIn, verdictOf } from './classify.ts';
import { inquireIn } from './inquire.ts';
import type { Dependence, NatBehaviour } from './nat.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Conditions, type Layer } from './scenario.ts';

const PRESERVED: PortAllocation = { kind: 'preserve', onCollision: 'random' };
const RANDOM: PortAllocation = { kind: 'random' };

function measure(layer: Layer, conditions: Conditions): PoolingAxis {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld({ name: 'pooling', family: 'ipv4', layers: [layer], truth }, conditions);
  return assessPooling(inquireIn(world, planPorts({ server: world.server.primary })).result!.evidence);
}

function natWith(
  mapping: Dependence,
  ports: PortAllocation,
  poolSize: number,
  pooling: NatBehaviour['pooling'] & string = 'arbitrary',
): Layer {
  return {
    kind: 'nat',
    poolSize,
    behaviour: { mapping, filtering: 'address-and-port-dependent', ports, pooling },
  };
}

function uplinks(balance: 'destination' | 'flow', ports: PortAllocation): Layer {
  const behaviour = {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports,
  } as const;
  return { kind: 'two-uplinks', balance, behaviour };
}

/** Each box, and what it should be told as: the value, what decides, and whether the port stays. */
const TRUTHS: readonly (readonly [string, Layer, string])[] = [
  ['EIM', natWith('endpoint-independent', RANDOM, 1), 'single'],
  ['APDM', natWith('address-and-port-dependent', RANDOM, 1), 'single'],
  ['EIM, paired pool of 4', natWith('endpoint-independent', RANDOM, 4, 'paired'), 'single'],
  ['EIM, pool of 2', natWith('endpoint-independent', RANDOM, 2), 'arbitrary, port kept'],
  ['EIM, pool of 16', natWith('endpoint-independent', PRESERVED, 16), 'arbitrary, port kept'],
  ['APDM, pool of 2', natWith('address-and-port-dependent', RANDOM, 2), 'arbitrary'],
  ['APDM, pool of 16', natWith('address-and-port-dependent', RANDOM, 16), 'arbitrary'],
  ['ADM, pool of 4', natWith('address-dependent', RANDOM, 4), 'arbitrary'],
  ['uplinks by destination', uplinks('destination', PRESERVED), 'two-uplinks by destination, port kept'],
  ['uplinks by destination, random', uplinks('destination', RANDOM), 'two-uplinks by destination'],
  ['uplinks by flow', uplinks('flow', PRESERVED), 'two-uplinks by flow, port kept'],
  ['uplinks by flow, random', uplinks('flow', RANDOM), 'two-uplinks by flow'],
];

function saidBy({ value, by, portKept }: PoolingAxis): string {
  return `${value}${by === undefined ? '' : ` by ${by}`}${portKept === true ? ', port kept' : ''}`;
}

function missesOf(conditions: Omit<Conditions, 'seed'>, seeds: number): string[] {
  return TRUTHS.flatMap(([name, layer, truth]) =>
    Array.from({ length: seeds }, (_, index) => index + 1).flatMap((seed) => {
      const said = saidBy(measure(layer, { ...conditions, seed }));
      return said === truth ? [] : [`${name}, seed ${seed}: ${said}`];
    }),
  );
}

describe('the pooling axis', () => {
  it('tells pools and uplinks', () => {
    expect(missesOf({ rttMs: 50 }, 10)).toEqual([]);
  });

  it('at 10 % loss each way as well', () => {
    expect(missesOf({ rttMs: 50, rough: { loss: { kind: 'independent', probability: 0.1 } } }, 10)).toEqual(
      [],
    );
  });

  it('does not tell a pool from uplinks where the server has one address', () => {
    const axis = measure(natWith('endpoint-independent', RANDOM, 4), {
      seed: 1,
      rttMs: 50,
      oneAddress: true,
    });
    expect(axis).toMatchObject({ value: 'unknown', confidence: 0, reasons: [{ code: 'pooling-undecided' }] });
    expect(axis.addresses.length).toBeGreaterThan(1);
  });

  it('is hinted at by the verdict, where a socket’s port is the same on every address', () => {
    const hinted = (layer: Layer): boolean => {
      const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
      const scenario = { name: 'pooling', family: 'ipv4', layers: [layer], truth } as const;
      const verdict = verdictOf(classifyIn(buildWorld(scenario, { seed: 1, rttMs: 50 })))!;
      expect(verdict.type).toBe('symmetric');
      return verdict.reasons.some(({ code }) => code === 'mapping-several-addresses');
    };
    expect(hinted(uplinks('destination', PRESERVED))).toBe(true);
    expect(hinted(natWith('address-and-port-dependent', RANDOM, 16))).toBe(false);
    expect(hinted(natWith('address-dependent', RANDOM, 1))).toBe(false);
  });

  it('says nothing where nothing answers', () => {
    const axis = measure({ kind: 'udp-block', blocked: 'both' }, { seed: 1, rttMs: 50 });
    expect(axis).toMatchObject({ value: 'unknown', addresses: [], reasons: [{ code: 'pooling-few' }] });
  });
});
