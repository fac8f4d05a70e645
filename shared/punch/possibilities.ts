/** What a side may be, where not all about it is known: weighted certainties. */
import { FILTERING_SHORT, MAPPING_SHORT } from '../nat/behaviour.ts';
import type { Reason } from '../nat/verdict.ts';
import type { PunchBehaviour } from './behaviour.ts';
import type { Behaviour } from './plain.ts';

/** A side about which everything that matters is known. */
export interface CertainSide extends Behaviour {
  /** Whether an unsolicited packet changes the next mapping to where it came from (MEASURING.md §7). */
  readonly tracks: boolean;
}

export interface Possibility {
  readonly weight: number;
  readonly side: CertainSide;
}

type Weights<Value extends string> = readonly (readonly [Value, number])[];

/**
 * Assumptions about what wasn't measured; nobody counted them. The strictest filtering and the
 * steady mapping are taken to be the usual ones, and routers without input drop to be rare.
 */
const MAPPING_WEIGHTS: Weights<Behaviour['mapping']> = [
  ['none', 0.05],
  ['endpoint-independent', 0.65],
  ['address-dependent', 0.05],
  ['address-and-port-dependent', 0.15],
  // The rest is for no UDP at all: nothing came through that would have told.
];
const DEPENDENT_WEIGHTS: Weights<Behaviour['mapping']> = [
  ['address-dependent', 0.2],
  ['address-and-port-dependent', 0.8],
];
const FILTERING_WEIGHTS: Weights<Behaviour['filtering']> = [
  ['endpoint-independent', 0.15],
  ['address-dependent', 0.15],
  ['address-and-port-dependent', 0.7],
];
export const TRACKS_WEIGHT = 0.05;

/** What of a side tells what it may be. */
export type KnownOfSide = Pick<
  PunchBehaviour,
  'type' | 'mapping' | 'filtering' | 'confidence' | 'unsolicited'
>;

/** The weights sum to 1, or to less where UDP may be blocked. What a report is not sure of is spread over all. */
export function possibilitiesOf({
  type,
  mapping,
  filtering,
  confidence,
  unsolicited,
}: KnownOfSide): readonly Possibility[] {
  if (type === 'udp-blocked') return [];
  const mappings =
    mapping === 'unknown'
      ? MAPPING_WEIGHTS
      : mapping === 'dependent'
        ? DEPENDENT_WEIGHTS
        : certainly(mapping);
  const filterings = filtering === 'unknown' ? FILTERING_WEIGHTS : certainly(filtering);
  // A side of which nothing is known has no confidence to spread.
  const share = mapping === 'unknown' && filtering === 'unknown' ? 1 : confidence;
  const tracking = { tracked: 1, dropped: 0, unknown: TRACKS_WEIGHT }[unsolicited];
  return [
    ...combine(share, mappings, filterings, tracking),
    ...combine(1 - share, MAPPING_WEIGHTS, FILTERING_WEIGHTS, tracking),
  ];
}

/** What was assumed about a side, in sentences. */
export function assumptionsAbout(name: string, side: KnownOfSide): Reason[] {
  const reasons: Reason[] = [];
  const { mapping, filtering, type } = side;
  if (type === 'udp-blocked') return reasons;
  if (mapping === 'unknown' || mapping === 'dependent')
    reasons.push({
      code: 'assumed-mapping',
      text: `the mapping of ${name} is not known: assumed are ${listWeights(mapping === 'unknown' ? MAPPING_WEIGHTS : DEPENDENT_WEIGHTS, { ...MAPPING_SHORT, none: 'none' })}`,
    });
  if (filtering === 'unknown')
    reasons.push({
      code: 'assumed-filtering',
      text: `the filtering of ${name} is not known: assumed are ${listWeights(FILTERING_WEIGHTS, FILTERING_SHORT)}`,
    });
  return reasons;
}

function listWeights<Value extends string>(
  weights: Weights<Value>,
  names: Readonly<Record<Value, string>>,
): string {
  return weights.map(([value, weight]) => `${names[value]} ${Math.round(100 * weight)} %`).join(', ');
}

function certainly<Value extends string>(value: Value): Weights<Value> {
  return [[value, 1]];
}

function combine(
  share: number,
  mappings: Weights<Behaviour['mapping']>,
  filterings: Weights<Behaviour['filtering']>,
  tracking: number,
): Possibility[] {
  if (share <= 0) return [];
  return mappings.flatMap(([mapping, mappingWeight]) =>
    filterings.flatMap(([filtering, filteringWeight]) => {
      const weight = share * mappingWeight * filteringWeight;
      // Only a NAT that keeps its mappings, and doesn't let the packet in, can be told by it.
      const canTrack = mapping === 'endpoint-independent' && filtering !== 'endpoint-independent';
      return [
        { weight: weight * (canTrack ? tracking : 0), tracks: true },
        { weight: weight * (canTrack ? 1 - tracking : 1), tracks: false },
      ]
        .filter((possibility) => possibility.weight > 0)
        .map((possibility) => ({
          weight: possibility.weight,
          side: { mapping, filtering, tracks: possibility.tracks },
        }));
    }),
  );
}
