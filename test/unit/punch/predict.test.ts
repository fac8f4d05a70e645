import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { behaviourOfReport, parseBehaviour, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import { predict, type Prediction } from '../../../shared/punch/predict.ts';
import { PredictionSchema } from '../../../shared/punch/schema.ts';
import { portsOf, reportOf } from './reports.ts';

const NAMES = [
  ...['open', 'fw/ADF', 'fw/APDF'],
  ...['EIM', 'ADM', 'APDM'].flatMap((mapping) => ['EIF', 'ADF', 'APDF'].map((end) => `${mapping}/${end}`)),
  ...['cone', 'inconclusive', 'udp-blocked'],
];

function predictNamed(a: string, b: string): Prediction {
  return predict(parseBehaviour(a), parseBehaviour(b));
}

const SEQUENTIAL = portsOf(
  'sequential',
  { kind: 'after-last', delta: 1, last: 9000, agoMs: 0, skips: { shape: 10, rate: 100_000 } },
  { delta: 1 },
);
const BLOCK = portsOf(
  'block',
  { kind: 'uniform', first: 2048, last: 3071, sameParity: false },
  { block: { first: 2048, size: 1024 } },
);
const RANDOM = portsOf(
  'random',
  { kind: 'uniform', first: 1024, last: 65535, sameParity: false },
  { seenRange: { first: 1100, last: 65000 } },
);

function symmetricWith(ports: typeof SEQUENTIAL): PunchBehaviour {
  return behaviourOfReport(reportOf('APDM/APDF', { axes: { ports } }));
}

const dropped = { value: 'dropped', confidence: 1, reasons: [], sent: 3, subjects: 3, changed: 0 } as const;
const STRICT = behaviourOfReport(reportOf('EIM/APDF', { axes: { unsolicited: dropped } }));
const TRACKING = behaviourOfReport(
  reportOf('EIM/APDF', { axes: { unsolicited: { ...dropped, value: 'tracked', changed: 3 } } }),
);

describe('a prediction', () => {
  it('fits its schema, and its parts fit each other, for every pair', () => {
    const schema = Compile(PredictionSchema);
    for (const a of NAMES) {
      for (const b of NAMES) {
        const prediction = predictNamed(a, b);
        expect([a, b, [...schema.Errors(prediction)]]).toEqual([a, b, []]);
        const { outcome, probability, strategy, strategies } = prediction;
        expect(strategies.at(-1)!.name).toBe('relay');
        expect(outcome === 'relay').toBe(strategy === 'relay');
        if (outcome !== 'relay')
          expect(strategies.find(({ name }) => name === strategy)).toMatchObject({ probability });
        for (const { packets, timeMs } of strategies) {
          expect(packets).toBeLessThanOrEqual(2048);
          expect(timeMs).toBeLessThanOrEqual(3000);
        }
      }
    }
  });

  it('is the same the other way round, but for who calls', () => {
    for (const a of NAMES) {
      for (const b of NAMES) {
        const [there, back] = [predictNamed(a, b), predictNamed(b, a)];
        expect([a, b, back.outcome, back.plain]).toEqual([a, b, there.outcome, there.plain]);
        expect(back.probability).toBeCloseTo(there.probability, 12);
      }
    }
  });

  const cases: [string, string, Partial<Prediction>][] = [
    ['open', 'symmetric', { outcome: 'direct', plain: true, strategy: 'reversal' }],
    ['symmetric', 'open', { outcome: 'direct', plain: true, strategy: 'direct' }],
    ['fw/APDF', 'full-cone', { outcome: 'direct', plain: true, strategy: 'direct' }],
    ['symmetric', 'restricted-cone', { outcome: 'likely', plain: true, strategy: 'plain' }],
    ['port-restricted-cone', 'port-restricted-cone', { outcome: 'likely', plain: true, strategy: 'plain' }],
    ['symmetric', 'port-restricted-cone', { outcome: 'likely', plain: false, strategy: 'birthday' }],
    ['symmetric', 'fw/APDF', { outcome: 'likely', plain: false, strategy: 'birthday' }],
    ['symmetric', 'symmetric', { outcome: 'relay', plain: false, strategy: 'relay' }],
    ['APDM/EIF', 'APDM/EIF', { plain: true }],
    ['ADM/ADF', 'ADM/ADF', { plain: false }],
    ['open', 'udp-blocked', { outcome: 'relay', plain: false, probability: 0 }],
  ];
  it.each(cases)('of %s and %s is %j', (a, b, expected) => {
    expect(predictNamed(a, b)).toMatchObject(expected);
  });

  it('needs no luck where nothing is unknown', () => {
    expect(predict(STRICT, STRICT)).toMatchObject({
      strategy: 'plain',
      outcome: 'likely',
      probability: 0.999,
    });
  });

  it('says what it has assumed', () => {
    const codes = (prediction: Prediction) => prediction.reasons.map(({ code }) => code);
    expect(codes(predictNamed('cone', 'symmetric'))).toContain('assumed-filtering');
    expect(codes(predictNamed('inconclusive', 'open'))).toContain('assumed-mapping');
    expect(codes(predictNamed('EIM/APDF', 'open'))).toEqual(['plain-works']);
  });
});

describe('what is measured of ports', () => {
  it('makes a counting NAT cheap to guess', () => {
    const { strategy, strategies, outcome } = predict(symmetricWith(SEQUENTIAL), STRICT);
    expect({ strategy, outcome }).toEqual({ strategy: 'port-prediction', outcome: 'likely' });
    expect(strategies[0]!.packets).toBeLessThan(50);
  });

  it('makes a block cheaper than all ports', () => {
    const block = predict(symmetricWith(BLOCK), STRICT);
    const random = predict(symmetricWith(RANDOM), STRICT);
    expect([block.strategy, random.strategy]).toEqual(['birthday', 'birthday']);
    const cost = ({ strategies, strategy }: Prediction) =>
      strategies.find(({ name }) => name === strategy)!.packets;
    expect(cost(block)).toBeLessThan(cost(random) / 5);
    expect(random.probability).toBeGreaterThanOrEqual(0.98);
  });

  it('opens between two that count, now and then between two blocks, and not between two that draw', () => {
    expect(predict(symmetricWith(SEQUENTIAL), symmetricWith(SEQUENTIAL)).probability).toBeGreaterThan(0.8);
    expect(predict(symmetricWith(BLOCK), symmetricWith(BLOCK)).outcome).toBe('unlikely');
    expect(predict(symmetricWith(RANDOM), symmetricWith(RANDOM)).outcome).toBe('relay');
  });

  it('is overruled by a low local port where one may be bound', () => {
    const low = { ...symmetricWith(RANDOM), lowPorts: true };
    const strategy = predict(low, STRICT).strategies.find(({ name }) => name === 'birthday')!;
    expect(strategy.packets).toBeLessThan(250);
  });

  it('counts on low ports where one side alone is guessed, not where each has to guess the other', () => {
    const low = { ...symmetricWith(RANDOM), lowPorts: true };
    expect(predict(low, low)).toMatchObject({ outcome: 'relay', strategy: 'relay' });
  });
});

describe('a router that tracks unsolicited packets', () => {
  it('makes plain sending a matter of luck, and low-TTL opening the way', () => {
    const { strategy, strategies, plain } = predict(TRACKING, STRICT);
    expect({ strategy, plain }).toEqual({ strategy: 'low-ttl', plain: true });
    const chance = (name: string) => strategies.find((item) => item.name === name)!.probability;
    expect(chance('plain')).toBeLessThan(0.6);
    expect(chance('low-ttl')).toBeGreaterThan(0.9);
  });

  it('does not matter to a peer that lets in any port of its address', () => {
    const loose = behaviourOfReport(reportOf('EIM/ADF', { axes: { unsolicited: dropped } }));
    expect(predict(loose, TRACKING)).toMatchObject({
      strategy: 'plain',
      probability: 0.999,
    });
  });
});

describe('two sides on one machine', () => {
  it('reach each other at their one address, which no NAT has given them', () => {
    const side = (port: number): PunchBehaviour =>
      behaviourOfReport(reportOf('open', { mapped: `203.0.113.7:${port}`, local: `203.0.113.7:${port}` }));
    expect(predict(side(5000), side(6000))).toMatchObject({
      strategy: 'direct',
      outcome: 'direct',
      plain: true,
    });
  });
});

describe('two sides behind one NAT', () => {
  const seen = { mapped: '203.0.113.7:5000' };
  const at = (local: string, hairpin: 'translated' | 'none' | 'unknown'): PunchBehaviour =>
    behaviourOfReport(
      reportOf('EIM/APDF', {
        ...seen,
        local,
        axes: { hairpin: { value: hairpin, confidence: 1, reasons: [] } },
      }),
    );

  it('meet in their own network where that is one', () => {
    expect(predict(at('10.0.0.2:1', 'none'), at('10.0.0.3:1', 'none'))).toMatchObject({
      strategy: 'lan',
      outcome: 'likely',
      plain: false,
    });
  });

  it('meet by hairpin where they are in different ones', () => {
    const [a, b] = [at('10.0.0.2:1', 'translated'), at('192.168.1.3:1', 'unknown')];
    expect(predict(a, b)).toMatchObject({ strategy: 'hairpin', outcome: 'likely', plain: true });
  });
});

describe('two families', () => {
  it('are both looked at, and the better is taken', () => {
    const a = behaviourOfReport(reportOf('symmetric', { ipv6: 'fw/APDF' }));
    const b = behaviourOfReport(reportOf('symmetric', { ipv6: 'open' }));
    expect(predict(a, b)).toMatchObject({ outcome: 'direct', a: { family: 'ipv6' }, b: { family: 'ipv6' } });
  });

  it('have nothing to send to each other alone', () => {
    const ipv6 = { ...parseBehaviour('open'), family: 'ipv6' as const };
    expect(predict(ipv6, { ...ipv6, family: 'ipv4' })).toMatchObject({
      outcome: 'relay',
      reasons: [{ code: 'no-common-family' }],
    });
  });
});

describe('a report that is not sure', () => {
  it('predicts less surely', () => {
    const sure = predict(STRICT, STRICT).probability;
    const unsure = behaviourOfReport(reportOf('EIM/EIF', { confidence: 0.9 }));
    expect(predict(STRICT, unsure).outcome).toBe('likely');
    expect(predict(STRICT, unsure).probability).toBeLessThan(sure);
  });
});
