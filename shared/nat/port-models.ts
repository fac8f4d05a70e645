/**
 * Bayesian comparison of the ways in which a NAT may pick ports. Each hypothesis predicts each
 * mapping from those before it; the product of what it gave to what came is its evidence.
 */
import { FIRST_PORT, LAST_PORT, type Skips, type WeightedLaw } from './port-law.ts';
import {
  type Allocation,
  BlockDrawing,
  Counter,
  type Drawing,
  OwnCounter,
  type Predictor,
  Preserver,
  RangeDrawing,
  SpreadDrawing,
} from './port-predictors.ts';

export type PortsValue = 'preserved' | 'sequential' | 'block' | 'random';

export interface Hypothesis {
  readonly value: PortsValue;
  readonly delta?: number;
  readonly block?: { readonly first: number; readonly size: number };
  /** What a preserving NAT does where the local port is taken, as the socket's further mappings show. */
  readonly whenTaken?: 'sequential' | 'random';
  readonly sameParity?: boolean;
  /** Of others' mappings in between, where the ports count them. */
  readonly skips?: Skips;
}

/** A hypothesis with its probability, and the laws that it makes of what was seen. */
export interface JudgedModel extends Hypothesis {
  readonly probability: number;
  readonly newSocket: readonly WeightedLaw[];
  readonly newMapping: readonly WeightedLaw[];
}

/**
 * Compares all models on `allocations`. `endMs` is when the measuring ended, `known` are own ports
 * whose place in the order isn't known. Probabilities sum to 1; models of next to none are left out.
 */
export function comparePortModels(
  allocations: readonly Allocation[],
  known: readonly Allocation[],
  endMs: number,
): JudgedModel[] {
  const models = hypotheses(known);
  const logs = models.map(({ prior, first, later }) => {
    let log = Math.log(prior);
    for (const allocation of allocations) {
      const predictor = allocation.ownPort === undefined ? first : later;
      log += Math.log(predictor.chanceOf(allocation));
      predictor.learn(allocation);
    }
    return log;
  });
  const most = Math.max(...logs);
  const weights = logs.map((log) => Math.exp(log - most));
  const kept = weights.map((weight) => (weight < LEAST_WEIGHT ? 0 : weight));
  const total = kept.reduce((sum, weight) => sum + weight, 0);
  return models
    .map(({ describe, first, later }, index) => ({
      ...describe(),
      probability: kept[index]! / total,
      newSocket: first.laws(endMs),
      newMapping: later.laws(endMs),
    }))
    .filter(({ probability }) => probability > 0)
    .sort((a, b) => b.probability - a.probability);
}

const LEAST_WEIGHT = 1e-5;

interface Model {
  /** Relative: the priors need not sum to 1. */
  readonly prior: number;
  readonly first: Predictor;
  readonly later: Predictor;
  readonly describe: () => Hypothesis;
}

/**
 * How likely each value is before anything is seen. Most home routers preserve; the rest is shared.
 * Their exact size hardly matters: a handful of mappings outweighs them.
 */
const VALUE_PRIOR: Record<PortsValue, number> = {
  preserved: 0.4,
  random: 0.25,
  sequential: 0.2,
  block: 0.15,
};

/** Steps that counters make; small ones are more likely. */
const DELTAS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 32, 64, 256, -1, -2, -3, -4];
/** How busy others are, in milliseconds for each of their mappings: an idle home to a carrier. */
const TRAFFIC_MS = [2000, 100, 10, 1];
/** Sizes that carriers hand out (RFC 7422 §2 has powers of two in mind; vendors' defaults are decimal as well). */
const BLOCK_SIZES = [
  64, 100, 128, 200, 250, 256, 400, 500, 504, 512, 1000, 1008, 1024, 2000, 2016, 2048, 4000, 4032, 4096, 8000,
  8064, 8192, 16384,
];
/** Blocks are counted from port 0 or from the first that isn't well-known. */
const BLOCK_ORIGINS = [0, FIRST_PORT];
/** Ranges that NATs draw from: all ports but the well-known, and the two that are called ephemeral (Linux, IANA). */
const COMMON_RANGES = [
  [FIRST_PORT, LAST_PORT],
  [32768, 60999],
  [49152, LAST_PORT],
  [32768, LAST_PORT],
] as const;
/** Of a NAT that draws keeping parity as well. */
const PARITY_PRIOR = 0.2;

function hypotheses(known: readonly Allocation[]): Model[] {
  const deltaTotal = DELTAS.reduce((sum, delta) => sum + 1 / delta ** 2, 0);
  const drawn = drawingModels();
  return [
    ...DELTAS.flatMap((delta) =>
      TRAFFIC_MS.map((trafficMs): Model => {
        const counter = new Counter(delta, trafficMs, known);
        return {
          prior: VALUE_PRIOR.sequential / delta ** 2 / deltaTotal / TRAFFIC_MS.length,
          first: counter,
          later: counter,
          describe: () => ({ value: 'sequential', delta, skips: counter.skips }),
        };
      }),
    ),
    ...drawn.map(({ share, make }) => ({ prior: share, ...make() })),
    ...preservingModels(drawn),
  ];
}

interface DrawingModel {
  /** Prior of it, as a value of its own. */
  readonly share: number;
  readonly make: () => Omit<Model, 'prior'>;
}

/** Every way to draw from some set of ports, whichever mapping it is for. */
function drawingModels(): DrawingModel[] {
  const models: DrawingModel[] = [];
  for (const sameParity of [false, true]) {
    const parityShare = sameParity ? PARITY_PRIOR : 1 - PARITY_PRIOR;
    const add = (share: number, value: 'random' | 'block', predictor: () => Drawing): void => {
      models.push({
        share: VALUE_PRIOR[value] * share * parityShare,
        make() {
          const drawing = predictor();
          const describe = (): Hypothesis => ({
            value,
            sameParity,
            ...(drawing.block === undefined ? {} : { block: drawing.block }),
          });
          return { first: drawing, later: drawing, describe };
        },
      });
    };
    for (const [first, last] of COMMON_RANGES) {
      const share = first === FIRST_PORT ? 0.5 : 0.1;
      add(share, 'random', () => new RangeDrawing(first, last, sameParity));
    }
    add(0.2, 'random', () => new SpreadDrawing(sameParity));
    for (const size of BLOCK_SIZES) {
      for (const origin of BLOCK_ORIGINS) {
        const share = 1 / BLOCK_SIZES.length / BLOCK_ORIGINS.length;
        add(share, 'block', () => new BlockDrawing(size, origin, sameParity));
      }
    }
  }
  return models;
}

/** The local port for a socket's first mapping, and one of several things for the others. */
function preservingModels(drawn: readonly DrawingModel[]): Model[] {
  const drawnTotal = drawn.reduce((sum, { share }) => sum + share, 0);
  const prior = VALUE_PRIOR.preserved / 3;
  return [
    { prior, ...both(new Preserver()), describe: () => ({ value: 'preserved' }) },
    ...[1, 2].map((delta): Model => ({
      prior: prior / 2,
      first: new Preserver(),
      later: new OwnCounter(delta),
      describe: () => ({ value: 'preserved', whenTaken: 'sequential' }),
    })),
    ...drawn.map(({ share, make }): Model => ({
      prior: (prior * share) / drawnTotal,
      first: new Preserver(),
      later: make().later,
      describe: () => ({ value: 'preserved', whenTaken: 'random' }),
    })),
  ];
}

function both(predictor: Predictor): { first: Predictor; later: Predictor } {
  return { first: predictor, later: predictor };
}
