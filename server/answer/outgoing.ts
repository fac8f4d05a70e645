import type { ServerRole } from '../../shared/role.ts';
import { MessageWriter } from '../../shared/stun/writer.ts';

/** One datagram to send. Its destination address is always the source's. */
export interface OutgoingDatagram {
  /** Which socket to send from. */
  readonly role: ServerRole;
  /** The message is its first `length` bytes. */
  readonly buffer: Uint8Array;
  readonly length: number;
  /** The destination port. */
  readonly port: number;
}

/** An OutgoingDatagram in the making. */
export class Outgoing implements OutgoingDatagram {
  role: ServerRole = 0;
  writer: MessageWriter;
  length = 0;
  port = 0;

  constructor(bufferBytes: number) {
    this.writer = new MessageWriter(new Uint8Array(bufferBytes));
  }

  get buffer(): Uint8Array {
    return this.writer.buffer;
  }
}
