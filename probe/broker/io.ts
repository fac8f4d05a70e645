import type {
  BrokerPeer,
  Candidates,
  ClientMessage,
  Hello,
  Outcome,
  Plan,
  PlannedPrediction,
  Transport,
} from '../../shared/broker/messages.ts';
import type { Endpoint } from '../../shared/endpoint.ts';
import type { NatprobeError } from '../../shared/errors.ts';
import type { Reason } from '../../shared/nat/verdict.ts';
import type { Budget } from '../../shared/punch/strategy.ts';

/** What a member says of itself. The token and the public key come with each connection. */
export type MemberHello = Omit<Hello, 'kind' | 'schema' | 'token' | 'publicKey'>;
/** Of a set of sockets that were opened together: its witnesses, and its own addresses. */
export type GatheredCandidates = Omit<Candidates, 'kind' | 'introduction'>;
export type ReportedOutcome = Omit<Outcome, 'kind' | 'introduction'>;

/** What is asked of the broker, and ends in an answer or a refusal; an introduction in a `punch`. */
export type MemberRequest =
  | { readonly about: 'peers' }
  | { readonly about: 'foresee'; readonly peer: string | number; readonly transport: Transport }
  | {
      readonly about: 'introduction';
      readonly peer: string | number;
      readonly attempt: number;
      readonly transport: Transport;
    };

/** What the member's machine is told. Connections and gatherings are those that it asked for. */
export type MemberInput =
  /** `publicKey` (X25519, base64url) is of this connection alone. */
  | { readonly kind: 'opened'; readonly connection: number; readonly publicKey: string }
  | { readonly kind: 'frame'; readonly connection: number; readonly text: string }
  /** It is no more, or never was. */
  | { readonly kind: 'closed'; readonly connection: number; readonly error: NatprobeError }
  | { readonly kind: 'gathered'; readonly gathering: number; readonly candidates: GatheredCandidates }
  | { readonly kind: 'not-gathered'; readonly gathering: number; readonly error: NatprobeError }
  /** `request` is a number that no other request has. */
  | { readonly kind: 'request'; readonly request: number; readonly ask: MemberRequest }
  /** Nobody waits for it any more. */
  | { readonly kind: 'cancel'; readonly request: number }
  | { readonly kind: 'consent'; readonly introduction: number }
  | { readonly kind: 'refuse'; readonly introduction: number; readonly text?: string }
  /** How a punch went; only the first word on it is passed on. */
  | { readonly kind: 'outcome'; readonly introduction: number; readonly outcome: ReportedOutcome }
  /** What a relay gave this side for that punch; without `endpoint` nothing. */
  | { readonly kind: 'relayed'; readonly introduction: number; readonly endpoint?: Endpoint }
  /** That punch was ended on this side, before it was known how it goes or after an attempt that failed. */
  | { readonly kind: 'withdraw'; readonly introduction: number }
  | { readonly kind: 'leave' };

/** What the member's machine asks for. */
export type MemberAction =
  /** To the broker: ends in `opened` or `closed`, and then `closed`. */
  | { readonly kind: 'connect'; readonly connection: number }
  | { readonly kind: 'send'; readonly connection: number; readonly message: ClientMessage }
  /** After what was sent; nothing more is heard of it. */
  | { readonly kind: 'close'; readonly connection: number }
  /**
   * Candidates with witnesses under that nonce (hexadecimal): of fresh sockets, or once more of those that
   * this gathering has. With `introduction` they are for that one alone.
   */
  | {
      readonly kind: 'gather';
      readonly gathering: number;
      readonly isFresh: boolean;
      readonly nonce: string;
      readonly transport: Transport;
      readonly introduction?: number;
    }
  /** Nobody will be told of these sockets any more; who punches from them goes on. */
  | { readonly kind: 'release'; readonly gathering: number }
  /** To be carried out from the sockets of that gathering, with the key of that connection. */
  | {
      readonly kind: 'punch';
      readonly plan: Plan;
      readonly gathering: number;
      readonly connection: number;
      /** That it answers, if this side asked. */
      readonly request?: number;
    };

export type MemberEvent =
  /** `isNew`: under a number that others don't know yet; else the session goes on. */
  | {
      readonly kind: 'joined';
      readonly number: number;
      readonly name: string;
      readonly room: string;
      readonly isNew: boolean;
    }
  /** It can be introduced now, where it couldn't before. */
  | { readonly kind: 'registered' }
  /** No candidates were to be had; it is tried again. */
  | { readonly kind: 'unregistered'; readonly error: NatprobeError }
  /** The connection is lost, and sought again. */
  | { readonly kind: 'lost'; readonly error: NatprobeError }
  /** The peer is being asked. */
  | { readonly kind: 'waiting'; readonly request: number }
  | { readonly kind: 'peers'; readonly request: number; readonly peers: readonly BrokerPeer[] }
  | {
      readonly kind: 'prediction';
      readonly request: number;
      readonly peer: BrokerPeer;
      readonly prediction: PlannedPrediction;
      readonly budget: Budget;
      readonly reasons: readonly Reason[];
    }
  | { readonly kind: 'refused'; readonly request: number; readonly error: NatprobeError }
  /** Somebody wants to be introduced. */
  | {
      readonly kind: 'asked';
      readonly introduction: number;
      readonly peer: BrokerPeer;
      readonly timeoutMs: number;
    }
  | { readonly kind: 'withdrawn'; readonly introduction: number }
  /** What a relay gave the peer for that punch; without `endpoint` nothing. */
  | { readonly kind: 'relayed'; readonly introduction: number; readonly endpoint?: Endpoint }
  /** The peer has ended the punch. */
  | { readonly kind: 'given-up'; readonly introduction: number }
  /** Something that nobody waits for did not work. */
  | { readonly kind: 'trouble'; readonly error: NatprobeError }
  /** The last one: it has left, or there is no going on. */
  | { readonly kind: 'ended'; readonly error?: NatprobeError };

/** Where the parts of the machine put what is to be said to the broker, done and told. */
export interface MemberOutlet {
  say(message: ClientMessage): void;
  act(action: MemberAction): void;
  tell(event: MemberEvent): void;
}
