import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { Endpoints, Verdict } from '../../shared/nat/verdict.ts';
import type { Enclosures } from './enclosures.ts';

/** What the classifier machine is told. */
export type ClassifierInput =
  | { kind: 'datagram'; socket: string; from: Endpoint; bytes: Uint8Array }
  /** `local` carries the address that the kernel would send from towards the server, never 0.0.0.0. */
  | { kind: 'socket-opened'; socket: string; local: Endpoint }
  | { kind: 'socket-failed'; socket: string; code: string }
  /** An ICMP error, or the system's "no route", for datagrams to `to`. */
  | { kind: 'refused'; to: Endpoint; reason: 'port-unreachable' | 'unreachable' }
  | { kind: 'tcp-connected'; attempt: string }
  /** `bytes`: the answer. */
  | { kind: 'tcp-answered'; attempt: string; bytes: Uint8Array }
  | { kind: 'tcp-failed'; attempt: string; reason: 'refused' | 'unreachable' | 'closed' }
  /** Enough: conclude at once from what is known so far. */
  | { kind: 'stop' };

/** What the classifier machine asks for. */
export type ClassifierAction =
  /**
   * A UDP socket bound to `port` (0: chosen by the system) for traffic with any endpoint. `given` is
   * the person's port: if it can't be bound that is their error to hear; others are tried again.
   * Bound to `localAddress` alone where there is one, else to the wildcard.
   */
  | {
      kind: 'open-socket';
      socket: string;
      family: Family;
      port: number;
      given: boolean;
      towards: Endpoint;
      localAddress?: string;
    }
  /** Connected to `to` alone, so that ICMP errors are reported (as `refused`). Datagrams go the same way. */
  | { kind: 'open-connected-socket'; socket: string; to: Endpoint }
  | { kind: 'send'; socket: string; to: Endpoint; bytes: Uint8Array }
  /** Connect, write `bytes` (one STUN request), report the connection and the first answer, close. */
  | { kind: 'connect-tcp'; attempt: string; to: Endpoint; bytes: Uint8Array }
  | { kind: 'close-socket'; socket: string };

/** How a run reports: what is known so far, now and then, and once the result. */
export type InquiryEvent<Progress, Result> =
  { kind: 'progress'; progress: Progress } | { kind: 'done'; result: Result };

export type ClassifierEvent = InquiryEvent<Verdict, ClassifierResult>;

export interface ClassifierResult {
  readonly family: Family;
  readonly outcome:
    | { readonly kind: 'verdict'; readonly verdict: Verdict }
    /** Neither UDP nor TCP reached the server, or the system refused the socket. */
    | { readonly kind: 'unreachable'; readonly reason: string };
  readonly endpoints: Endpoints;
  readonly timing: { readonly totalMs: number; readonly rttMs?: number };
  readonly evidence: readonly Evidence[];
  /** What came of what was asked for besides; absent if nothing was. */
  readonly enclosures?: Enclosures;
}
