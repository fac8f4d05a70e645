import { formatEndpoint, parseEndpoint, type Endpoint } from '../../shared/endpoint.ts';
import type { Host, UdpSocket } from './host.ts';
import type { Network } from './network.ts';

/** A socket that keeps what reaches it, for tests of the network itself. */
export interface Recorder {
  readonly socket: UdpSocket;
  /** The source of each datagram, in order. */
  readonly heard: string[];
  readonly texts: string[];
  /** `ENDPOINT REASON` of each ICMP error. */
  readonly refusals: string[];
  /** When each datagram came, in virtual milliseconds. */
  readonly times: number[];
}

/** Listens on `local` (ADDRESS:PORT); with `peer` the socket is connected to it. */
export function openRecorder(host: Host, local: string, peer?: string): Recorder {
  const heard: string[] = [];
  const texts: string[] = [];
  const refusals: string[] = [];
  const times: number[] = [];
  const socket = host.openSocket(
    endpoint(local),
    {
      onDatagram(bytes, from) {
        heard.push(formatEndpoint(from));
        texts.push(Buffer.from(bytes).toString());
        times.push(host.network.now);
      },
      onRefused: (to, reason) => refusals.push(`${formatEndpoint(to)} ${reason}`),
    },
    peer === undefined ? undefined : endpoint(peer),
  );
  if (socket === undefined) throw new Error(`${local} is taken`);
  return { socket, heard, texts, refusals, times };
}

/** Sends `text` and lets the network come to rest (a second is far more than any path takes here). */
export function sendAndSettle(network: Network, from: Recorder, to: string, text = ''): void {
  from.socket.send(endpoint(to), Buffer.from(text));
  network.run(network.now + 1000);
}

/** The sources that `to` heard since the last call. */
export function takeHeard(recorder: Recorder): string[] {
  return recorder.heard.splice(0);
}

export function endpoint(text: string): Endpoint {
  return parseEndpoint(text, 'test');
}
