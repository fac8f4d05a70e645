/** What the sockets of one inquiry were seen as, in the order in which they sent. */
import { type Endpoint, sameEndpoint } from '../endpoint.ts';
import { isPlain, type SocketPurpose } from './evidence.ts';
import type { Observations } from './observations.ts';

/** One socket towards one endpoint, as that endpoint saw it. */
export interface TimedSighting {
  readonly socket: string;
  readonly local: Endpoint;
  readonly to: Endpoint;
  readonly mapped: Endpoint;
  /** When it was first sent to: the mapping is not older. */
  readonly sentMs: number;
  /** Whether that first request was answered. If not, the mapping may be of any later one, up to the answered. */
  readonly atOnce: boolean;
}

/** Sightings of plain requests from sockets of `purpose`, by time. */
export function sightingsOf(observations: Observations, purpose: SocketPurpose): TimedSighting[] {
  const locals = new Map(
    observations.sockets
      .filter((socket) => socket.purpose === purpose)
      .map(({ socket, local }) => [socket, local]),
  );
  const sightings: TimedSighting[] = [];
  for (const series of observations.series) {
    const local = locals.get(series.socket);
    if (local === undefined || !isPlain(series)) continue;
    const { socket, to, sends, replies } = series;
    const reply = replies.find((item) => item.kind === 'response' && sameEndpoint(item.from, to));
    if (reply?.kind !== 'response') continue;
    const atOnce = replies.some((item) => item.kind === 'response' && item.send === 0);
    sightings.push({ socket, local, to, mapped: reply.mapped, sentMs: sends[0]!.atMs, atOnce });
  }
  return sightings.sort((a, b) => a.sentMs - b.sentMs);
}
