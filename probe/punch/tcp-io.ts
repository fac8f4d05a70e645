import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { PunchPlan } from '../../shared/punch/plan.ts';
import type { FailedPunch, OpenHole, StopCode } from './io.ts';

/** What the TCP puncher machine is told. */
export type TcpPuncherInput =
  /**
   * The first plan, and each that answers a `renew`. `sockets` are the ports that are registered, each
   * kept by a connection to the server. `key` was agreed between the peers.
   */
  | {
      kind: 'plan';
      plan: PunchPlan;
      key: Uint8Array;
      sockets: Readonly<Partial<Record<Family, string>>>;
    }
  | { kind: 'connected'; connection: string }
  | { kind: 'connect-failed'; connection: string; reason: TcpConnectFailure }
  /** A connection that came in on a port that is listened on; its name is the driver's to choose. */
  | { kind: 'accepted'; connection: string; from: Endpoint }
  | { kind: 'data'; connection: string; bytes: Uint8Array }
  | { kind: 'closed'; connection: string }
  /** Enough: close what is open. */
  | { kind: 'stop'; code?: StopCode };

/** `refused` by a reset or an ICMP error; `local`: this machine couldn't try. */
export type TcpConnectFailure = 'refused' | 'timeout' | 'local';

/** What the TCP puncher machine asks for. */
export type TcpPuncherAction =
  /** From the port of `socket`; where that is listened on, the listener makes room and comes back. */
  | { kind: 'connect'; connection: string; socket: string; to: Endpoint }
  | { kind: 'listen'; socket: string }
  | { kind: 'send'; connection: string; bytes: Uint8Array }
  | { kind: 'close'; connection: string }
  /** Ends the connection to the server that keeps the port, and the listener if there is one. */
  | { kind: 'close-socket'; socket: string }
  /** Fresh ports, registered afresh, and a plan for them. */
  | { kind: 'renew'; attempt: number };

export type TcpPuncherEvent =
  /** The connection is the application's from here on; everything else is closed. */
  | ({ kind: 'open' } & OpenConnection)
  /** An attempt came to nothing, and there is another. */
  | ({ kind: 'retrying' } & FailedPunch)
  | ({ kind: 'failed' } & FailedPunch);

/** `packets` are the connections that this side began and the messages that it sent on them, in every attempt. */
export interface OpenConnection extends Omit<OpenHole, 'socket'> {
  readonly connection: string;
  /** What the peer has sent for the application already. */
  readonly early: Uint8Array;
}
