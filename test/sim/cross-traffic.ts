import type { Host } from './host.ts';

/** Nobody has it: such packets leave their mapping and end. */
const SINK = { address: '198.51.100.77', port: 9 };
const PAYLOAD = new Uint8Array(1);

/**
 * Other flows of `host`, which take ports of the NATs in front of it: each is one packet from a
 * fresh port, at exponential intervals. Goes on until the returned function is called.
 */
export function startCrossTraffic(host: Host, flowsPerSecond: number): () => void {
  const { network } = host;
  const random = network.random.fork();
  const address = host.addressOf('ipv4')!;
  const sendOne = () => {
    const socket = host.openSocket({ address, port: 0 }, { onDatagram: () => undefined })!;
    socket.send(SINK, PAYLOAD);
    socket.close();
    next = network.schedule(network.now + random.exponential(1000 / flowsPerSecond), sendOne);
  };
  let next = network.schedule(network.now, sendOne);
  return () => network.cancel(next);
}
