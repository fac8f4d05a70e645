import { describe, expect, it } from 'vitest';
import { planCollisions } from '../../probe/classify/inquiries/collisions.ts';
import { planPorts } from '../../probe/classify/inquiries/ports.ts';
import { assessCollisions, type CollisionsAxis } from '../../shared/nat/collisions.ts';
import { assessPooling } from '../../shared/nat/pooling.ts';
import { inquireIn } from './inquire.ts';
import type { NatBehaviour } from './nat.ts';
import type { PortAllocation } from './ports.ts';
import { buildWorld, type Conditions, type Layer, type World } from './scenario.ts';

const FROM = '10.0.0.2';
const ALSO = '10.0.0.3';

function buildLan(layer: Layer, conditions: Conditions): World {
  const truth = { type: 'inconclusive', mapping: 'unknown', filtering: 'unknown' } as const;
  const world = buildWorld({ name: 'collisions', family: 'ipv4', layers: [layer], truth }, conditions);
  world.client.addAddress(ALSO);
  return world;
}

function collect(layer: Layer, conditions: Conditions) {
  const world = buildLan(layer, conditions);
  const context = { server: world.server.primary, from: FROM, also: ALSO };
  return inquireIn(world, planCollisions(context)).result!.evidence;
}

function natWith(ports: PortAllocation, more: Partial<NatBehaviour> = {}, poolSize = 1): Layer {
  const behaviour = {
    mapping: 'endpoint-independent',
    filtering: 'endpoint-independent',
    ports,
    ...more,
  } as const;
  return { kind: 'nat', behaviour, poolSize };
}

const PRESERVE_RANDOM: PortAllocation = { kind: 'preserve', onCollision: 'random' };
const TRUTHS: readonly (readonly [string, Layer, string])[] = [
  [
    'preserved, else the next',
    natWith({ kind: 'preserve', onCollision: 'sequential' }),
    'reassigned, sequential',
  ],
  ['preserved, else random', natWith(PRESERVE_RANDOM), 'reassigned, random'],
  ['a Linux router', { kind: 'linux-router', inputDrop: true }, 'overloaded, random'],
  ['a Linux router without drop', { kind: 'linux-router', inputDrop: false }, 'overloaded, random'],
  ['random', natWith({ kind: 'random' }), 'not-preserved'],
  ['sequential', natWith({ kind: 'sequential', first: 2000, delta: 1 }), 'not-preserved'],
];

function saidBy({ value, then }: CollisionsAxis): string {
  return then === undefined ? value : `${value}, ${then}`;
}

function missesOf(conditions: Omit<Conditions, 'seed'>): string[] {
  return TRUTHS.flatMap(([name, layer, truth]) =>
    Array.from({ length: 10 }, (_, index) => index + 1).flatMap((seed) => {
      const said = saidBy(assessCollisions(collect(layer, { ...conditions, seed })));
      return said === truth ? [] : [`${name}, seed ${seed}: ${said}`];
    }),
  );
}

describe('the collisions axis', () => {
  it('tells what becomes of a port that another inside host holds', () => {
    expect(missesOf({ rttMs: 50 })).toEqual([]);
  });

  it('at 10 % loss each way as well', () => {
    expect(missesOf({ rttMs: 50, rough: { loss: { kind: 'independent', probability: 0.1 } } })).toEqual([]);
  });

  it('says that inside addresses with public addresses of their own don’t meet, which pooling calls paired', () => {
    const layer = natWith(PRESERVE_RANDOM, { pooling: 'paired' }, 16);
    for (const conditions of [{}, { rough: { loss: { kind: 'independent', probability: 0.1 } } }] as const) {
      const evidence = collect(layer, { seed: 1, rttMs: 50, ...conditions });
      expect(assessCollisions(evidence)).toMatchObject({
        value: 'unknown',
        reasons: [{ code: 'collisions-apart' }],
      });
      expect(assessPooling(evidence)).toMatchObject({ value: 'paired', addresses: { length: 2 } });
    }
  });

  it('says that an address that this machine has not tells nothing', () => {
    const world = buildLan(natWith(PRESERVE_RANDOM), { seed: 1, rttMs: 50 });
    const context = { server: world.server.primary, from: FROM, also: '10.0.0.99' };
    const { result } = inquireIn(world, planCollisions(context));
    expect(assessCollisions(result!.evidence)).toMatchObject({
      value: 'unknown',
      pairs: 0,
      reasons: [{ code: 'collisions-one-address' }],
    });
  });

  it('without a second inside address says what was seen by chance', () => {
    const world = buildLan(natWith(PRESERVE_RANDOM), { seed: 1, rttMs: 50 });
    const { result } = inquireIn(world, planPorts({ server: world.server.primary }));
    expect(assessCollisions(result!.evidence)).toMatchObject({
      value: 'unknown',
      byChance: { moved: 0, sockets: 12 },
    });
  });
});
