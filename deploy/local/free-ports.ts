import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { DEFAULT_HTTP_PORT, DEFAULT_PORT } from '../../shared/default-ports.ts';

/** From one try to the next; and so many of them. */
const STEP = 10;
const TRIES = 50;

/** natprobed's two ports on all these addresses, over UDP and TCP: the default ones, or the next that are free. */
export async function chooseStunPorts(
  addresses: readonly string[],
): Promise<{ port: number; alternatePort: number }> {
  const port = await chooseFirst(DEFAULT_PORT, 'STUN', async (candidate) => {
    for (const address of addresses) {
      for (const one of [candidate, candidate + 1]) {
        if (!(await isUdpFree(address, one)) || !(await isTcpFree(address, one))) return false;
      }
    }
    return true;
  });
  return { port, alternatePort: port + 1 };
}

export function chooseHttpPort(address: string): Promise<number> {
  return chooseFirst(DEFAULT_HTTP_PORT, 'HTTP', (candidate) => isTcpFree(address, candidate));
}

async function chooseFirst(
  preferred: number,
  what: string,
  isFree: (port: number) => Promise<boolean>,
): Promise<number> {
  for (let index = 0; index < TRIES; index++) {
    const port = preferred + index * STEP;
    if (!(await isFree(port))) continue;
    if (index > 0) process.stderr.write(`${what} port ${preferred} is taken; using ${port}\n`);
    return port;
  }
  // Whoever binds it will say what is wrong.
  return preferred;
}

function isUdpFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve(error.code !== 'EADDRINUSE');
    });
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(true)));
  });
}

function isTcpFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
    server.listen({ host: address, port, exclusive: true }, () => {
      server.close(() => resolve(true));
    });
  });
}
