/**
 * DIAL-BACK, natprobe's own and comprehension-optional: over TCP it asks the server to open a
 * connection to the remote end of the asking one, which tells how the NAT filters (RFC 5382 §5).
 */
import type { Endpoint } from '../../endpoint.ts';
import { ATTRIBUTE, FAMILY_BYTE_IPV4, FAMILY_BYTE_IPV6 } from '../registry.ts';
import { xorAddressInPlace } from '../writer.ts';
import { packEndpoint, unpackXorEndpoint } from './address.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';

/** Of the address that the asking connection goes to, or of the server's other one; the port is always a fresh one. */
export const DIAL_ORIGINS = ['same-address', 'other-address'] as const;
export type DialOrigin = (typeof DIAL_ORIGINS)[number];

/** How a dial ended, as far as the server can know. */
export const DIAL_OUTCOMES = [
  /** The connection stood. */
  'connected',
  /** A TCP reset, or an ICMP port unreachable: systems report both alike. */
  'refused',
  /** Another ICMP error. */
  'unreachable',
  /** Nothing came back in time. */
  'timeout',
  /** Not dialled: too many dials at once or on this connection. */
  'declined',
  /** Not dialled: the server has no other address. */
  'no-address',
  /** The server's system could not dial. */
  'failed',
] as const;
export type DialOutcome = (typeof DIAL_OUTCOMES)[number];

export type DialBack =
  /** In a request: how long the dial is to wait for an answer. */
  | { readonly kind: 'asked'; readonly origin: DialOrigin; readonly timeoutMs: number }
  /** In an indication that comes ahead of the response: it is being done, for that long. */
  | { readonly kind: 'dialling'; readonly origin: DialOrigin; readonly timeoutMs: number }
  /** In an indication at the end: how, after how long, and where the dial came from if there was one. */
  | {
      readonly kind: 'ended';
      readonly outcome: DialOutcome;
      readonly tookMs: number;
      readonly dialledFrom?: Endpoint;
    };

/**
 * Four bytes: the form's number; the origin's or outcome's place in its list, counted from 1;
 * milliseconds in 16 bits. The form `ended` may go on with an endpoint as in XOR-MAPPED-ADDRESS.
 */
export const DIAL_BACK = defineAttribute<DialBack>(ATTRIBUTE.DIAL_BACK, {
  check: (dial) =>
    dial.kind === 'ended'
      ? checkWholeNumber('tookMs', dial.tookMs, 0, 0xffff)
      : checkWholeNumber('timeoutMs', dial.timeoutMs, 0, 0xffff),
  encode: (writer, dial) => {
    const value = new Uint8Array(HEAD_LENGTH + LONGEST_ENDPOINT);
    const isEnded = dial.kind === 'ended';
    const milliseconds = isEnded ? dial.tookMs : dial.timeoutMs;
    value[0] = FORMS.indexOf(dial.kind);
    value[1] = 1 + (isEnded ? DIAL_OUTCOMES.indexOf(dial.outcome) : DIAL_ORIGINS.indexOf(dial.origin));
    value[2] = milliseconds >> 8;
    value[3] = milliseconds;
    const endpointLength =
      isEnded && dial.dialledFrom !== undefined ? writeEndpoint(value, dial.dialledFrom, writer.buffer) : 0;
    writer.bytes(ATTRIBUTE.DIAL_BACK, value, 0, HEAD_LENGTH + endpointLength);
  },
  decode: (value, message) => {
    if (value.length < HEAD_LENGTH) return undefined;
    const form = FORMS[value[0]!];
    const milliseconds = (value[2]! << 8) | value[3]!;
    if (form === undefined) return undefined;
    if (form !== 'ended') {
      const origin = DIAL_ORIGINS[value[1]! - 1];
      if (origin === undefined || value.length !== HEAD_LENGTH) return undefined;
      return { kind: form, origin, timeoutMs: milliseconds };
    }
    const outcome = DIAL_OUTCOMES[value[1]! - 1];
    if (outcome === undefined) return undefined;
    const ended = { kind: form, outcome, tookMs: milliseconds };
    if (value.length === HEAD_LENGTH) return ended;
    const address = value.subarray(HEAD_LENGTH);
    const dialledFrom = unpackXorEndpoint(address, address.length, message.bytes);
    return dialledFrom && { ...ended, dialledFrom };
  },
});

const HEAD_LENGTH = 4;
/** An IPv6 address value (RFC 8489 §14.1). */
const LONGEST_ENDPOINT = 20;
const FORMS = ['asked', 'dialling', 'ended'] as const;

/** As in XOR-MAPPED-ADDRESS of the message that begins with `header`; returns the length. */
function writeEndpoint(value: Uint8Array, { address, port }: Endpoint, header: Uint8Array): number {
  const family = packEndpoint({ address, port }, value.subarray(HEAD_LENGTH + 4));
  value[HEAD_LENGTH + 1] = family === 4 ? FAMILY_BYTE_IPV4 : FAMILY_BYTE_IPV6;
  value[HEAD_LENGTH + 2] = port >> 8;
  value[HEAD_LENGTH + 3] = port;
  xorAddressInPlace(value, HEAD_LENGTH, family, header, 4);
  return family === 4 ? 8 : LONGEST_ENDPOINT;
}
