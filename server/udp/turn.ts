import type { RemoteInfo } from 'node:dgram';
import type { ServerRole } from '../../shared/role.ts';

const NO_BYTES = new Uint8Array(0);
const NO_SOURCE: RemoteInfo = { address: '', family: 'IPv4', port: 0, size: 0 };

/**
 * What has come to a lane's sockets in one turn of the event loop, `most` datagrams at most. Each is handled once
 * all of them are there: to receive, to answer and to send by turns costs more, since each needs the
 * processor's caches for itself.
 */
export class Turn {
  private readonly most: number;
  private readonly handle: (bytes: Uint8Array, source: RemoteInfo, role: ServerRole) => void;
  private readonly onStart: () => void;
  private readonly onEnd: () => void;
  private count = 0;
  private readonly roles: ServerRole[] = [];
  private readonly datagrams: Uint8Array[] = [];
  private readonly sources: RemoteInfo[] = [];
  private readonly end = (): void => this.handleAll();

  /** Calls `onStart`, then `handle` for each datagram, in the order in which they came, and then `onEnd`. */
  constructor(most: number, onStart: () => void, handle: Turn['handle'], onEnd: () => void) {
    this.most = most;
    this.onStart = onStart;
    this.handle = handle;
    this.onEnd = onEnd;
  }

  add(bytes: Uint8Array, source: RemoteInfo, role: ServerRole): void {
    const { count } = this;
    this.datagrams[count] = bytes;
    this.sources[count] = source;
    this.roles[count] = role;
    this.count = count + 1;
    if (this.count === this.most) this.handleAll();
    else if (count === 0) setImmediate(this.end);
  }

  private handleAll(): void {
    const { count } = this;
    this.count = 0;
    if (count === 0) return;
    this.onStart();
    for (let i = 0; i < count; i++) {
      this.handle(this.datagrams[i]!, this.sources[i]!, this.roles[i]!);
      // The collector of garbage would carry them along until others take their places.
      this.datagrams[i] = NO_BYTES;
      this.sources[i] = NO_SOURCE;
    }
    this.onEnd();
  }
}
