/** A datagram with four bytes in front of it, which say for which peer it is or of which (RFC 8656 §12.4). */
import { CHANNELS } from '../../../shared/stun/attributes/turn.ts';

export interface ChannelData {
  readonly channel: number;
  readonly bytes: Uint8Array;
}

export const CHANNEL_HEADER_BYTES = 4;

export function encodeChannelData({ channel, bytes }: ChannelData): Uint8Array {
  const message = Buffer.alloc(CHANNEL_HEADER_BYTES + bytes.length);
  message.writeUInt16BE(channel, 0);
  message.writeUInt16BE(bytes.length, 2);
  message.set(bytes, CHANNEL_HEADER_BYTES);
  return message;
}

/** Undefined for what is none; what a relay adds behind it, as it does over TCP, is left out. */
export function decodeChannelData(message: Uint8Array): ChannelData | undefined {
  if (message.length < CHANNEL_HEADER_BYTES) return undefined;
  const channel = (message[0]! << 8) | message[1]!;
  const end = CHANNEL_HEADER_BYTES + ((message[2]! << 8) | message[3]!);
  if (channel < CHANNELS.first || channel > CHANNELS.last || end > message.length) return undefined;
  return { channel, bytes: message.subarray(CHANNEL_HEADER_BYTES, end) };
}
