/** Tells at a glance which session a datagram could belong to. Most have nothing to do with any. */
import {
  ATTRIBUTE,
  BINDING_ERROR,
  BINDING_REQUEST,
  BINDING_SUCCESS,
  HEADER_LENGTH,
} from '../../shared/stun/registry.ts';

export type IceName =
  /** A check, whose USERNAME begins with the receiver's ufrag. */
  | { readonly kind: 'check'; readonly ufrag: string }
  /** An answer to a transaction of ours. */
  | { readonly kind: 'answer'; readonly id: string };

const COLON = 0x3a;

/** By the type, and for a request by USERNAME; no more than that is looked at. */
export function recogniseIce(bytes: Uint8Array): IceName | undefined {
  if (bytes.length <= HEADER_LENGTH) return undefined;
  const type = (bytes[0]! << 8) | bytes[1]!;
  if (type === BINDING_SUCCESS || type === BINDING_ERROR)
    return { kind: 'answer', id: Buffer.from(bytes.subarray(8, HEADER_LENGTH)).toString('hex') };
  if (type !== BINDING_REQUEST) return undefined;
  let position = HEADER_LENGTH;
  while (position + 4 <= bytes.length) {
    const attribute = (bytes[position]! << 8) | bytes[position + 1]!;
    const length = (bytes[position + 2]! << 8) | bytes[position + 3]!;
    if (attribute === ATTRIBUTE.USERNAME) return readUfrag(bytes, position + 4, length);
    position += 4 + ((length + 3) & ~3);
  }
  return undefined;
}

function readUfrag(bytes: Uint8Array, start: number, length: number): IceName | undefined {
  const username = bytes.subarray(start, start + length);
  const colon = username.indexOf(COLON);
  if (colon < 0) return undefined;
  return { kind: 'check', ufrag: Buffer.from(username.subarray(0, colon)).toString('latin1') };
}
