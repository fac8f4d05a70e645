/**
 * `--bridge HOST:PORT`: datagrams between a local UDP program and the peer's. They go through the hole
 * encrypted, each as one packet, beside the stream, which only says when it is over; through a TCP connection
 * within it. Like all UDP they may be lost, overtaken or come twice.
 */
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { localAddressTowards, openUdpSocket, systemErrorCode, type UdpSocket } from '../drive/udp.ts';
import type { SecureStream } from './secure-stream.ts';

export interface BridgeOptions {
  /** Where the program receives. One that only sends may do so from another port: see `bridgeThrough`. */
  readonly program: Endpoint;
  /** The port at which the bridge receives from it; chosen by the system if not given. */
  readonly port?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Once it works: where the program reaches it. */
  readonly onOpen: (at: Endpoint, longestDatagram: number) => void;
  /** The first datagram that is too long for the hole. */
  readonly onTooLong: (bytes: number, longestDatagram: number) => void;
}

/** Datagrams since the beginning. */
export interface BridgeCounts {
  readonly sent: number;
  readonly received: number;
  /** Too long for the hole. */
  readonly dropped: number;
}

/**
 * Until the peer ends it, or `signal`. What comes from the hole goes to whoever of the program's host has
 * last sent to the bridge, and before that to `program`. Rejects with ERR_BRIDGE, or with what broke the stream.
 */
export async function bridgeThrough(stream: SecureStream, options: BridgeOptions): Promise<BridgeCounts> {
  const { program, signal, onOpen, onTooLong } = options;
  let local = program;
  let [sent, received, dropped] = [0, 0, 0];
  const socket = await openLocal(program, options.port, (from, bytes) => {
    if (from.address !== program.address) return;
    if (!sameEndpoint(from, local)) local = from;
    if (stream.sendDatagram(bytes)) {
      sent += 1;
      return;
    }
    if (dropped === 0) onTooLong(bytes.length, stream.longestDatagram);
    dropped += 1;
  });
  stream.onDatagram((bytes) => {
    socket.send(local, bytes);
    received += 1;
  });
  const leave = (): void => {
    // What breaks it shows below.
    stream.end().catch(() => undefined);
  };
  signal?.addEventListener('abort', leave, { once: true });
  try {
    onOpen(socket.local, stream.longestDatagram);
    if (signal?.aborted === true) leave();
    await stream.whenPeerEnds();
    await stream.end();
    await stream.closed();
    return { sent, received, dropped };
  } finally {
    signal?.removeEventListener('abort', leave);
    socket.close();
  }
}

async function openLocal(
  program: Endpoint,
  port = 0,
  onDatagram: (from: Endpoint, bytes: Uint8Array) => void,
): Promise<UdpSocket> {
  try {
    const address = await localAddressTowards(program);
    // The program may not be there yet, or no longer: that is for it to mend.
    const handlers = { onDatagram, onRefused: () => undefined };
    return await openUdpSocket(familyOf(program.address), port, program, handlers, address);
  } catch (error) {
    throw new NatprobeError('ERR_BRIDGE', formatEndpoint(program), systemErrorCode(error), { cause: error });
  }
}
