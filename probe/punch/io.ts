import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { PunchPlan } from '../../shared/punch/plan.ts';
import type { StrategyName } from '../../shared/punch/strategy.ts';

/** What the puncher machine is told. */
export type PuncherInput =
  /**
   * The first plan, and each that answers a `renew`. `sockets` are those that are registered: the main
   * ones, one a family. `key` was agreed between the peers.
   */
  | {
      kind: 'plan';
      plan: PunchPlan;
      key: Uint8Array;
      sockets: Readonly<Partial<Record<Family, string>>>;
      /** Whether a relay is there, and when it is turned to: at once, or when nothing else has opened. */
      relay?: 'at-once' | 'at-last';
    }
  | { kind: 'datagram'; socket: string; from: Endpoint; bytes: Uint8Array }
  | { kind: 'socket-opened'; socket: string }
  | { kind: 'socket-failed'; socket: string }
  /** Through a relay, this side's or the peer's, the peer is reached there from the main socket of that family. */
  | { kind: 'relay-found'; remote: Endpoint }
  /** There is none on that side; `text` goes on from "the relay", where it is this side's. */
  | { kind: 'relay-failed'; side: 'own'; text: string }
  | { kind: 'relay-failed'; side: 'peer' }
  /** Enough: close what is open. */
  | { kind: 'stop'; code?: StopCode };

/** What the puncher machine asks for. */
export type PuncherAction =
  /** A UDP socket for traffic with any endpoint, on a port from `localPorts`, else on one of the system's choice. */
  | {
      kind: 'open-socket';
      socket: string;
      family: Family;
      localPorts?: { readonly first: number; readonly last: number };
    }
  /** With `ttl` in place of the system's for this datagram alone. */
  | { kind: 'send'; socket: string; to: Endpoint; bytes: Uint8Array; ttl?: number }
  | { kind: 'close-socket'; socket: string }
  /** A relayed address that the peer is told of: ends in `relay-failed`, or `relay-found` when the peer is heard there. */
  | { kind: 'relay' }
  /** Main sockets on fresh ports, registered afresh, and a plan for them (MEASURING.md §7). */
  | { kind: 'renew'; attempt: number };

export type PuncherEvent =
  | ({ kind: 'open' } & OpenHole)
  /** Nothing came back for so long that the hole counts as gone; it is punched again. */
  | { kind: 'lost'; silentMs: number }
  /** How far a series of guesses is, while it lasts. */
  | ({ kind: 'guessing' } & Guessing)
  /** An attempt came to nothing, and there is another: `attempt`. */
  | ({ kind: 'retrying' } & FailedPunch)
  | ({ kind: 'failed' } & FailedPunch)
  /** Stopped while the hole was open, here or by the peer. Sockets close once the peer knows. */
  | { kind: 'closed' };

/** Of the packets of an attempt that go to ports which may be the peer's, or from sockets that it may hit. */
export interface Guessing {
  readonly strategy: StrategyName;
  readonly sent: number;
  readonly of: number;
}

/** All that this side sent and the time that it took so far, in every attempt. */
export interface FailedPunch {
  readonly reason: PunchFailure;
  readonly attempt: number;
  readonly packets: number;
  readonly tookMs: number;
}

export interface OpenHole {
  readonly socket: string;
  /**
   * Where the peer is reached from that socket. Where both sides have another public endpoint for each
   * that they send to, its packets come from elsewhere.
   */
  readonly remote: Endpoint;
  readonly path: 'direct' | 'lan' | 'hairpin' | 'relay';
  readonly strategy: StrategyName;
  readonly attempt: number;
  /** All that this side sent for it, in every attempt. */
  readonly packets: number;
  /** From the start of the first attempt. */
  readonly tookMs: number;
  readonly rttMs: number;
}

/** `text` is for people. */
export interface PunchFailure {
  readonly code: FailureCode;
  readonly text: string;
}
export type FailureCode = keyof typeof FAILURES;
/** Why it ends before its time: on this side, or because the peer gave up. */
export type StopCode = Extract<FailureCode, 'stopped' | 'given-up'>;

export const FAILURES = {
  'no-way': 'one side has no UDP, or both have no address family in common',
  'no-tcp-way': 'the two have no endpoints of one address family over TCP',
  'nothing-heard': 'nothing of the peer came through',
  'one-way': 'the peer was heard, but nothing that was sent to it was answered',
  'not-agreed': 'packets passed both ways, but the two did not agree on a path in time',
  'too-many-packets': 'the limit of packets was reached before a hole was open',
  'no-plan': 'no plan came for another attempt',
  'no-relay': 'no relay could be used',
  'relay-not-through': 'nothing came through the relay either',
  /** Over TCP. */
  refused: 'every connection was refused',
  'not-the-peer': 'who took the connection did not have the key',
  stopped: 'it was stopped',
  'given-up': 'the peer has given up',
} as const;

/** To allocate, to tell the peer, and to be heard there, through some losses. */
export const RELAY_MS = 8000;

/** Sockets, registration and a plan for another attempt should take a second or two. */
export const RENEW_MS = 10_000;

export function failureOf(code: FailureCode): PunchFailure {
  return { code, text: FAILURES[code] };
}

export function pathOf(strategy: StrategyName): OpenHole['path'] {
  return strategy === 'lan' || strategy === 'hairpin' || strategy === 'relay' ? strategy : 'direct';
}
