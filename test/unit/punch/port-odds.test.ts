/** What guessing ports costs, against the figures of theory and of what was measured with netfilter. */
import { describe, expect, it } from 'vitest';
import { chanceOfMeeting } from '../../../shared/punch/meeting.ts';
import {
  chanceOfHit,
  type Draw,
  LOW_PORT_ODDS,
  portOddsOf,
  portsToDraw,
  UNKNOWN_ODDS,
} from '../../../shared/punch/port-odds.ts';
import type { WeightedLaw } from '../../../shared/nat/port-law.ts';
import { portsOf } from './reports.ts';

const BLOCK = portOddsOf(
  portsOf(
    'block',
    { kind: 'uniform', first: 2048, last: 3071, sameParity: false },
    { block: { first: 2048, size: 1024 } },
  ),
);

function sequential(mappingsPerSecond: number) {
  const skips = { shape: mappingsPerSecond * 100, rate: 100_000 };
  return portOddsOf(
    portsOf('sequential', { kind: 'after-last', delta: 2, last: 9000, agoMs: 0, skips }, { delta: 2 }),
  );
}

describe('the birthday', () => {
  it.each([
    [174, 0.49],
    [512, 0.87],
    [1024, 0.982],
    [1750, 0.999],
  ])('of 256 sockets among all ports and %i probes hits in a share of %d', (probes, share) => {
    // The figures were counted with 65536 ports, and NATs leave the well-known ones out.
    expect(Math.abs(chanceOfHit(UNKNOWN_ODDS, 256, probes) - share)).toBeLessThan(0.01);
  });

  it('of 64 sockets in a block of 1024 and 64 probes hits in 98.6 %', () => {
    expect(chanceOfHit(BLOCK, 64, 64)).toBeCloseTo(0.986, 3);
  });

  it('is certain once every port has been tried, and not before', () => {
    expect(chanceOfHit(BLOCK, 1, 1024)).toBeCloseTo(1, 9);
    expect(chanceOfHit(BLOCK, 1, 1023)).toBeCloseTo(1023 / 1024, 9);
    expect(chanceOfHit(LOW_PORT_ODDS, 1, 424)).toBe(1);
    expect(chanceOfHit(UNKNOWN_ODDS, 1, 0)).toBe(0);
  });

  it('agrees with draws made one by one', () => {
    // 16 of 424 ports, 40 probes: 1 - C(384, 16) / C(424, 16).
    let missing = 1;
    for (let drawn = 0; drawn < 16; drawn++) missing *= (384 - drawn) / (424 - drawn);
    expect(chanceOfHit(LOW_PORT_ODDS, 16, 40)).toBeCloseTo(1 - missing, 12);
  });
});

describe('a counted port', () => {
  it('is the first guess where nobody else makes mappings', () => {
    expect(chanceOfHit(sequential(0.01), 1, 1)).toBeGreaterThan(0.99);
  });

  it('takes more guesses the busier others are', () => {
    const chances = [0.01, 5, 50].map((rate) => chanceOfHit(sequential(rate), 1, 3));
    expect(chances).toEqual(chances.toSorted((a, b) => b - a));
    expect(chances[2]).toBeLessThan(0.5);
    expect(chanceOfHit(sequential(50), 1, 64)).toBeGreaterThan(0.99);
  });

  it('is not found by more sockets', () => {
    expect(chanceOfHit(sequential(50), 256, 3)).toBe(chanceOfHit(sequential(50), 1, 3));
  });
});

describe('packets that have to meet', () => {
  it('do so where both sides count, mostly', () => {
    expect(chanceOfMeeting(sequential(0.1), sequential(0.1), 1)).toBeGreaterThan(0.9);
  });

  it('do so hardly ever where both draw from all ports', () => {
    expect(chanceOfMeeting(UNKNOWN_ODDS, UNKNOWN_ODDS, 1000)).toBeLessThan(0.001);
  });

  it('are the same the other way round', () => {
    expect(chanceOfMeeting(BLOCK, sequential(5), 300)).toBeCloseTo(
      chanceOfMeeting(sequential(5), BLOCK, 300),
      12,
    );
  });
});

describe('the ports that are drawn from', () => {
  const situation = { localPort: 40_000, ownPort: 20_000, afterMs: 0 };
  const drawnFrom = (laws: readonly WeightedLaw[], draw?: Draw) =>
    portsToDraw({ model: { newSocket: laws, newEndpoint: laws } }, situation, 1024, draw);
  const everywhere = { kind: 'uniform', first: 1024, last: 65_535, sameParity: false } as const;

  it('are all that are about as likely, also where a few are likelier by a hair', () => {
    const [first, last] = [10_000, 24_999];
    const hair = { kind: 'uniform', first, last: 14_999, sameParity: false } as const;
    const spread = { kind: 'uniform', first, last, sameParity: false } as const;
    expect(
      drawnFrom([
        { weight: 0.98, law: spread },
        { weight: 0.02, law: hair },
      ]),
    ).toEqual([{ first, last, step: 1 }]);
  });

  it('are the likeliest alone where others would take their turns', () => {
    const block = { kind: 'uniform', first: 2048, last: 2948, sameParity: false } as const;
    for (const draw of [undefined, 'elsewhere', 'later'] as const) {
      const ports = drawnFrom(
        [
          { weight: 0.99, law: block },
          { weight: 0.01, law: everywhere },
        ],
        draw,
      );
      expect(ports.reduce((count, range) => count + range.last - range.first + 1, 0)).toBe(1024);
      expect(ports.some(({ first, last }) => first <= 2048 && last >= 2948)).toBe(true);
    }
  });

  it('are more once the likeliest were wrong', () => {
    const [first, last] = [11_000, 24_999];
    const guess = { kind: 'uniform', first: 12_000, last: 13_999, sameParity: false } as const;
    const laws = [
      { weight: 0.9, law: { kind: 'uniform', first, last, sameParity: false } },
      { weight: 0.1, law: guess },
    ] as const;
    expect(drawnFrom(laws).every((range) => range.first >= 12_000 && range.last <= 13_999)).toBe(true);
    expect(drawnFrom(laws, 'later')).toEqual([{ first, last, step: 1 }]);
  });

  it('are not those alone that one address seems to have had, where another one’s are to be drawn', () => {
    const [first, last] = [10_000, 24_999];
    const crowd = { kind: 'uniform', first: 9000, last: 12_999, sameParity: false } as const;
    const laws = [
      { weight: 0.87, law: { kind: 'uniform', first, last, sameParity: false } },
      { weight: 0.13, law: crowd },
    ] as const;
    expect(drawnFrom(laws).at(-1)!.last).toBe(12_999);
    expect(drawnFrom(laws, 'elsewhere').at(-1)!.last).toBe(last);
    // As measured where most samples were towards one address.
    const block = { kind: 'uniform', first: 9216, last: 13_311, sameParity: false } as const;
    const misled = [
      { weight: 0.72, law: block },
      { weight: 0.2, law: { kind: 'uniform', first, last, sameParity: false } },
      { weight: 0.08, law: everywhere },
    ] as const;
    expect(drawnFrom(misled, 'elsewhere')).toEqual([{ first: 9216, last: 13_311, step: 1 }]);
    expect(drawnFrom(misled, 'elsewhereLater')).toEqual([{ first: 9216, last, step: 1 }]);
  });
});
