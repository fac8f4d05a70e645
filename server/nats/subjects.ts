/** Subjects and keys of NATS by which brokers find each other, peers and names: hashes, since names are anything. */
import { createHash } from 'node:crypto';

/** Of a room, by its key. */
export const roomKey = (room: string): string => `room.${digest(room)}`;
export const nameKey = (room: string, name: string): string => `peer.${digest(room)}.${digest(name)}`;
export const namesIn = (room: string): string => `peer.${digest(room)}.*`;

/** Whoever has that peer hears what is sent there: by the key of its name, or its number. */
export const peerSubject = (room: string, peer: string | number): string =>
  typeof peer === 'number'
    ? `natprobe.broker.number.${digest(room)}.${peer}`
    : `natprobe.broker.peer.${digest(room)}.${digest(peer)}`;
export const serverSubject = (server: string): string => `natprobe.broker.server.${server}`;

/** 132 bits: no two names have the same. */
function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
