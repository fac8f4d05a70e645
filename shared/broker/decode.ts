/** Frames of the broker's WebSocket, read and checked. */
import type { Static, TSchema } from 'typebox';
import { NatprobeError } from '../errors.ts';
import { explainMismatch } from '../explain-mismatch.ts';
import { jsonReader } from '../json-reader.ts';
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
  const read = jsonReader(schema);
  return (text) => {
    const reading = read(text);
    switch (reading.kind) {
      case 'read':
        return reading.value;
      case 'no-json':
        throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', 'no JSON');
      case 'mismatch': {
        const { field, wanted } = explainMismatch(schema, reading.value);
        const detail = `${field || 'it'} ${wanted}`.slice(0, 300);
        throw new NatprobeError('ERR_BROKER_MESSAGE', 'the broker', detail);
      }
    }
  };
}
