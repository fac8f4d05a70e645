/** What the broker refuses, as an error of the catalogue. */
import type { ServerMessage } from '../../shared/broker/messages.ts';
import { ERROR_CATALOGUE, type ErrorCode, NatprobeError } from '../../shared/errors.ts';
import { plainLine } from '../../shared/words.ts';

type Refusal = Extract<ServerMessage, { kind: 'error' }>;

/** It ends up on a terminal: a few lines of it at most. */
const LONGEST_WORDS = 600;

/** After these a connection with the same words would end the same way. */
const FINAL: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SESSION_MOVED',
  'ERR_BROKER_MESSAGE',
  'ERR_ROOM_KEY',
  'ERR_PEER_NAME',
  'ERR_ROOM_TOKEN',
]);
/** The connection ends after these, and another one may do. */
const PARTING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_BROKER_STOPS',
  'ERR_BROKER_SILENT',
  'ERR_BROKER_RATE',
]);

/** Whether there is no going on after it. */
export function isFinal({ code }: NatprobeError): boolean {
  return FINAL.has(code);
}

/** Whether the broker ends the connection with it, and no more. */
export function isParting({ code }: NatprobeError): boolean {
  return PARTING.has(code);
}

/** With the broker's own place and detail; ERR_API_REFUSED for a code that isn't known here. */
export function errorOfRefusal({ code, text }: Refusal): NatprobeError {
  const words = plainLine(text, LONGEST_WORDS);
  if (!isErrorCode(code))
    return new NatprobeError('ERR_API_REFUSED', 'the broker', `${plainLine(code, 40)}: ${words}`);
  const problem = `: ${ERROR_CATALOGUE[code].problem}`;
  const at = words.indexOf(problem);
  if (at === -1) return new NatprobeError(code, 'the broker', words);
  const rest = words.slice(at + problem.length).trim();
  const detail = rest.startsWith('(') && rest.endsWith(')') ? rest.slice(1, -1) : undefined;
  return new NatprobeError(code, words.slice(0, at), detail);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CATALOGUE, code);
}
