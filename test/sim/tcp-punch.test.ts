/** Punches over TCP through simulated NATs: what is predicted connects, the rest says why it doesn't. */
import { describe, expect, it } from 'vitest';
import { behaviourOf } from '../../shared/punch/behaviour.ts';
import { predictTcp } from '../../shared/punch/tcp-predict.ts';
import type { Dependence } from './nat.ts';
import type { TcpGateway } from './tcp-hosts.ts';
import { type KnownTcpSide, punchOverTcp, type TcpPunchOptions, type TcpPunchRun } from './tcp-punch.ts';

const EIM: Dependence = 'endpoint-independent';
const ADF: Dependence = 'address-dependent';
const APDF: Dependence = 'address-and-port-dependent';
const DEPENDENCES: readonly Dependence[] = [EIM, ADF, APDF];
const RTT_MS = 50;

const GATEWAYS: readonly TcpGateway[] = [
  ...(['none', ...DEPENDENCES] as const).flatMap((mapping) =>
    DEPENDENCES.flatMap((filtering) =>
      (['dropped', 'reset', 'icmp'] as const)
        // Who lets everybody in refuses nobody.
        .filter((unsolicited) => filtering !== EIM || unsolicited === 'dropped')
        .map((unsolicited) => ({ mapping, filtering, unsolicited })),
    ),
  ),
  { mapping: EIM, filtering: APDF, unsolicited: 'reset', tracks: true },
];
const PAIRS = GATEWAYS.flatMap((a, index) => GATEWAYS.slice(index).map((b) => [a, b] as const));

function knownOf({ mapping, filtering, unsolicited }: TcpGateway): KnownTcpSide {
  if (unsolicited === 'answers') throw new Error('no such gateway is punched through here');
  const unsolicitedSyn = filtering === EIM ? 'accepted' : unsolicited;
  const overUdp = behaviourOf({ mapping: EIM, filtering: APDF });
  return { behaviour: { ...overUdp, tcp: { mapping, filtering, confidence: 1, unsolicitedSyn } } };
}

function punch([a, b]: readonly [TcpGateway, TcpGateway], more: Partial<TcpPunchOptions> = {}): TcpPunchRun {
  const knownSides = { a: knownOf(a), b: knownOf(b) };
  return punchOverTcp({ seed: 1, rttMs: RTT_MS, skewMs: 10, a, b, knownOf: knownSides, ...more });
}

function nameOf(pair: readonly [TcpGateway, TcpGateway]): string {
  return pair
    .map((gateway) => {
      const { mapping, filtering, unsolicited, tracks = false } = gateway;
      return `${mapping}/${filtering} ${unsolicited}${tracks ? ' tracks' : ''}`;
    })
    .join(' × ');
}

function chanceOf([a, b]: readonly [TcpGateway, TcpGateway]): number {
  return predictTcp(knownOf(a).behaviour, knownOf(b).behaviour).probability;
}

const EXPECTED = PAIRS.filter((pair) => chanceOf(pair) > 0.9);
const CROSSING = PAIRS.filter((pair) => chanceOf(pair) > 0 && chanceOf(pair) <= 0.9);
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
    const strict = { behaviour: behaviourOf({ mapping: EIM, filtering: APDF }) };
    for (const unsolicited of ['dropped', 'reset', 'icmp'] as const) {
      for (const other of ['dropped', 'reset'] as const) {
        const gateways = [unsolicited, other].map((one) => {
          return { mapping: EIM, filtering: APDF, unsolicited: one };
        }) as [TcpGateway, TcpGateway];
        const run = punch(gateways, { knownOf: { a: strict, b: strict }, skewMs: 40 });
        expect([unsolicited, other, run.carries]).toEqual([unsolicited, other, true]);
      }
    }
  });
});
