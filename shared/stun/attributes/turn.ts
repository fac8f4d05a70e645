/** What a client and its relay say to each other besides addresses (RFC 8656 §18). */
import type { Family } from '../../endpoint.ts';
import { readU32 } from '../cursor.ts';
import { ATTRIBUTE, FAMILY_BYTE_IPV4, FAMILY_BYTE_IPV6 } from '../registry.ts';
import type { MessageWriter } from '../writer.ts';
import { type Attribute, checkWholeNumber, defineAttribute } from './attribute.ts';

/** RFC 8656 §12: those that a client may bind. */
export const CHANNELS = { first: 0x4000, last: 0x4fff } as const;
/** RFC 8656 §14.7: the protocol that is relayed, as IP numbers it. */
export const UDP_PROTOCOL = 17;

/** RFC 8656 §18.2: how long an allocation holds, in seconds; 0 gives it up. */
export const LIFETIME = defineAttribute<number>(ATTRIBUTE.LIFETIME, {
  check: (seconds) => checkWholeNumber('lifetime', seconds, 0, 0xffffffff),
  encode: (writer, seconds) => writer.u32(ATTRIBUTE.LIFETIME, seconds),
  decode: (value) => (value.length === 4 ? readU32(value, 0) : undefined),
});

/** RFC 8656 §18.1. */
export const CHANNEL_NUMBER = defineAttribute<number>(ATTRIBUTE.CHANNEL_NUMBER, {
  check: (channel) => checkWholeNumber('channel', channel, CHANNELS.first, CHANNELS.last),
  encode: (writer, channel) => writer.u32(ATTRIBUTE.CHANNEL_NUMBER, channel * 0x10000),
  decode: (value) => {
    const channel = value.length === 4 ? (value[0]! << 8) | value[1]! : 0;
    return channel >= CHANNELS.first && channel <= CHANNELS.last ? channel : undefined;
  },
});

/** RFC 8656 §18.4: a datagram, from the peer or to it. */
export const DATA = defineAttribute<Uint8Array>(ATTRIBUTE.DATA, {
  check: (bytes) => checkWholeNumber('a data length of', bytes.length, 0, 0xffff),
  encode: (writer, bytes) => writer.bytes(ATTRIBUTE.DATA, bytes, 0, bytes.length),
  decode: (value) => value,
});

/** RFC 8656 §18.8: UDP_PROTOCOL, or TCP's number for RFC 6062. */
export const REQUESTED_TRANSPORT = byteAttribute<number>(
  ATTRIBUTE.REQUESTED_TRANSPORT,
  (protocol) => protocol,
  (byte) => byte,
);

/** RFC 8656 §18.6: of the relayed address; IPv4 where it is absent. */
export const REQUESTED_ADDRESS_FAMILY = byteAttribute<Family>(
  ATTRIBUTE.REQUESTED_ADDRESS_FAMILY,
  (family) => (family === 'ipv4' ? FAMILY_BYTE_IPV4 : FAMILY_BYTE_IPV6),
  (byte) => (byte === FAMILY_BYTE_IPV4 ? 'ipv4' : byte === FAMILY_BYTE_IPV6 ? 'ipv6' : undefined),
);

/** A byte, and three that are reserved. */
function byteAttribute<T>(
  type: number,
  byteOf: (value: T) => number,
  valueOf: (byte: number) => T | undefined,
): Attribute<T> {
  return defineAttribute<T>(type, {
    check: (value) => checkWholeNumber('a byte of', byteOf(value), 0, 0xff),
    encode: (writer: MessageWriter, value) => writer.u32(type, byteOf(value) * 0x1000000),
    decode: (value) => (value.length === 4 ? valueOf(value[0]!) : undefined),
  });
}
