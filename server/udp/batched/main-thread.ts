import type { AnswerCore } from '../../answer/answer-core.ts';
import type { AnswerGuard } from '../../answer/answer-guard.ts';
import { SourceAddress } from '../../answer/source-address.ts';
import { AnswerSender } from '../answer-sender.ts';
import { monotonicMs } from '../limits.ts';
import type { DatagramTap, UdpLaneOptions } from '../udp-lane.ts';
import type { LaneMessage } from './lane-task.ts';
import { LaneSocket, type RoleSockets } from './sockets.ts';
import type { SystemCalls } from './system-calls.ts';

/**
 * The main thread's part in a family's lanes: it hears what may be a browser's that is measured, and
 * answers, by the sockets of a lane, what is none's.
 */
export class MainThread {
  readonly sender: AnswerSender;
  private readonly core: AnswerCore;
  private readonly tap: DatagramTap;
  private readonly guard: AnswerGuard | undefined;
  private readonly source = new SourceAddress();

  constructor(
    calls: SystemCalls,
    sockets: RoleSockets,
    core: AnswerCore,
    { tap, guard }: Required<Pick<UdpLaneOptions, 'tap'>> & UdpLaneOptions,
  ) {
    this.core = core;
    this.tap = tap;
    this.guard = guard;
    this.sender = new AnswerSender(
      core,
      sockets.map((socket) => (socket === undefined ? undefined : new LaneSocket(calls, socket))),
    );
  }

  handleDatagram({ role, bytes, source }: Extract<LaneMessage, { kind: 'datagram' }>): void {
    if (this.tap.handleDatagram(role, bytes, source) || !this.source.set(source.address, source.port)) return;
    if (this.guard !== undefined) this.guard.now = monotonicMs();
    const count = this.core.answer(bytes, 0, bytes.length, this.source, role);
    if (count !== 0) this.sender.send(count, source.address);
  }
}
