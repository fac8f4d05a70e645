/** One side of a punch, in any of the forms in which it is handed over. */
import type { Filtering, Mapping, NatType } from '../nat/behaviour.ts';
import type { Report } from '../report/report.ts';
import { behaviourOf, behaviourOfReport, parseBehaviour, type PunchBehaviour } from './behaviour.ts';

/** A type name or short form, a mapping and a filtering, or a report. */
export type PunchSubject = string | StatedBehaviour | Report;

export interface StatedBehaviour {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** Where mapping and filtering don't tell it: `udp-blocked`. */
  readonly type?: NatType;
}

/** Throws ERR_BEHAVIOUR naming `place` for a text that names none. */
export function behaviourOfSubject(subject: PunchSubject, place: string): PunchBehaviour {
  if (typeof subject === 'string') return parseBehaviour(subject, place);
  return 'schema' in subject ? behaviourOfReport(subject) : behaviourOf(subject);
}
