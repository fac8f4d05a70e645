/** How many TCP connections there may be, in all and from one source. Pure. */
export interface ConnectionLimits {
  readonly total: number;
  /** From one IPv4 address, or one IPv6 /64 (what one customer gets). */
  readonly perSource: number;
  /** A message longer than this closes the connection; it bounds PADDING over TCP. */
  readonly messageBytes: number;
  /** From a message's first byte to its last; the first one has as long from the connection's start. */
  readonly messageTimeoutMs: number;
  /** Between messages. RFC 8489 §6.2.2 would have the client close; at least 39.5 s leaves it the choice. */
  readonly idleTimeoutMs: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  total: 1024,
  perSource: 32,
  messageBytes: 4096,
  messageTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
};

/** Connections that are open, or being opened. */
export class ConnectionCount {
  total = 0;
  private readonly limits: Pick<ConnectionLimits, 'total' | 'perSource'>;
  private readonly bySource = new Map<string, number>();

  constructor(limits: Pick<ConnectionLimits, 'total' | 'perSource'>) {
    this.limits = limits;
  }

  /** Whether one more from this source is let in; if so, release() it when it ends. */
  admit(source: string): boolean {
    const count = this.bySource.get(source) ?? 0;
    if (this.total >= this.limits.total || count >= this.limits.perSource) return false;
    this.total++;
    this.bySource.set(source, count + 1);
    return true;
  }

  release(source: string): void {
    const count = this.bySource.get(source) ?? 0;
    this.total--;
    if (count > 1) this.bySource.set(source, count - 1);
    else this.bySource.delete(source);
  }
}
