/** What was said of a NAT of the lab, held against what it is. */
import type { Truth } from './nats.ts';

export type Said = Pick<Truth, 'type' | 'mapping' | 'filtering'>;

export function verdictOf(from: { verdict: Said } | Said): Said {
  const { type, mapping, filtering } = 'verdict' in from ? from.verdict : from;
  return { type, mapping, filtering };
}

/** Whether something was said that is not so; that something is unknown is no contradiction. */
export function contradicts(said: Said, truth: Said): boolean {
  // `cone` leaves open which one.
  const isCone = said.type === 'cone' && truth.mapping === 'endpoint-independent';
  const differs = (axis: 'mapping' | 'filtering'): boolean =>
    said[axis] !== 'unknown' && said[axis] !== truth[axis];
  return (
    (said.type !== truth.type && said.type !== 'inconclusive' && !isCone) ||
    differs('mapping') ||
    differs('filtering')
  );
}
