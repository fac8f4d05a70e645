import { connect } from 'node:net';
import { type Endpoint, familyOf } from '../../shared/endpoint.ts';
import type { DialOutcome } from '../../shared/stun/attributes/dial-back.ts';

export interface DialResult {
  readonly outcome: Extract<DialOutcome, 'connected' | 'refused' | 'unreachable' | 'timeout' | 'failed'>;
  readonly tookMs: number;
  /** The local port of a connection that stood. */
  readonly localPort?: number;
}

export type Dial = typeof dial;

/**
 * Opens one TCP connection from a fresh port of `localAddress` to `to`, and closes it as soon as it
 * stands: nothing is ever written to it. Reports once. Returns a function that gives up, after which
 * nothing is reported.
 */
export function dial(
  localAddress: string,
  to: Endpoint,
  timeoutMs: number,
  report: (result: DialResult) => void,
): () => void {
  const startedAt = performance.now();
  const socket = connect({
    host: to.address,
    port: to.port,
    localAddress,
    family: familyOf(to.address) === 'ipv4' ? 4 : 6,
  });
  let over = false;
  // What has arrived by then counts, though the loop was busy with something else.
  const timer = setTimeout(() => setImmediate(() => finish('timeout')), timeoutMs);

  socket.on('connect', () => finish('connected', socket.localPort));
  socket.on('error', (error: NodeJS.ErrnoException) => finish(outcomeOf(error.code)));

  function finish(outcome: DialResult['outcome'], localPort?: number): void {
    if (over) return;
    stop();
    const tookMs = Math.round(performance.now() - startedAt);
    report({ outcome, tookMs, ...(localPort !== undefined && { localPort }) });
  }

  function stop(): void {
    over = true;
    clearTimeout(timer);
    // Not a reset: that could overtake the handshake's last segment, and the other end would never know.
    socket.destroy();
  }

  return stop;
}

/** What Linux and BSD make of a reset and of ICMP errors while a connection is being opened. */
const OUTCOMES: Readonly<Record<string, DialResult['outcome']>> = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  EHOSTUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENONET: 'unreachable',
  ENOPROTOOPT: 'unreachable',
  EACCES: 'unreachable',
  ETIMEDOUT: 'timeout',
};

function outcomeOf(code: string | undefined): DialResult['outcome'] {
  return OUTCOMES[code ?? ''] ?? 'failed';
}
