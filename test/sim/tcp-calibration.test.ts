/** What is predicted of punches over TCP from measured reports, held against what becomes of them. */
import { describe, expect, it } from 'vitest';
import {
  COUNTING_GATEWAYS,
  type GatewayPair,
  measureGateway,
  pairsOf,
  TCP_GATEWAYS,
} from './tcp-gateways.ts';
import type { KnownTcpSide, TcpPunchRun } from './tcp-punch.ts';
import { punchOverTcp } from './tcp-punch.ts';

const RTT_MS = 50;
const LOSS = 0.05;
const GATEWAYS = [...TCP_GATEWAYS, ...COUNTING_GATEWAYS];

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('a prediction over TCP', () => {
  it('from measured reports comes true as often as it says, over every third pair of the grid at 5 % loss', () => {
    const reports = GATEWAYS.map((gateway, index) =>
      measureGateway(gateway, { seed: index + 1, rttMs: RTT_MS, loss: LOSS }),
    );
    const known = new Map(GATEWAYS.map((gateway, index) => [gateway, reports[index]!]));
    const punch = ([a, b]: GatewayPair, seed: number): TcpPunchRun => {
      const knownOf: Record<'a' | 'b', KnownTcpSide> = { a: known.get(a)!, b: known.get(b)! };
      return punchOverTcp({ seed, rttMs: RTT_MS, loss: LOSS, skewMs: 10, a, b, knownOf });
    };
    const pairs = pairsOf(GATEWAYS).filter((_, index) => index % 3 === 0);
    const outcomes = pairs.map((pair, index) => {
      const { predicted, carries } = punch(pair, index + 1);
      return { predicted, actual: carries ? 1 : 0 };
    });
    expect(outcomes.length).toBeGreaterThan(150);
    const brier = mean(outcomes.map(({ predicted, actual }) => (predicted - actual) ** 2));
    expect(brier).toBeLessThan(0.01);
    const off = mean(outcomes.map(({ actual }) => actual)) - mean(outcomes.map(({ predicted }) => predicted));
    expect(Math.abs(off)).toBeLessThan(0.02);
  });
});
