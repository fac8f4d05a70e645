/** Frames of the broker's WebSocket, read and checked. */
import type { Static, TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { NatprobeError } from '../errors.ts';
import { explainMismatch } from '../explain-mismatch.ts';
import {
  type ClientMessage,
  ClientMessageSchema,
  type ServerMessage,
  ServerMessageSchema,
} from './messages.ts';

/** Throws ERR_BROKER_MESSAGE, which says what is wrong. */
export const decodeClientMessage: (text: string) => ClientMessage = decoderOf(ClientMessageSchema);
/** Throws ERR_BROKER_MESSAGE. */
export const decodeServerMessage: (text: string) => ServerMessage = decoderOf(ServerMessageSchema);

function decoderOf<Schema extends TSchema>(schema: Schema): (text: string) => Static<Schema> {
  // At the first frame: it takes a while, and each end decodes only what the other says.
  let validator: ReturnType<typeof Compile<Schema>> | undefined;
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', 'no JSON');
    }
    validator ??= Compile(schema);
    if (validator.Check(value)) return value;
    const { field, wanted } = explainMismatch(schema, value);
    throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', `${field || 'it'} ${wanted}`.slice(0, 300));
  };
}
