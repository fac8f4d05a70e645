/** The sockets that holes are punched from where streams are to go through them. */
import type { UDXSocket } from 'udx-native';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { PunchSocket } from '../drive/punch-socket.ts';
import { localAddressTowards, type UdpHandlers, withoutZone } from '../drive/udp.ts';
import { loadStreamLibraries } from './load.ts';

/**
 * An `OpenPunchSocket` over the library's sockets. What isn't a packet of a stream is a datagram for
 * `handlers`; these sockets tell nothing of ICMP errors. Throws ERR_STREAM_PLATFORM as well.
 */
export async function openUdxSocket(
  family: Family,
  port: number,
  towards: Endpoint,
  handlers: UdpHandlers,
): Promise<PunchSocket<UDXSocket>> {
  const [{ udx }, address] = await Promise.all([loadStreamLibraries(), localAddressTowards(towards)]);
  const raw = udx.createSocket({ ipv6Only: family === 'ipv6' });
  raw.bind(port, family === 'ipv4' ? '0.0.0.0' : '::');
  raw.on('message', (bytes, from) =>
    handlers.onDatagram({ address: withoutZone(from.host), port: from.port }, bytes),
  );
  return {
    local: { address, port: raw.address()!.port },
    raw,
    send(to, bytes, ttl) {
      raw.trySend(bytes, to.port, to.address, ttl);
    },
    close() {
      raw.removeAllListeners('message');
      void raw.close();
    },
  };
}
