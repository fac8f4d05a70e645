/** Which packets a predicted punch would send, from the simulation of both NATs. */
import type { Behaviour, PunchSimulation, Start } from './plain.ts';
import { opens, simulatePunch, STARTS } from './plain.ts';
import { likeliestSide, type Prediction } from './predict.ts';
import type { StrategyName } from './strategy.ts';

/** Of the likeliest that both sides may be; undefined where one has no UDP, and where no NAT is between them. */
export function simulatePrediction({ a, b, strategy }: Prediction): PunchSimulation | undefined {
  const [one, other] = [likeliestSide(a), likeliestSide(b)];
  if (one === undefined || other === undefined || strategy === 'lan') return undefined;
  return simulatePunch(one, other, STARTS[startOf(strategy, one, other)]);
}

function startOf(strategy: StrategyName, a: Behaviour, b: Behaviour): Start {
  switch (strategy) {
    case 'direct':
      return 'aAlone';
    case 'reversal':
      return 'bAlone';
    case 'port-prediction':
    case 'birthday':
      return GUESSES.find((start) => opens(a, b, start)) ?? 'plain';
    default:
      return 'plain';
  }
}

const GUESSES: readonly Start[] = ['plain', 'aGuessed', 'bGuessed', 'bothGuessed'];
