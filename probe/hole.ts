/** What a punch ends in, for those who use it. */
import type { BrokerPeer, PlannedPrediction, Relay, Transport } from '../shared/broker/messages.ts';
import type { Endpoint } from '../shared/endpoint.ts';
import type { NatprobeError } from '../shared/errors.ts';
import type { PunchRole } from '../shared/punch/plan.ts';
import type { StrategyName } from '../shared/punch/strategy.ts';

export const PUNCH_SCHEMA = 'natprobe/punch@1';

/** How a punch went: the document that `natprobe punch --json` prints. Times in milliseconds. */
export interface PunchReport {
  readonly schema: typeof PUNCH_SCHEMA;
  readonly outcome: 'open' | 'failed';
  /** What opened the hole; in a failure, what was predicted to be the best. */
  readonly strategy: StrategyName;
  /** Absent where nothing is open. */
  readonly path?: 'direct' | 'lan' | 'hairpin' | 'relay';
  readonly transport: Transport;
  readonly peer: BrokerPeer;
  readonly predicted: PlannedPrediction;
  /**
   * Both absent where nothing is open. With a path by a relay `relayed` is the address there: this side's own,
   * and then `remote` is the peer as the relay sees it, or the peer's, and then `remote` is the same.
   */
  readonly endpoints: { readonly local?: string; readonly remote?: string; readonly relayed?: string };
  /** `totalMs` from the first plan's start to the end; `rttMs` through the hole. */
  readonly timing: { readonly totalMs: number; readonly rttMs?: number };
  /** All that this side sent for it, in every attempt. */
  readonly packets: number;
  readonly attempts: number;
  /** Why it failed; with `code` for programs. */
  readonly reason?: string;
  readonly code?: string;
  /** Where the two may be relayed, as the server says. */
  readonly relay?: Relay;
}

/** What an open hole tells; every one ends in `closed` or `failed`. */
export interface HoleEvents {
  /** A datagram of the peer's, through the hole. Checks of the punch are not among them. */
  readonly message: [bytes: Uint8Array];
  /** Nothing came back for so long that the hole counts as gone; it is punched again. */
  readonly lost: [silentMs: number];
  /** Punched again: socket and remote endpoint are others now. */
  readonly reopened: [report: PunchReport];
  readonly failed: [report: PunchReport];
  /**
   * By either side; with ERR_HOLE_LOST where a TCP connection broke, which is not made again. While nobody reads
   * from that connection its end goes unnoticed.
   */
  readonly closed: [reason?: NatprobeError];
}

/** An open hole. `Raw` is the kind of socket that it was punched from (of `node:dgram` unless asked otherwise). */
export interface Hole<Raw> {
  readonly report: PunchReport;
  readonly peer: BrokerPeer;
  /** Who of the two is which end of what is spoken through the hole. */
  readonly role: PunchRole;
  /** 32 bytes that the two peers alone have, agreed anew for each introduction. */
  readonly key: Uint8Array;
  /**
   * May change with `reopened`. Where a relay of this side's carries the hole, `remote` is a port of this machine
   * behind which it does.
   */
  readonly socket: Raw;
  readonly remote: Endpoint;
  on<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this;
  off<Name extends keyof HoleEvents>(event: Name, listener: (...args: HoleEvents[Name]) => void): this;
  /** One datagram to the peer; while the hole is lost it goes nowhere. */
  send(bytes: Uint8Array): void;
  /** Tells the peer, and closes the socket; resolves once the peer knows, within half a second. */
  close(): Promise<void>;
}
