import type { Endpoint } from '../../../shared/endpoint.ts';
import { plainLine } from '../../../shared/words.ts';

/** What a relay's client is told. */
export type TurnInput =
  /** From the relay. */
  | { readonly kind: 'datagram'; readonly bytes: Uint8Array }
  /** To be relayed to a peer. */
  | { readonly kind: 'relay'; readonly to: Endpoint; readonly bytes: Uint8Array }
  /** Nobody listens at the relay's port, as the system was told. */
  | { readonly kind: 'unreachable' }
  /** The allocation is wanted no more. */
  | { readonly kind: 'release' };

/** To the relay. */
export interface TurnAction {
  readonly kind: 'send';
  readonly bytes: Uint8Array;
}

export type TurnEvent =
  /** Whoever has one of the peer's addresses reaches this side by `relayed`. */
  | { readonly kind: 'allocated'; readonly relayed: Endpoint }
  /** Of a peer, through the relay. */
  | { readonly kind: 'received'; readonly from: Endpoint; readonly bytes: Uint8Array }
  /** There is no allocation, or none any more. The last one. */
  | { readonly kind: 'failed'; readonly failure: TurnFailure }
  /** Given up, as was asked for. The last one. */
  | { readonly kind: 'released' };

export type TurnFailure =
  | { readonly kind: 'silent' }
  | { readonly kind: 'unreachable' }
  /** By an error response (RFC 8489 §14.8). `reason` is the relay's own text. */
  | { readonly kind: 'refused'; readonly code: number; readonly reason: string };

const LONGEST_REASON = 80;

/** What is the matter, as it goes on from "the relay". */
export function describeTurnFailure(failure: TurnFailure): string {
  if (failure.kind === 'silent') return 'does not answer';
  if (failure.kind === 'unreachable') return 'is not running: its port is closed';
  const said = `${failure.code} ${plainLine(failure.reason, LONGEST_REASON)}`.trim();
  return `${REFUSALS[failure.code] ?? 'refuses'} (${said})`;
}

/** RFC 8656 §19. */
const REFUSALS: Readonly<Record<number, string>> = {
  300: 'sends its clients to another one, which is not followed',
  401: 'does not take the credentials, which have expired or were made with another secret',
  403: 'does not relay to the peer’s address',
  440: 'has no address of the peer’s family',
  441: 'does not take the credentials, which have expired or were made with another secret',
  486: 'has no more room for this user',
  508: 'has no more room',
};
