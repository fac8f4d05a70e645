import { decodeMessage, transactionIdOf } from '../../../shared/stun/message.ts';
import type { StunMessage } from '../../../shared/stun/message.ts';
import { fromHex } from '../../vectors/hex.ts';

/** Transaction ids of the two dialects; RFC 5769's, and one without the magic cookie. */
export const MODERN_ID = transactionIdOf(fromHex('b7e7a701bc34d686fa87dfae'));
export const CLASSIC_ID = transactionIdOf(fromHex('0f0e0d0c0b0a09080706050403020100'));

/** The message in the bytes; fails the test if they are none. */
export function decodedMessage(bytes: Uint8Array): StunMessage {
  const decoded = decodeMessage(bytes);
  if (decoded.kind !== 'message') throw new Error(`decoded to ${decoded.kind}: ${decoded.reason}`);
  return decoded.message;
}
