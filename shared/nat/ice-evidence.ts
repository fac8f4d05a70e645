import type { CandidateType } from '../ice/candidate.ts';
import type { Endpoint } from '../endpoint.ts';

/**
 * One ICE connection of a browser, as the server saw it, which played its peer (RFC 8445). The
 * browser knew of no other endpoint of the server than those offered to it.
 */
export interface IceCheckEvidence {
  readonly kind: 'ice-check';
  /** Its name; each connection of a browser has sockets of its own. */
  readonly connection: string;
  readonly purpose: 'mapping' | 'filtering';
  /** The server's endpoints that were its candidates. */
  readonly offered: readonly Endpoint[];
  /** The browser's checks, authenticated; those alike but for the time are one entry. */
  readonly received: readonly IceArrival[];
  /** The server's own checks. */
  readonly checks: readonly IceOwnCheck[];
  /** What the browser says of the connection; absent if it said nothing. */
  readonly browser?: IceBrowserStats;
}

/** Checks from one source that reached one endpoint of the server. */
export interface IceArrival {
  /** The first of them. */
  readonly atMs: number;
  readonly at: Endpoint;
  readonly from: Endpoint;
  /** As the check says: it differs between the sockets of a machine with several interfaces. */
  readonly priority: number;
  readonly count: number;
}

/** One transaction of the server: a check, sent once or more often, and what answered it. */
export interface IceOwnCheck {
  readonly from: Endpoint;
  readonly to: Endpoint;
  /** Hexadecimal. */
  readonly transactionId: string;
  readonly sentMs: readonly number[];
  readonly answers: readonly IceCheckAnswer[];
}

export interface IceCheckAnswer {
  readonly atMs: number;
  readonly from: Endpoint;
  /** Of an error; absent for success. */
  readonly code?: number;
}

/** From the browser's getStats(). */
export interface IceBrowserStats {
  /** Local candidates for UDP, hidden ones included. */
  readonly localCandidates: number;
  /** Pairs that it has begun to check. */
  readonly pairs: number;
  /** Checks that it says it has sent; not every browser counts them. */
  readonly checksSent?: number;
  /** Of the pair that succeeded: a local address as the server saw it makes it `host`. Absent if none did. */
  readonly localType?: CandidateType;
}
