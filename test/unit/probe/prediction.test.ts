import { describe, expect, it } from 'vitest';
import { drawExchange } from '../../../probe/cli/render/exchange.ts';
import { describeSide, renderPrediction, renderPreflight } from '../../../probe/cli/render/prediction.ts';
import { PLAIN } from '../../../shared/style.ts';
import { predict, preflight } from '../../../probe/index.ts';
import { simulatePrediction } from '../../../shared/punch/exchange.ts';

const NAMES = [
  ...['open', 'fw/ADF', 'fw/APDF', 'cone', 'inconclusive', 'udp-blocked'],
  ...['EIM', 'ADM', 'APDM'].flatMap((mapping) => ['EIF', 'ADF', 'APDF'].map((end) => `${mapping}/${end}`)),
];

describe('a prediction for people', () => {
  it('fits into 80 columns and names its outcome first, for every pair', () => {
    for (const a of NAMES) {
      for (const b of NAMES) {
        const prediction = predict(a, b);
        const lines = renderPrediction(prediction, PLAIN).split('\n');
        expect(lines[0]).toMatch(
          prediction.outcome === 'relay'
            ? /^Punch: it takes a relay$/
            : /^Punch: (direct|likely|unlikely) \(\d/,
        );
        const [here, peer] = [describeSide(prediction.a), describeSide(prediction.b)];
        const sides = { here, peer, isInconclusive: a === 'inconclusive' };
        const preflightLines = renderPreflight(preflight(a, b), sides, PLAIN).split('\n');
        expect([...lines, ...preflightLines].filter((line) => line.length > 80)).toEqual([]);
      }
    }
  });
});

describe('the drawing', () => {
  const draw = (a: string, b: string): string[] => drawExchange(simulatePrediction(predict(a, b))!);
  const right = (end: string) => `${'-'.repeat(39)}${end}`;
  const left = (end: string) => `${end}${'-'.repeat(39)}`;

  it('is of what was simulated: a reply to where it was heard from', () => {
    expect(draw('symmetric', 'restricted-cone')).toEqual([
      `1  A2 ${right('>')} B1  heard`,
      `   A1 ${left('x')} B1  not let in`,
      `2  A2 ${left('<')} B1  a reply, heard`,
      'A1, B1: the public endpoints that the server saw',
      'A2: made by the NAT for that destination',
    ]);
  });

  it('has the guess that hits, where ports are guessed', () => {
    expect(draw('symmetric', 'port-restricted-cone')).toContain(`   A2 ${left('<')} B1  guessed, heard`);
  });

  it('begins with the side that calls, where nothing has to be timed', () => {
    expect(draw('open', 'symmetric')[0]).toBe(`1  A1 ${left('<')} B2  heard`);
    expect(draw('fw/APDF', 'fw/APDF').slice(0, 2)).toEqual([
      `1  A1 ${right('>')} B1  heard`,
      `   A1 ${left('<')} B1  heard`,
    ]);
  });

  it('ends with both heard in every pair that is likely', () => {
    for (const a of NAMES) {
      for (const b of NAMES) {
        const prediction = predict(a, b);
        const works = simulatePrediction(prediction)?.works ?? false;
        if (prediction.outcome === 'direct' || prediction.outcome === 'likely')
          expect([a, b, works]).toEqual([a, b, true]);
      }
    }
  });
});
