/** The library's join() and punch(): a member of a room at the broker, and the holes that it has with others. */
import type { Socket } from 'node:dgram';
import type { Socket as TcpSocket } from 'node:net';
import type { BrokerPeer, Consent, PlannedPrediction, Transport } from '../shared/broker/messages.ts';
import type { Family } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import type { Reason } from '../shared/nat/verdict.ts';
import type { Budget, StrategyName } from '../shared/punch/strategy.ts';
import type { Report } from '../shared/report/report.ts';
import type { Hole, PunchReport } from './hole.ts';

export interface RoomOptions {
  /** A natprobed with a broker: `HOST`, `HOST:PORT`, `[V6]:PORT`. */
  readonly server?: string;
  /** More of them: the first one that names its HTTP API is taken. */
  readonly servers?: readonly string[];
  /** The address of the HTTP API, if not the one that the server names. */
  readonly api?: string;
  /** `lobby` if not given. */
  readonly room?: string;
  /** Whoever comes first gives the room its key; the others need it. */
  readonly roomKey?: string;
  /** Where the server wants one: a JWT that names the room. */
  readonly roomToken?: string;
  /** A secret that the two people have told each other: keeps out a broker that swaps keys. */
  readonly psk?: string;
  /** Of this machine, from `classify()`, best with what `full` measures. Without one it is classified first. */
  readonly report?: Report;
  /** Both if not given. */
  readonly families?: readonly Family[];
  /** The port that the first punch is made from; later ones are from fresh ports. */
  readonly localPort?: number;
  /** A bound UDP socket of the application that the first punch is made from; only its family is used, and it stays open. */
  readonly socket?: Socket;
  /** Also have the router map that port, and another one for each later punch, until the room is left. */
  readonly mapPort?: boolean;
  /** Leave the mapping of the first in the router: for two hours, or as the router has it. */
  readonly keepMapping?: boolean;
  /** Whether ports below 1024 may be bound where that makes a punch likelier and this process can; true if not given. */
  readonly lowPorts?: boolean;
  readonly signal?: AbortSignal;
}

export interface JoinOptions<Raw = Socket> extends RoomOptions {
  /** Unique in the room, and not only digits. A readable one is made up if none is given. */
  readonly name?: string;
  /**
   * Whether others get in: `auto` if not given. With `ask` each one is asked about by `onAsk`; with `refuse`
   * nobody does but by a punch of this side.
   */
  readonly consent?: Consent;
  /** Whether that peer gets in. `signal` aborts once the answer would be too late. A rejection is a no. */
  readonly onAsk?: (peer: BrokerPeer, ask: AskedOf) => boolean | Promise<boolean>;
  readonly onEvent?: (event: MembershipEvent<Raw>) => void;
}

export interface AskedOf {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface PunchOptions<Raw = Socket> extends RoomOptions, PunchCallOptions {
  /** The name to join under; made up if not given. */
  readonly as?: string;
  readonly onEvent?: (event: MembershipEvent<Raw>) => void;
}

export interface PunchCallOptions {
  /** UDP if not given. */
  readonly transport?: Transport;
  readonly signal?: AbortSignal;
}

export type UdpPunchCallOptions = PunchCallOptions & { readonly transport?: 'udp' };
export type TcpPunchCallOptions = PunchCallOptions & { readonly transport: 'tcp' };

/** What happens to a member, in the order of its happening; `left` is the last. */
export type MembershipEvent<Raw = Socket> =
  /** Also once more under another number, after the server has lost the session. */
  | { readonly kind: 'joined'; readonly name: string; readonly number: number; readonly room: string }
  /** The connection to the broker is lost and sought again; holes stay open. */
  | { readonly kind: 'lost'; readonly error: NatprobeError }
  | { readonly kind: 'resumed' }
  /** Others can be introduced from now on, after `joined`, `resumed` or `unregistered`. */
  | { readonly kind: 'registered' }
  /** No public endpoint is to be had at the moment; it is tried again. */
  | { readonly kind: 'unregistered'; readonly error: NatprobeError }
  | { readonly kind: 'asked'; readonly peer: BrokerPeer; readonly timeoutMs: number }
  | { readonly kind: 'answered'; readonly peer: BrokerPeer; readonly answer: 'yes' | 'no' | 'withdrawn' }
  /** The peer is being asked whether it wants to be introduced. */
  | { readonly kind: 'waiting'; readonly peer: string | number }
  /** A punch begins, or goes on with another attempt. */
  | {
      readonly kind: 'planned';
      readonly peer: BrokerPeer;
      /** Whether this side asked. */
      readonly isOwn: boolean;
      readonly prediction: PlannedPrediction;
      readonly attempt: number;
      readonly attempts: number;
    }
  /** How many packets of a series have gone out that may hit a port of the peer's, or be hit; while it lasts, ten times a second. */
  | {
      readonly kind: 'guessing';
      readonly peer: BrokerPeer;
      readonly strategy: StrategyName;
      readonly sent: number;
      readonly of: number;
    }
  /** An attempt came to nothing, and there is another. */
  | {
      readonly kind: 'retrying';
      readonly peer: BrokerPeer;
      readonly attempt: number;
      readonly reason: string;
    }
  /** A peer has opened a hole. */
  | { readonly kind: 'hole'; readonly hole: Hole<Raw> }
  /** A peer has connected over TCP. */
  | { readonly kind: 'tcp-hole'; readonly hole: Hole<TcpSocket> }
  /** A punch that a peer asked for has failed. */
  | { readonly kind: 'failed'; readonly report: PunchReport }
  /** Something did not work that nobody waits for. */
  | { readonly kind: 'trouble'; readonly error: NatprobeError }
  /** With the reason, unless it was by leave(). */
  | { readonly kind: 'left'; readonly error?: NatprobeError };

export interface Membership<Raw = Socket> {
  readonly name: string;
  /** Another one, if the server has lost the session in between. */
  readonly number: number;
  readonly room: string;
  /** Those in the room who can be introduced, this one among them. */
  peers(signal?: AbortSignal): Promise<readonly BrokerPeer[]>;
  /** What a punch to that peer (a name or a number) would promise, without asking it. */
  foresee(peer: string | number, options?: PunchCallOptions): Promise<Foresight>;
  /**
   * Opens a hole to that peer (a name or a number). Rejects with a PunchFailedError if none can be opened,
   * with the broker's refusal as a NatprobeError, or with ERR_ABORTED.
   */
  punch(peer: string | number, options?: UdpPunchCallOptions): Promise<Hole<Raw>>;
  /** Over TCP: the hole's socket is a connected one, paused until it is resumed or piped. */
  punch(peer: string | number, options: TcpPunchCallOptions): Promise<Hole<TcpSocket>>;
  punch(peer: string | number, options?: PunchCallOptions): Promise<Hole<Raw | TcpSocket>>;
  /** Those that peers open from now on, over UDP or TCP as they like (`report.transport`); ends when the room is left. */
  holes(): AsyncIterable<Hole<Raw | TcpSocket>>;
  /** Resolves when the room is left; with the reason, unless it was by leave(). */
  readonly left: Promise<NatprobeError | undefined>;
  /** Closes all holes and gives the name up. */
  leave(): Promise<void>;
}

export interface Foresight {
  readonly peer: BrokerPeer;
  readonly prediction: PlannedPrediction;
  /** What its strategy may take, both sides together. */
  readonly budget: Budget;
  readonly reasons: readonly Reason[];
}

/** A punch that came to nothing; `report` says how. */
export class PunchFailedError extends NatprobeError {
  readonly report: PunchReport;

  constructor(report: PunchReport) {
    super('ERR_PUNCH_FAILED', report.peer.name, report.reason);
    this.report = report;
  }
}
