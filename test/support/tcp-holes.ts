/** Two ends of a hole over TCP on loopback, without a punch. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import type { Hole, HoleEvents, PunchReport } from '../../probe/hole.ts';
import type { PunchRole } from '../../shared/punch/plan.ts';

const HOST = '127.0.0.1';

/** What the driver's holes do, but for the report. */
export class StubTcpHole extends EventEmitter<HoleEvents> implements Hole<Socket> {
  readonly role: PunchRole;
  readonly key: Uint8Array;
  readonly peer = { name: 'peer', number: 1 } as Hole<Socket>['peer'];
  readonly socket: Socket;

  constructor(socket: Socket, role: PunchRole, key: Uint8Array) {
    super();
    this.socket = socket;
    this.role = role;
    this.key = key;
    socket.on('error', () => undefined);
    socket.on('close', () => this.emit('closed'));
  }

  get remote(): Hole<Socket>['remote'] {
    return { address: HOST, port: this.socket.remotePort! };
  }

  get report(): PunchReport {
    const { localPort, remotePort } = this.socket;
    const endpoints = { local: `${HOST}:${localPort}`, remote: `${HOST}:${remotePort}` };
    return { outcome: 'open', transport: 'tcp', endpoints, timing: { totalMs: 1 } } as PunchReport;
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  async close(): Promise<void> {
    if (this.socket.closed) return;
    this.socket.destroy();
    await once(this.socket, 'close');
  }
}

export interface TcpHolePair {
  readonly a: StubTcpHole;
  readonly b: StubTcpHole;
  close(): Promise<void>;
}

/** Both sockets paused, as those of a punch are; with one key, unless `foreign`. */
export async function openTcpHolePair({ foreign = false } = {}): Promise<TcpHolePair> {
  const listener = createServer({ pauseOnConnect: true, noDelay: true });
  listener.listen(0, HOST);
  await once(listener, 'listening');
  const { port } = listener.address() as { port: number };
  const calling = connect({ host: HOST, port, noDelay: true }).pause();
  const [[called]] = (await Promise.all([once(listener, 'connection'), once(calling, 'connect')])) as [
    [Socket],
    unknown,
  ];
  listener.close();
  const key = randomBytes(32);
  const a = new StubTcpHole(calling, 'controlling', key);
  const b = new StubTcpHole(called, 'controlled', foreign ? randomBytes(32) : key);
  return {
    a,
    b,
    async close() {
      await Promise.all([a.close(), b.close()]);
    },
  };
}
