/** Servers on loopback for tests: free ports, a started server, and clients that ask it. */
import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { type StunMessage, decodeMessage } from '../../../shared/stun/message.ts';
import { type FamilyConfig, type ServerConfig, roleEndpoints } from '../../../server/config.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../../server/server.ts';

/** Below the ports that the system hands out itself, so that no client takes one in between. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** Two ports that are free on all of these addresses, for UDP and TCP. */
export async function findFreePorts(...addresses: string[]): Promise<[number, number]> {
  const free: number[] = [];
  for (let attempt = 0; attempt < 1000 && free.length < 2; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!free.includes(port) && (await isFree(port, addresses))) free.push(port);
  }
  const [first, second] = free;
  if (first === undefined || second === undefined) throw new Error('no two free ports');
  return [first, second];
}

/** The first of two adjacent ports that are free on all of these addresses, for UDP and TCP. */
export async function findPortPair(...addresses: string[]): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const [port] = await findFreePorts(...addresses);
    if (await isFree(port + 1, addresses)) return port;
  }
  throw new Error('no two free ports in a row');
}

async function isFree(port: number, addresses: readonly string[]): Promise<boolean> {
  for (const address of addresses) {
    try {
      const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      const bound = once(socket, 'listening');
      socket.bind(port, address);
      await bound.finally(() => socket.close());
      const server = createServer().listen(port, address);
      await once(server, 'listening');
      server.close();
    } catch {
      return false;
    }
  }
  return true;
}

export interface LoopbackServer {
  readonly server: RunningServer;
  /** The endpoints by role: PP, PA and, with two addresses, AP and AA. */
  readonly endpoints: readonly Endpoint[];
}

/** A server, by default on free ports of two IPv4 addresses, without HTTP and self-test. */
export async function startOnLoopback(
  config?: Partial<ServerConfig>,
  options?: ServerOptions,
): Promise<LoopbackServer> {
  const whole = { ...(await loopbackConfig()), ...config };
  const server = await startServer(whole, options);
  return { server, endpoints: whole.families[0]!.bound.filter((endpoint) => endpoint !== undefined) };
}

export async function loopbackConfig(): Promise<ServerConfig> {
  return { families: [await loopbackFamily('127.0.0.1', '127.0.0.2')], selfTest: false };
}

export async function loopbackFamily(primary: string, alternate: string | undefined): Promise<FamilyConfig> {
  const addresses = alternate === undefined ? [primary] : [primary, alternate];
  const [port, alternatePort] = await findFreePorts(...addresses);
  const bound = roleEndpoints(primary, alternate, port, alternatePort);
  return { family: primary.includes(':') ? 'ipv6' : 'ipv4', bound, advertised: bound };
}

/** What one datagram was, and from where. */
export interface Heard {
  readonly from: Endpoint;
  readonly message: StunMessage;
}

/** A UDP client on loopback that keeps what it hears. */
export class UdpClient {
  readonly heard: Heard[] = [];
  private readonly socket: Socket;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('message', (bytes, { address, port }) => {
      const decoded = decodeMessage(bytes);
      if (decoded.kind !== 'message') throw new Error(`${decoded.kind} from ${address}:${port}`);
      this.heard.push({ from: { address, port }, message: decoded.message });
    });
  }

  static async open(address = '127.0.0.1'): Promise<UdpClient> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    const bound = once(socket, 'listening');
    socket.bind(0, address);
    await bound;
    return new UdpClient(socket);
  }

  get endpoint(): Endpoint {
    const { address, port } = this.socket.address();
    return { address, port };
  }

  send(bytes: Uint8Array, to: Endpoint): void {
    this.socket.send(bytes, to.port, to.address);
  }

  /** Waits until `count` datagrams in all have been heard; throws after 2 s. */
  async hear(count: number): Promise<readonly Heard[]> {
    const timeout = AbortSignal.timeout(2000);
    while (this.heard.length < count) await once(this.socket, 'message', { signal: timeout });
    return this.heard;
  }

  close(): void {
    this.socket.close();
  }
}
