import type { ServerMessage } from '../../shared/broker/messages.ts';
import { ERROR_CATALOGUE, NatprobeError } from '../../shared/errors.ts';
import { plainLine } from '../../shared/words.ts';

const LONGEST_TEXT = 600;

/** What a peer is told of an error; `id` is its number for the request that can't be met. */
export function refusalOf({ code, place, detail }: NatprobeError, id?: number): ServerMessage {
  const { problem, remedy } = ERROR_CATALOGUE[code];
  const text = `${place}: ${problem}${detail === undefined ? '' : ` (${detail})`}`;
  return {
    kind: 'error',
    ...(id !== undefined && { id }),
    code,
    text: plainLine(text, LONGEST_TEXT),
    remedy,
  };
}

/** Refusals are NatprobeErrors; anything else is a mistake of this program, and its driver's to handle. */
export function refusalIn(error: unknown): NatprobeError {
  if (error instanceof NatprobeError) return error;
  throw error;
}
