/** Names of peers and rooms, as people type them. */
import { NAME_LENGTH } from '../../shared/broker/messages.ts';
import { plainLine } from '../../shared/words.ts';

/** Names that look alike are the same, and have the same key. */
export function keyOf(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}

/** A peer as somebody asks for it: the key of its name, or its number. */
export function keyOfPeer(peer: string | number): string | number {
  return typeof peer === 'number' ? peer : keyOf(plainLine(peer, NAME_LENGTH).trim());
}
