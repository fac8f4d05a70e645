import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import { DIAL_BACK, type DialOrigin } from '../../../shared/stun/attributes/dial-back.ts';
import { request } from '../answer/exchange.ts';

/** A request that asks to be dialled, and whatever `more` asks. */
export function asking(
  origin: DialOrigin,
  timeoutMs = 800,
  more: readonly AttributeValue[] = [],
): Uint8Array {
  return request([DIAL_BACK.of({ kind: 'asked', origin, timeoutMs }), ...more]);
}
