/** Punches over TCP through simulated NATs: what is predicted connects, the rest says why it doesn't. */
import { describe, expect, it } from 'vitest';
import { behaviourOf } from '../../shared/punch/behaviour.ts';
import { predictTcp } from '../../shared/punch/tcp-predict.ts';
import { type GatewayPair, knownOf, nameGateway, pairsOf, TCP_GATEWAYS } from './tcp-gateways.ts';
import type { TcpGateway } from './tcp-hosts.ts';
import { punchOverTcp, type TcpPunchOptions, type TcpPunchRun } from './tcp-punch.ts';

const RTT_MS = 50;
const STRICT = { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' } as const;
const PAIRS = pairsOf(TCP_GATEWAYS);

function punch([a, b]: GatewayPair, more: Partial<TcpPunchOptions> = {}): TcpPunchRun {
  const knownSides = { a: knownOf(a), b: knownOf(b) };
  return punchOverTcp({ seed: 1, rttMs: RTT_MS, skewMs: 10, a, b, knownOf: knownSides, ...more });
}

function nameOf(pair: GatewayPair): string {
  return pair.map(nameGateway).join(' × ');
}

function chanceOf([a, b]: GatewayPair): number {
  return predictTcp(knownOf(a).behaviour, knownOf(b).behaviour).probability;
}

/** Below that it takes SYNs that cross. */
const LEAST_SURE = 0.97;
const EXPECTED = PAIRS.filter((pair) => chanceOf(pair) > LEAST_SURE);
const CROSSING = PAIRS.filter((pair) => chanceOf(pair) > 0 && chanceOf(pair) <= LEAST_SURE);
const HOPELESS = PAIRS.filter((pair) => chanceOf(pair) === 0);

describe('over TCP two punchers', () => {
  it.each([
    [0, 450],
    [0.05, 8000],
  ])('connect behind every pair that should let them, at a loss of %d within %d ms', (loss, withinMs) => {
    expect(EXPECTED.length).toBeGreaterThan(200);
    for (const pair of EXPECTED) {
      for (const seed of [1, 2, 3]) {
        const { opened, carries, tookMs, events } = punch(pair, { seed, loss });
        const what = `${nameOf(pair)}, seed ${seed}: ${JSON.stringify(events)}`;
        expect([what, opened?.a.path, opened?.b.path, carries]).toEqual([what, 'direct', 'direct', true]);
        expect([what, tookMs <= withinMs]).toEqual([what, true]);
      }
    }
  });

  it('connect where both NATs refuse what comes early, if the way is longer than the skew', () => {
    expect(CROSSING.length).toBeGreaterThan(5);
    for (const pair of CROSSING) {
      for (const seed of [1, 2, 3])
        expect([nameOf(pair), punch(pair, { seed }).carries]).toEqual([nameOf(pair), true]);
    }
  });

  it.each(['ignored', 'reset'] as const)(
    'connect in sequence where no system takes a SYN for what it calls itself: %s',
    (crossing) => {
      const later = EXPECTED.filter((pair) => {
        const { carries, opened } = punch(pair, { crossing });
        expect([nameOf(pair), carries]).toEqual([nameOf(pair), true]);
        return opened!.a.attempt > 1;
      });
      // Who can be called by anybody needs nothing of the sort.
      expect(later.length).toBeGreaterThan(20);
      expect(EXPECTED.length - later.length).toBeGreaterThan(50);
    },
  );

  it('fail with the reason, within the budget, where no port can be known', () => {
    expect(HOPELESS.length).toBeGreaterThan(20);
    for (const pair of HOPELESS) {
      const run = punch(pair);
      expect([nameOf(pair), run.opened]).toEqual([nameOf(pair), undefined]);
      for (const events of [run.events.a, run.events.b]) {
        expect(events).toHaveLength(1);
        expect(events[0]).toMatchObject({ kind: 'failed', attempt: 1 });
        const code = events[0]!.kind === 'failed' ? events[0]!.reason.code : '';
        expect(['refused', 'nothing-heard']).toContain(code);
      }
      expect(run.tookMs).toBeLessThan(4400);
    }
  });

  it('connect though nothing is known of TCP but what UDP shows, in later attempts if need be', () => {
    const strict = { behaviour: behaviourOf(STRICT) };
    for (const unsolicited of ['dropped', 'reset', 'icmp'] as const) {
      for (const other of ['dropped', 'reset'] as const) {
        const gateways = [unsolicited, other].map((one) => {
          return { ...STRICT, unsolicited: one };
        }) as [TcpGateway, TcpGateway];
        const run = punch(gateways, { knownOf: { a: strict, b: strict }, skewMs: 40 });
        expect([unsolicited, other, run.carries]).toEqual([unsolicited, other, true]);
      }
    }
  });
});
