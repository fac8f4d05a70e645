/** What an error response says (RFC 8489 §14.8, §14.13). */
import { ATTRIBUTE, ERROR_PHRASES } from '../registry.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';
import { checkText, decodeText } from './text.ts';

export interface ErrorCodeValue {
  /** 300 to 699; in RFC 3489 100 to 699. */
  readonly code: number;
  /** For people; less than 128 characters. The registry's phrase if left out when encoding. */
  readonly reason?: string;
}

/** RFC 8489 §14.8. RFC 3489 pads the reason with spaces, which are taken off again. */
export const ERROR_CODE = defineAttribute<ErrorCodeValue>(ATTRIBUTE.ERROR_CODE, {
  check: ({ code, reason }) => {
    checkWholeNumber('error code', code, 100, 699);
    if (reason !== undefined) checkText('a reason', reason, { characters: 127 });
  },
  encode: (writer, { code, reason = ERROR_PHRASES[code] ?? '' }) => {
    writer.errorCode(code, Buffer.from(reason));
  },
  decode: (value, message) => {
    if (value.length < 4) return undefined;
    const hundreds = value[2]! & 0x07;
    const rest = value[3]!;
    if (hundreds < 1 || hundreds > 6 || rest > 99) return undefined;
    const reason = decodeText(value.subarray(4));
    if (reason === undefined) return undefined;
    return { code: hundreds * 100 + rest, reason: message.modern ? reason : reason.replace(/ +$/, '') };
  },
});

/** Attribute types that the server doesn't know (RFC 8489 §14.13); RFC 3489's repeated last one is taken off. */
export const UNKNOWN_ATTRIBUTES = defineAttribute<readonly number[]>(ATTRIBUTE.UNKNOWN_ATTRIBUTES, {
  check: (types) => {
    for (const type of types) checkWholeNumber('attribute type', type, 0, 0xffff);
  },
  encode: (writer, types) => writer.unknownAttributes(types, types.length, !writer.modern),
  decode: (value, message) => {
    if (value.length % 2 !== 0) return undefined;
    const types: number[] = [];
    for (let i = 0; i < value.length; i += 2) types.push((value[i]! << 8) | value[i + 1]!);
    if (!message.modern && types.length > 1 && types.at(-1) === types.at(-2)) types.pop();
    return types;
  },
});
