/** What carries a stream through a hole and ends with it: one of the UDX library, which moves with the hole, or the hole's TCP connection. */
import { Socket as TcpSocket } from 'node:net';
import type UDX from 'udx-native';
import type { UDXSocket, UDXStream } from 'udx-native';
import type { Hole } from '../hole.ts';
import type { StreamEnd } from './keys.ts';

/** What a stream needs of a hole. */
export type StreamHole<Raw = UDXSocket | TcpSocket> = Pick<
  Hole<Raw>,
  'report' | 'role' | 'key' | 'socket' | 'remote' | 'on' | 'off'
>;

export function isOverUdp(hole: StreamHole): hole is StreamHole<UDXSocket> {
  return !(hole.socket instanceof TcpSocket);
}

/** The side that is called says that it is there until the caller has begun. */
const CALL_MS = 100;
/** How long a move may wait for what was under way; that can have arrived, and its acknowledgement be lost. */
const MOVE_MS = 3000;
/** Any datagram does: only its arrival on the stream counts. */
const CALL = Buffer.from('natprobe');

const LOSSES: ReadonlyMap<string, string> = new Map([
  ['ECONNRESET', 'the peer has ended it'],
  ['ETIMEDOUT', 'the peer acknowledges nothing any more'],
]);

/** `onLost` gets the reason for which the stream or its hole is gone for good. */
export function openRawStream(
  udx: UDX,
  hole: StreamHole<UDXSocket>,
  { own, peer }: { own: StreamEnd; peer: StreamEnd },
  onLost: (reason: string) => void,
): UDXStream {
  const raw = udx.createStream(own.id);
  raw.connect(hole.socket, peer.id, hole.remote.port, hole.remote.address);

  let patience: NodeJS.Timeout | undefined;
  const follow = (): void => {
    const { port, address } = hole.remote;
    // Null where nothing was under way. What was is only ever sent to where the hole was before.
    const moved = patience === undefined ? raw.changeRemote(hole.socket, peer.id, port, address) : null;
    if (moved === null) return;
    patience = setTimeout(() => onLost('what was under way when the hole was lost'), MOVE_MS);
    const settle = (): void => {
      clearTimeout(patience);
      patience = undefined;
    };
    moved.then(settle, settle);
  };
  const fail: Parameters<typeof hole.on<'failed'>>[1] = (report) =>
    onLost(report.reason ?? 'it could not be punched again');
  const close = (): void => onLost('it was closed');
  hole.on('reopened', follow).on('failed', fail).on('closed', close);
  // Also what the stream on it was destroyed with comes by here.
  raw.on('error', ({ code }: NodeJS.ErrnoException) => {
    const loss = LOSSES.get(code ?? '');
    if (loss !== undefined) onLost(loss);
  });
  raw.on('close', () => void hole.off('reopened', follow).off('failed', fail).off('closed', close));
  return raw;
}

/** `onLost` gets the reason for which the connection is gone, before anybody else hears of it. */
export function watchConnection(
  hole: StreamHole,
  connection: TcpSocket,
  onLost: (reason: string) => void,
): void {
  let hasEnded = false;
  const close = (): void => onLost(hasEnded ? 'the peer has ended it' : 'it was closed');
  connection.once('end', () => (hasEnded = true));
  connection.once('error', ({ code = '' }: NodeJS.ErrnoException) => onLost(LOSSES.get(code) ?? code));
  hole.on('closed', close);
  connection.once('close', () => void hole.off('closed', close));
}

/**
 * What a side that speaks first would send before the other has its stream is repeated only after a
 * second. So the other side calls, at once and then every 100 ms; the function that is returned ends it.
 */
export function startCalling(raw: UDXStream): () => void {
  const call = (): void => raw.trySend(CALL);
  call();
  const timer = setInterval(call, CALL_MS);
  return () => clearInterval(timer);
}
