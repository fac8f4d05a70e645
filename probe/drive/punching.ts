/** One punch from its first plan to the hole's end, whatever it goes over. */
import type { Endpoint } from '../../shared/endpoint.ts';
import type { NatprobeError } from '../../shared/errors.ts';
import type { Hole, PunchReport } from '../hole.ts';
import type { Guessing, PunchFailure, StopCode } from '../punch/io.ts';
import type { OpenPunchSocket } from './punch-socket.ts';

export interface PunchingOptions<Raw> {
  readonly open: OpenPunchSocket<Raw>;
  /**
   * Fresh main sockets and another plan are wanted: side `a` asks for an introduction with this attempt,
   * side `b` waits for its plan.
   */
  readonly onRenew: (attempt: number) => void;
  /** An attempt came to nothing, and there is another. */
  readonly onRetrying?: (attempt: number, reason: PunchFailure) => void;
  readonly onGuessing?: (guessing: Guessing) => void;
  /** ERR_FEW_SOCKETS: it goes on with those that it has. */
  readonly onTrouble?: (error: NatprobeError) => void;
  /** Once. From then on the hole tells what becomes of it. */
  readonly onOpen: (hole: Hole<Raw>) => void;
  /** Instead of `onOpen`: no hole, or stopped before there was one. */
  readonly onFailed: (report: PunchReport) => void;
  /** How an introduction ended, for the broker: that of the latest plan. Each time, also where there is another attempt. */
  readonly onOutcome?: (introduction: number, report: PunchReport) => void;
  /** The peer is to hear of the endpoint that a relay gave this side for an introduction, or that it gave none. */
  readonly onRelayed?: (introduction: number, endpoint: Endpoint | undefined) => void;
  readonly onError: (error: unknown) => void;
}

export interface Punching<Start> {
  /** Each later introduction to this peer: as asked for by `onRenew`, or because the peer has lost the hole. */
  begin(start: Start): void;
  /** Gives up, or closes the hole. */
  stop(code?: StopCode): void;
  /** What a relay gave the peer for an introduction. Absent over TCP, where none is turned to. */
  hearRelayed?(introduction: number, endpoint: Endpoint | undefined): void;
}
