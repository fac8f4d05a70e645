/** What a source draws at most, and what a flood of forged sources takes from others. */
import { describe, expect, it } from 'vitest';
import { SourceAddress } from '../../../server/answer/source-address.ts';
import { LIMITER_BYTES, SourceLimiter, type SourceRates } from '../../../server/answer/source-limiter.ts';
import { Random } from '../../sim/random.ts';

const RATES: SourceRates = {
  ipv4Address: { perSecond: 10, burst: 20 },
  ipv4Network: { perSecond: 40, burst: 80 },
  ipv6Customer: { perSecond: 10, burst: 20 },
};

function sourceOf(address: string): SourceAddress {
  const source = new SourceAddress();
  expect(source.set(address, 40000)).toBe(true);
  return source;
}

function admitted(limiter: SourceLimiter, address: string, tries: number, count = 1): number {
  const source = sourceOf(address);
  return Array.from({ length: tries }, () => limiter.admit(source, count)).filter(Boolean).length;
}

describe('an IPv4 address', () => {
  it('has its burst at once, and then its rate', () => {
    const limiter = new SourceLimiter(RATES, 1);
    limiter.now = 5000;
    expect(admitted(limiter, '192.0.2.1', 100)).toBe(20);
    limiter.now += 1000;
    expect(admitted(limiter, '192.0.2.1', 100)).toBe(10);
    limiter.now += 60_000;
    expect(admitted(limiter, '192.0.2.1', 100)).toBe(20);
  });

  it('takes nothing from its neighbour, until their network has had its share', () => {
    const limiter = new SourceLimiter(RATES, 1);
    const had = Array.from({ length: 10 }, (_, host) => admitted(limiter, `192.0.2.${host + 1}`, 100));
    expect(had).toEqual([20, 20, 20, 20, 0, 0, 0, 0, 0, 0]);
    expect(admitted(limiter, '198.51.100.1', 100)).toBe(20);
  });
});

describe('an IPv6 customer', () => {
  it('is a /56, whatever addresses it sends from', () => {
    const limiter = new SourceLimiter(RATES, 1);
    expect(admitted(limiter, '2001:db8:0:aa01::1', 15)).toBe(15);
    expect(admitted(limiter, '2001:db8:0:aaff::2', 15)).toBe(5);
    expect(admitted(limiter, '2001:db8:0:ab00::1', 15)).toBe(15);
  });
});

describe('two datagrams', () => {
  it('are admitted both or neither', () => {
    const limiter = new SourceLimiter({ ...RATES, ipv4Address: { perSecond: 10, burst: 21 } }, 1);
    expect(admitted(limiter, '192.0.2.1', 100, 2)).toBe(10);
    expect(admitted(limiter, '192.0.2.1', 100, 1)).toBe(1);
  });

  it('that one of two limits refuses cost the other nothing', () => {
    const limiter = new SourceLimiter({ ...RATES, ipv4Network: { perSecond: 40, burst: 21 } }, 1);
    expect(admitted(limiter, '192.0.2.1', 20)).toBe(20);
    expect(admitted(limiter, '192.0.2.2', 5, 2)).toBe(0);
    limiter.now = 1000;
    expect(admitted(limiter, '192.0.2.2', 30)).toBe(20);
  });
});

describe('a flood', () => {
  it('in one name draws its burst and its rate, however long it lasts', () => {
    const limiter = new SourceLimiter(RATES, 7);
    const source = sourceOf('203.0.113.9');
    let drawn = 0;
    for (let ms = 0; ms < 10_000; ms++) {
      limiter.now = ms;
      for (let turn = 0; turn < 20; turn++) if (limiter.admit(source, 1)) drawn++;
    }
    expect(drawn).toBeGreaterThanOrEqual(119);
    expect(drawn).toBeLessThanOrEqual(120);
  });

  it('in random names leaves others most of theirs', () => {
    const random = new Random(11);
    const rates: SourceRates = {
      ipv4Address: { perSecond: 500, burst: 2000 },
      ipv4Network: { perSecond: 2000, burst: 8000 },
      ipv6Customer: { perSecond: 500, burst: 2000 },
    };
    const limiter = new SourceLimiter(rates, 99);
    const source = new SourceAddress();
    const honest = sourceOf('198.51.100.77');
    let refused = 0;
    // 100,000 a second for three seconds; somebody honest sends 300 a second.
    for (let ms = 0; ms < 3000; ms++) {
      limiter.now = ms;
      for (let turn = 0; turn < 100; turn++) {
        source.family = 4;
        source.bytes.set(random.bytes(4));
        limiter.admit(source, 1);
      }
      if (ms % 10 < 3 && !limiter.admit(honest, 1)) refused++;
    }
    expect(refused).toBe(0);
  });

  it('spreads over the table by a seed that nobody knows', () => {
    const shared = (seed: number): number => {
      const limiter = new SourceLimiter(
        { ...RATES, ipv4Network: { perSecond: 1e6, burst: 1e6 }, ipv4Address: { perSecond: 1, burst: 1 } },
        seed,
      );
      return Array.from({ length: 20_000 }, (_, index) =>
        admitted(limiter, `10.${index >> 14}.${(index >> 7) & 127}.${index & 127}`, 1),
      ).reduce((sum, one) => sum + one, 0);
    };
    // 20,000 names over 65,536 places: 17,200 or so fall into a place of their own or come first in theirs.
    for (const seed of [0x1b2c3d4e, 0x5f607182, 0x93a4b5c6])
      expect(Math.abs(shared(seed) - 17_233)).toBeLessThan(250);
    expect(new Set([0x1b2c3d4e, 0x5f607182, 0x93a4b5c6].map(shared)).size).toBeGreaterThan(1);
  });
});

describe('shared memory', () => {
  it('has two threads keep one limit', () => {
    const memory = new SharedArrayBuffer(LIMITER_BYTES);
    const [one, other] = [new SourceLimiter(RATES, 5, memory), new SourceLimiter(RATES, 5, memory)];
    expect(admitted(one, '192.0.2.1', 15)).toBe(15);
    expect(admitted(other, '192.0.2.1', 15)).toBe(5);
  });
});
