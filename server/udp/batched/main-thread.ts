import type { Endpoint } from '../../../shared/endpoint.ts';
import type { AnswerCore } from '../../answer/answer-core.ts';
import type { AnswerGuard } from '../../answer/answer-guard.ts';
import { SourceAddress } from '../../answer/source-address.ts';
import { AnswerSender, type Relay } from '../answer-sender.ts';
import { monotonicMs } from '../limits.ts';
import { admitRelayed, type DatagramTap, type RelaySender, type UdpLaneOptions } from '../udp-lane.ts';
import type { LaneMessage } from './lane-task.ts';
import { LaneSocket, type RoleSockets } from './sockets.ts';
import type { SystemCalls } from './system-calls.ts';

/**
 * The main thread's part in a family's lanes: it hears what may be a browser's that is measured, and
 * answers, by the sockets of a lane, what is none's. By those it also sends what another host asks for.
 */
export class MainThread implements RelaySender {
  readonly sender: AnswerSender;
  readonly core: AnswerCore;
  private readonly tap: DatagramTap | undefined;
  private readonly guard: AnswerGuard | undefined;
  private readonly source = new SourceAddress();

  constructor(
    calls: SystemCalls,
    sockets: RoleSockets,
    core: AnswerCore,
    { tap, guard, relay }: Omit<UdpLaneOptions, 'relay'> & { readonly relay?: Relay },
  ) {
    this.core = core;
    this.tap = tap;
    this.guard = guard;
    this.sender = new AnswerSender(
      core,
      sockets.map((socket) => (socket === undefined ? undefined : new LaneSocket(calls, socket))),
      relay,
    );
  }

  admit(to: Endpoint, bytes: number): boolean {
    return admitRelayed(this.core, this.guard, to, bytes);
  }

  handleDatagram({ role, bytes, source }: Extract<LaneMessage, { kind: 'datagram' }>): void {
    if (this.tap?.handleDatagram(role, bytes, source) === true) return;
    if (!this.source.set(source.address, source.port)) return;
    if (this.guard !== undefined) this.guard.now = monotonicMs();
    this.sender.prepare(bytes.length);
    const count = this.core.answer(bytes, 0, bytes.length, this.source, role);
    if (count === 0) return;
    this.sender.send(count, source, role);
    this.sender.flush();
  }
}
