/** What two ICE agents authenticate their checks with (RFC 8445 §5.3, RFC 8839 §5.4). */

export interface IceCredentials {
  /** 4 to 256 characters of the ice-char set: letters, digits, `+` and `/`. */
  readonly ufrag: string;
  /** 22 to 256 of them. */
  readonly password: string;
}

/** Random bytes that iceCredentials takes. */
export const CREDENTIAL_BYTES = 24;

const UFRAG_BYTES = 6;

/** Credentials of CREDENTIAL_BYTES random bytes: 48 bits name the session, 144 guard it. */
export function iceCredentials(random: Uint8Array): IceCredentials {
  if (random.length !== CREDENTIAL_BYTES) throw new RangeError(`credentials of ${random.length} bytes`);
  // Base64 of whole groups of three has no padding, and its alphabet is that of ice-char.
  const text = Buffer.from(random).toString('base64');
  const ufragLength = (UFRAG_BYTES / 3) * 4;
  return { ufrag: text.slice(0, ufragLength), password: text.slice(ufragLength) };
}

/** RFC 8839 §5.4. */
export function isUfrag(text: string): boolean {
  return /^[A-Za-z0-9+/]{4,256}$/.test(text);
}

/** RFC 8839 §5.4. */
export function isIcePassword(text: string): boolean {
  return /^[A-Za-z0-9+/]{22,256}$/.test(text);
}
