/** The library's join() and punch(), with holes that carry streams. */
import type { UDXSocket } from 'udx-native';
import { joinRoom, punchFromRoom, type RoomMeans } from '../drive/join-room.ts';
import type { Hole } from '../hole.ts';
import { classify } from '../index.ts';
import type { JoinOptions, Membership, PunchOptions } from '../join.ts';
import { openUdxSocket } from './udx-socket.ts';

const MEANS: RoomMeans<UDXSocket> = {
  open: openUdxSocket,
  measure: (options) => classify({ ...options, forPunch: true }),
};

/** As join(); throws ERR_STREAM_PLATFORM as well. */
export function joinForStreams(options: JoinOptions<UDXSocket>): Promise<Membership<UDXSocket>> {
  return joinRoom(options, MEANS);
}

/** As punch(); throws ERR_STREAM_PLATFORM as well. */
export function punchForStreams(
  peer: string | number,
  options: PunchOptions<UDXSocket>,
): Promise<Hole<UDXSocket>> {
  return punchFromRoom(peer, options, MEANS);
}
