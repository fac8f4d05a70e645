/** The attributes whose value is text in UTF-8. */
import { ATTRIBUTE } from '../registry.ts';
import { defineAttribute } from './attribute.ts';
import type { Attribute } from './attribute.ts';

/** Most bytes of a text of 127 characters as RFC 8489 §14.8 to §14.10 and §14.14 have receivers allow. */
const MOST_BYTES_RECEIVED = 763;

/** RFC 8489 §14.3: less than 509 bytes; in RFC 3489 messages (§11.2.6) a multiple of four. */
export const USERNAME = textAttribute(ATTRIBUTE.USERNAME, { bytes: 508 });
/** RFC 3489 §11.2.7; its length is a multiple of four. */
export const PASSWORD = textAttribute(ATTRIBUTE.PASSWORD, { bytes: 508 });
/** RFC 8489 §14.9: less than 128 characters. */
export const REALM = textAttribute(ATTRIBUTE.REALM, { characters: 127 });
/** RFC 8489 §14.10: less than 128 characters. */
export const NONCE = textAttribute(ATTRIBUTE.NONCE, { characters: 127 });
/** RFC 8489 §14.14: less than 128 characters. */
export const SOFTWARE = textAttribute(ATTRIBUTE.SOFTWARE, { characters: 127 });
/** RFC 8489 §14.16: a domain name of at most 255 bytes. */
export const ALTERNATE_DOMAIN = textAttribute(ATTRIBUTE.ALTERNATE_DOMAIN, { bytes: 255 });

/** The limit on what is sent. */
type TextLimit = { readonly bytes: number } | { readonly characters: number };

/** Throws RangeError for text beyond its limit. */
export function checkText(name: string, text: string, limit: TextLimit): void {
  const length = 'bytes' in limit ? Buffer.byteLength(text) : Array.from(text).length;
  const most = 'bytes' in limit ? limit.bytes : limit.characters;
  if (length > most) throw new RangeError(`${name} of ${length}, more than ${most}`);
}

/** The text of these bytes, or undefined if they are not UTF-8 or longer than any text here may be. */
export function decodeText(value: Uint8Array): string | undefined {
  if (value.length > MOST_BYTES_RECEIVED) return undefined;
  try {
    return UTF8.decode(value);
  } catch {
    return undefined;
  }
}

// A byte order mark is text like any other here.
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textAttribute(type: number, limit: TextLimit): Attribute<string> {
  const attribute = defineAttribute<string>(type, {
    check: (text) => checkText(attribute.name, text, limit),
    encode: (writer, text) => {
      const bytes = Buffer.from(text);
      if (!writer.modern && bytes.length % 4 !== 0) {
        throw new RangeError(
          `${attribute.name} of ${bytes.length} bytes in an RFC 3489 message, no multiple of four`,
        );
      }
      writer.bytes(type, bytes, 0, bytes.length);
    },
    decode: decodeText,
  });
  return attribute;
}
