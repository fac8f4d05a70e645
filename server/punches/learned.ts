/**
 * What outcomes teach about a pair of behaviours: a Beta distribution that begins as the prediction,
 * which weighs as much as so many punches, and is moved by each that counts.
 */
import { outcomeOf } from '../../shared/punch/predict.ts';
import type { PlannedPrediction } from '../../shared/broker/messages.ts';
import type { PunchPair } from './punch-store.ts';

/** Punches that the prediction weighs as much as: it is calibrated over the simulator's and the kernel's NATs. */
export const PREDICTION_WEIGHT = 20;
/** Before there are so many, what was learned is not told. */
export const FEWEST_PUNCHES = 30;

export interface Score {
  readonly punches: number;
  readonly open: number;
}

/** The mean of that distribution, or undefined if too little is known. */
export function learnedProbability(predicted: number, { punches, open }: Score): number | undefined {
  if (punches < FEWEST_PUNCHES) return undefined;
  return (PREDICTION_WEIGHT * predicted + open) / (PREDICTION_WEIGHT + punches);
}

export class LearnedScores {
  private readonly scores = new Map<string, Score>();

  set(pair: PunchPair, score: Score): void {
    this.scores.set(keyOfPair(pair), score);
  }

  add(pair: PunchPair, isOpen: boolean): void {
    const { punches, open } = this.of(pair);
    this.set(pair, { punches: punches + 1, open: open + (isOpen ? 1 : 0) });
  }

  of(pair: PunchPair): Score {
    return this.scores.get(keyOfPair(pair)) ?? { punches: 0, open: 0 };
  }

  clear(): void {
    this.scores.clear();
  }

  /** The prediction with what was learned of the pair; where it says that nothing will work, that stays. */
  correct(pair: PunchPair, prediction: PlannedPrediction): PlannedPrediction {
    const { strategy } = prediction;
    if (strategy === 'relay') return prediction;
    const probability = learnedProbability(prediction.probability, this.of(pair));
    if (probability === undefined) return prediction;
    return { ...prediction, probability, outcome: outcomeOf({ name: strategy, probability }) };
  }
}

/** The same, whoever of the two asked. */
function keyOfPair({ a, b, transport }: PunchPair): string {
  return [transport, ...[a, b].sort()].join(' ');
}
