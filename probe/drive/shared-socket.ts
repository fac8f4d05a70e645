/** A socket of several users: two punches may stand on one, and its registration beside them. */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { OpenPunchSocket, PunchSocket } from './punch-socket.ts';
import type { UdpHandlers } from './udp.ts';

export interface SharedSocket<Raw = unknown> {
  /**
   * One more user: it hears all that comes, and tells by itself what is its own. The socket closes when
   * its last user does. Throws once that has been.
   */
  use(user: UdpHandlers): PunchSocket<Raw>;
}

/** Opens one that closes with its last user; so it has to have one. Rejects as `open` does. */
export async function openSharedSocket<Raw>(
  open: OpenPunchSocket<Raw>,
  family: Family,
  port: number,
  towards: Endpoint,
): Promise<SharedSocket<Raw>> {
  const users = new Set<UdpHandlers>();
  const socket = await open(family, port, towards, {
    onDatagram: (from, bytes) => {
      for (const user of [...users]) user.onDatagram(from, bytes);
    },
    onRefused: (to, reason) => {
      for (const user of [...users]) user.onRefused(to, reason);
    },
  });
  let isClosed = false;
  return {
    use(user) {
      if (isClosed) throw new Error(`the socket on port ${socket.local.port} is closed already`);
      users.add(user);
      return {
        local: socket.local,
        raw: socket.raw,
        send: (to, bytes, ttl) => {
          if (users.has(user)) socket.send(to, bytes, ttl);
        },
        close: () => {
          if (!users.delete(user) || users.size > 0) return;
          isClosed = true;
          socket.close();
        },
      };
    },
  };
}
