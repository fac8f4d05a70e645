/** The attributes that carry a transport address (RFC 8489 §14.1, §14.2). */
import { formatIpv4, formatIpv6, parseIpv4Into, parseIpv6Into } from '../../address.ts';
import type { Endpoint } from '../../endpoint.ts';
import { ATTRIBUTE, FAMILY_BYTE_IPV4, FAMILY_BYTE_IPV6 } from '../registry.ts';
import { xorAddressInPlace } from '../writer.ts';
import type { AddressFamily } from '../writer.ts';
import { checkWholeNumber, defineAttribute } from './attribute.ts';
import type { Attribute } from './attribute.ts';

/** RFC 8489 §14.1. */
export const MAPPED_ADDRESS = addressAttribute(ATTRIBUTE.MAPPED_ADDRESS);
/** RFC 8489 §14.2. */
export const XOR_MAPPED_ADDRESS = xorAddressAttribute(ATTRIBUTE.XOR_MAPPED_ADDRESS);
/** RFC 3489 §11.2.5. */
export const SOURCE_ADDRESS = addressAttribute(ATTRIBUTE.SOURCE_ADDRESS);
/** RFC 3489 §11.2.3. */
export const CHANGED_ADDRESS = addressAttribute(ATTRIBUTE.CHANGED_ADDRESS);
/** RFC 3489 §11.2.2. */
export const RESPONSE_ADDRESS = addressAttribute(ATTRIBUTE.RESPONSE_ADDRESS);
/** RFC 3489 §11.2.11. */
export const REFLECTED_FROM = addressAttribute(ATTRIBUTE.REFLECTED_FROM);
/** RFC 5780 §7.4. */
export const OTHER_ADDRESS = addressAttribute(ATTRIBUTE.OTHER_ADDRESS);
/** RFC 5780 §7.3. */
export const RESPONSE_ORIGIN = addressAttribute(ATTRIBUTE.RESPONSE_ORIGIN);
/** RFC 8489 §14.15. */
export const ALTERNATE_SERVER = addressAttribute(ATTRIBUTE.ALTERNATE_SERVER);

/** RFC 8656 §18.3. */
export const XOR_PEER_ADDRESS = xorAddressAttribute(ATTRIBUTE.XOR_PEER_ADDRESS);
/** RFC 8656 §18.5. */
export const XOR_RELAYED_ADDRESS = xorAddressAttribute(ATTRIBUTE.XOR_RELAYED_ADDRESS);

/**
 * Parses an endpoint's address into `out`, 4 or 16 bytes from its start; returns which family it
 * is. Throws RangeError for what is no address or no port.
 */
export function packEndpoint(endpoint: Endpoint, out: Uint8Array): AddressFamily {
  checkWholeNumber('port', endpoint.port, 0, 0xffff);
  if (parseIpv4Into(endpoint.address, out, 0)) return 4;
  if (parseIpv6Into(endpoint.address, out, 0)) return 6;
  throw new RangeError(`not an IP address: ${JSON.stringify(endpoint.address)}`);
}

/** The endpoint in the first bytes of an address value, or undefined if its family or length is none. */
export function unpackEndpoint(value: Uint8Array, addressLength: number): Endpoint | undefined {
  const port = (value[2]! << 8) | value[3]!;
  if (addressLength === 8 && value[1] === FAMILY_BYTE_IPV4) return { address: formatIpv4(value, 4), port };
  if (addressLength === 20 && value[1] === FAMILY_BYTE_IPV6) return { address: formatIpv6(value, 4), port };
  return undefined;
}

/** As unpackEndpoint, for a value XORed with the header of the message `bytes`. */
export function unpackXorEndpoint(
  value: Uint8Array,
  addressLength: number,
  bytes: Uint8Array,
): Endpoint | undefined {
  if (addressLength !== 8 && addressLength !== 20) return undefined;
  unxored.set(value.subarray(0, addressLength));
  xorAddressInPlace(unxored, 0, addressLength === 8 ? 4 : 6, bytes, 4);
  return unpackEndpoint(unxored, addressLength);
}

const packed = new Uint8Array(16);
const unxored = new Uint8Array(20);

function addressAttribute(type: number): Attribute<Endpoint> {
  return defineAttribute<Endpoint>(type, {
    encode: (writer, endpoint) => {
      writer.address(type, packEndpoint(endpoint, packed), packed, 0, endpoint.port);
    },
    decode: (value) => unpackEndpoint(value, value.length),
  });
}

function xorAddressAttribute(type: number): Attribute<Endpoint> {
  return defineAttribute<Endpoint>(type, {
    encode: (writer, endpoint) => {
      writer.xorAddress(type, packEndpoint(endpoint, packed), packed, 0, endpoint.port);
    },
    decode: (value, message) => unpackXorEndpoint(value, value.length, message.bytes),
  });
}
