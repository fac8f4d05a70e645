/** Names of peers and rooms as people type them, read alike by the broker and before it is asked. */
import { NatprobeError } from '../errors.ts';
import { plainLine } from '../words.ts';
import { NAME_LENGTH } from './names.ts';

/** Without control characters. Throws ERR_PEER_NAME, which names the place. */
export function readName(text: string, place: string): string {
  const name = plainLine(text, NAME_LENGTH + 1).trim();
  if (name.length === 0 || name.length > NAME_LENGTH) throw new NatprobeError('ERR_PEER_NAME', place);
  return name;
}

/** Of a peer that registers: digits alone are a peer's number. Throws ERR_PEER_NAME. */
export function readOwnName(text: string, place: string): string {
  const name = readName(text, place);
  if (/^\p{Nd}+$/u.test(name)) throw new NatprobeError('ERR_PEER_NAME', place, 'only digits');
  return name;
}
