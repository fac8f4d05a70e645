import { NatprobeError } from '../../shared/errors.ts';

/** What is rejected with once the signal has ended it. */
export function aborted(place: string, signal?: AbortSignal): NatprobeError {
  return new NatprobeError('ERR_ABORTED', place, undefined, { cause: signal?.reason });
}
