/** A room of a natprobed on loopback, for the tests of one file. */
import type { Socket } from 'node:dgram';
import type { Socket as TcpSocket } from 'node:net';
import { afterAll, afterEach, beforeAll } from 'vitest';
import {
  classify,
  type Hole,
  join,
  type JoinOptions,
  type Membership,
  type Report,
} from '../../probe/index.ts';
import { formatEndpoint } from '../../shared/endpoint.ts';
import { findFreePorts, type LoopbackServer, startOnLoopback } from '../unit/server/loopback.ts';

/** A server that runs for as long as the tests of a file; who is still in the room after a test leaves. */
export function useRoom(): Room {
  const room = new Room();
  beforeAll(() => room.open());
  afterAll(() => room.close());
  afterEach(() => room.empty());
  return room;
}

export class Room {
  #running: LoopbackServer | undefined;
  #report: Report | undefined;
  readonly #members: Membership[] = [];

  get server(): string {
    return formatEndpoint(this.#running!.endpoints[0]!);
  }

  /** What is measured here, UDP alone. */
  get report(): Report {
    return this.#report!;
  }

  /** What join() has to be told to get in, but for a name. */
  get access(): Pick<JoinOptions, 'server' | 'report'> {
    return { server: this.server, report: this.report };
  }

  async open(): Promise<void> {
    this.#running = await startWithService();
    this.#report = await classify({ server: this.server, families: ['ipv4'], forPunch: true });
  }

  close(): Promise<void> {
    return this.#running!.server.stop();
  }

  async enter(name: string, options: Partial<JoinOptions> = {}): Promise<Membership> {
    return this.welcome(await join({ ...this.access, name, ...options }));
  }

  /** One that joined in another way. */
  welcome(member: Membership): Membership {
    this.#members.push(member);
    return member;
  }

  async empty(): Promise<void> {
    await Promise.all(this.#members.splice(0).map((member) => member.leave()));
  }
}

/** It names its HTTP API. */
export async function startWithService(): Promise<LoopbackServer> {
  const [port] = await findFreePorts('127.0.0.1');
  return startOnLoopback({
    http: { host: '127.0.0.1', port, required: true },
    service: { scheme: 'http', port },
  });
}

export async function firstHole(member: Membership): Promise<Hole<Socket | TcpSocket>> {
  for await (const hole of member.holes()) return hole;
  throw new Error('left before a hole');
}

export async function nextMessage(hole: Hole<unknown>): Promise<string> {
  return new Promise((resolve) => hole.on('message', (bytes) => resolve(Buffer.from(bytes).toString())));
}
