import type { StunMessage } from '../message.ts';
import { attributeName } from '../registry.ts';
import type { MessageWriter } from '../writer.ts';

/**
 * One kind of attribute: how a value of type T stands on the wire, both ways. `ATTRIBUTE.of(value)`
 * goes into encodeMessage, readAttribute(message, ATTRIBUTE) takes it out again.
 */
export interface Attribute<T> {
  readonly type: number;
  /** As the RFCs write it. */
  readonly name: string;
  /** The value, ready to be written. Throws RangeError for a value that the attribute can't carry. */
  of(value: T): AttributeValue;
  /** The value in these bytes of a message (without padding), or undefined if they are none. */
  decode(value: Uint8Array, message: StunMessage): T | undefined;
}

/** An attribute with its value, to be written into a message. */
export interface AttributeValue {
  readonly type: number;
  encode(writer: MessageWriter): void;
}

/** Pairs the two directions of one attribute. `check` throws RangeError for what can't be carried. */
export function defineAttribute<T>(
  type: number,
  codec: {
    check?(value: T): void;
    encode(writer: MessageWriter, value: T): void;
    decode(value: Uint8Array, message: StunMessage): T | undefined;
  },
): Attribute<T> {
  return {
    type,
    name: attributeName(type),
    of: (value) => {
      codec.check?.(value);
      return { type, encode: (writer) => codec.encode(writer, value) };
    },
    decode: (value, message) => codec.decode(value, message),
  };
}

/** Any attribute, known or not, by its type and its bytes. */
export function rawAttribute(type: number, value: Uint8Array): AttributeValue {
  return { type, encode: (writer) => writer.bytes(type, value, 0, value.length) };
}

/** Throws RangeError unless `value` is a whole number from `least` to `most`. */
export function checkWholeNumber(what: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what} ${value} is not a whole number from ${least} to ${most}`);
  }
}
