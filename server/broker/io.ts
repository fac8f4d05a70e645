/** What the broker's machine is told and given, and what it does and tells. */
import type { ServerMessage } from '../../shared/broker/messages.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import type { BusAction, BusInput } from './bus/bus.ts';
import type { CheckWitness } from './candidates.ts';
import type { BrokerLimits, BrokerTimes } from './limits.ts';
import type { CorrectPrediction, NameRelay, Planners, PunchEvent } from './punches.ts';
import type { CheckRoomToken, RandomBytes } from './rooms.ts';

export type RendezvousInput =
  /** `connection` is a number of its own; `client` is whom the limit of connections goes by. */
  | { readonly kind: 'opened'; readonly connection: number; readonly client: string }
  | { readonly kind: 'frame'; readonly connection: number; readonly text: string }
  | { readonly kind: 'closed'; readonly connection: number }
  | { readonly kind: 'bus'; readonly input: BusInput }
  /** Nobody is served any more. */
  | { readonly kind: 'stop' };

/** To a peer. */
export type PeerAction =
  | { readonly kind: 'send'; readonly connection: number; readonly message: ServerMessage }
  /** After what was sent; `code` as in RFC 6455 §7.4.1. Nothing more is said of this connection. */
  | { readonly kind: 'close'; readonly connection: number; readonly code: number };

export type RendezvousAction =
  | PeerAction
  /** Where its broker is one with those of other servers. */
  | { readonly kind: 'bus'; readonly action: BusAction };

export type RendezvousEvent =
  | { readonly kind: 'joined' | 'resumed' | 'lost' | 'left'; readonly peers: number }
  | { readonly kind: 'refused'; readonly code: ErrorCode }
  | PunchEvent;

export interface RendezvousOptions {
  readonly checkWitness: CheckWitness;
  readonly random: RandomBytes;
  readonly planners?: Planners;
  /** Absent where there is no relay. */
  readonly nameRelay?: NameRelay;
  /** Absent where nothing is learned. */
  readonly correctPrediction?: CorrectPrediction;
  /** Absent where rooms take no tokens. */
  readonly checkRoomToken?: CheckRoomToken;
  /** What it is called among servers whose brokers are one; it has no others if absent. */
  readonly server?: string;
  readonly limits?: Partial<BrokerLimits>;
  readonly times?: Partial<BrokerTimes>;
}
