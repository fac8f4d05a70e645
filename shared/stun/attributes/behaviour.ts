/** What a request asks of the server's way of answering (RFC 5780 §7; CHANGE-REQUEST since RFC 3489). */
import { ATTRIBUTE, CHANGE_ADDRESS_FLAG, CHANGE_PORT_FLAG } from '../registry.ts';
import { readU32 } from '../cursor.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';

/** Which of the answering endpoint's two parts shall differ. RFC 5780 §7.2, RFC 3489 §11.2.4. */
export interface ChangeRequest {
  readonly address: boolean;
  readonly port: boolean;
}

export const CHANGE_REQUEST = defineAttribute<ChangeRequest>(ATTRIBUTE.CHANGE_REQUEST, {
  encode: (writer, change) => {
    const flags = (change.address ? CHANGE_ADDRESS_FLAG : 0) | (change.port ? CHANGE_PORT_FLAG : 0);
    writer.u32(ATTRIBUTE.CHANGE_REQUEST, flags);
  },
  decode: (value) => {
    if (value.length !== 4) return undefined;
    const flags = readU32(value, 0);
    return { address: (flags & CHANGE_ADDRESS_FLAG) !== 0, port: (flags & CHANGE_PORT_FLAG) !== 0 };
  },
});

/**
 * The port of the client's address to answer to (RFC 5780 §7.5): 16 bits and two bytes of padding.
 * Read with the padding counted in the length or not, since both are in use.
 */
export const RESPONSE_PORT = defineAttribute<number>(ATTRIBUTE.RESPONSE_PORT, {
  check: (port) => checkWholeNumber('port', port, 0, 0xffff),
  encode: (writer, port) => writer.u16Pair(ATTRIBUTE.RESPONSE_PORT, port, 0),
  decode: (value) => (value.length === 4 || value.length === 2 ? (value[0]! << 8) | value[1]! : undefined),
});

/** How many bytes of filling (RFC 5780 §7.6); written as zeros. */
export const PADDING = defineAttribute<number>(ATTRIBUTE.PADDING, {
  check: (length) => checkWholeNumber('a padding length of', length, 0, 0xffff),
  encode: (writer, length) => writer.filler(ATTRIBUTE.PADDING, length),
  decode: (value) => value.length,
});
