/** What the broker does and tells, in order, until its driver takes it. */
import type { ServerMessage } from '../../shared/broker/messages.ts';
import type { NatprobeError } from '../../shared/errors.ts';
import type { BusAction } from './bus/bus.ts';
import type { RendezvousAction, RendezvousEvent } from './io.ts';
import { refusalOf } from './refusal.ts';

export class Outbox {
  private readonly actions: RendezvousAction[] = [];
  private readonly events: RendezvousEvent[] = [];

  send(connection: number, message: ServerMessage): void {
    this.actions.push({ kind: 'send', connection, message });
  }

  /** Told to the peer, and counted; `id` is the peer's number for the request that can't be met. */
  refuse(connection: number, error: NatprobeError, id?: number): void {
    this.send(connection, refusalOf(error, id));
    this.emit({ kind: 'refused', code: error.code });
  }

  /** `code` as in RFC 6455 §7.4.1. */
  close(connection: number, code: number): void {
    this.actions.push({ kind: 'close', connection, code });
  }

  act(action: BusAction): void {
    this.actions.push({ kind: 'bus', action });
  }

  emit(event: RendezvousEvent): void {
    this.events.push(event);
  }

  takeAction(): RendezvousAction | undefined {
    return this.actions.shift();
  }

  takeEvent(): RendezvousEvent | undefined {
    return this.events.shift();
  }
}
