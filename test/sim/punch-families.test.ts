/** Peers that have both families: the better one is taken, and the other where that leads nowhere. */
import { describe, expect, it } from 'vitest';
import { familyOf } from '../../shared/endpoint.ts';
import { behaviourOf, type PunchBehaviour } from '../../shared/punch/behaviour.ts';
import { LINUX_WITH_DROP } from './cells.ts';
import { type KnownSide, punchIn, type PunchRun } from './punch.ts';
import { countOpen, FIREWALLS, known, RTT_MS, SEEDS, STRICT, symmetric } from './punch-runs.ts';
import { buildPunchWorld } from './punch-world.ts';
import type { Layer } from './scenario.ts';

const RANDOM = symmetric({ kind: 'random' });
const FIREWALL: Layer = { kind: 'firewall', filtering: 'address-and-port-dependent' };
const BLOCKED: Layer = { kind: 'udp-block', blocked: 'both' };
const SYMMETRIC = behaviourOf({
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
});
const CONE = known(LINUX_WITH_DROP).behaviour;

/** With IPv6 firewalled on both sides, as each believes. */
function dual(
  [a, b]: readonly [Layer, Layer],
  ipv4: PunchBehaviour,
  ipv6: readonly [Layer[], Layer[]],
  seed: number,
): PunchRun {
  const setup = { seed, rttMs: RTT_MS, a: [a], b: [b], ipv6: { a: ipv6[0], b: ipv6[1] } };
  const otherFamily = { ...known(FIREWALLS[1]!).behaviour, family: 'ipv6' as const };
  const side: KnownSide = { behaviour: { ...ipv4, family: 'ipv4', otherFamily } };
  return punchIn(buildPunchWorld(setup), { a: side, b: side, skewMs: 10 });
}

function families(runs: readonly PunchRun[]): Set<string> {
  return new Set(
    runs.flatMap(({ holes }) => [holes!.a, holes!.b].map(({ remote }) => familyOf(remote.address))),
  );
}

describe('two punchers with both families', () => {
  it('open over IPv6 between firewalls, though over IPv4 nothing does', () => {
    const runs = SEEDS.map((seed) => dual([RANDOM, RANDOM], SYMMETRIC, [[FIREWALL], [FIREWALL]], seed));
    expect(countOpen(runs)).toEqual({ open: 10, by: ['plain'] });
    expect(families(runs)).toEqual(new Set(['ipv6']));
    expect(Math.min(...runs.map(({ predicted }) => predicted))).toBeGreaterThan(0.9);
    expect(Math.max(...runs.map(({ tookMs }) => tookMs))).toBeLessThan(2.5 * RTT_MS);
  });

  it('open over IPv6 where either would do', () => {
    const runs = SEEDS.map((seed) => dual([STRICT, STRICT], CONE, [[FIREWALL], [FIREWALL]], seed));
    expect(countOpen(runs).open).toBe(10);
    expect(families(runs)).toEqual(new Set(['ipv6']));
  });

  it.each([
    ['on both sides', [BLOCKED], [BLOCKED]],
    ['on one side', [FIREWALL], [BLOCKED]],
  ])('fall back to IPv4 at once where IPv6 leads nowhere %s', (_where, a, b) => {
    const runs = SEEDS.map((seed) => dual([STRICT, STRICT], CONE, [a, b], seed));
    expect(countOpen(runs)).toEqual({ open: 10, by: ['plain'] });
    expect(families(runs)).toEqual(new Set(['ipv4']));
    expect(new Set(runs.map(({ holes }) => holes!.a.attempt))).toEqual(new Set([1]));
    // IPv4 begins 100 ms later.
    expect(Math.max(...runs.map(({ tookMs }) => tookMs))).toBeLessThan(100 + 2.5 * RTT_MS);
  });
});
