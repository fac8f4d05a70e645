/**
 * Numbers and names of STUN: IANA's "STUN Parameters" as far as natprobe speaks or names them, the
 * RFC 3489 attributes that IANA keeps as reserved, and natprobe's own attributes.
 */

/** First four bytes of a transaction id's place in every message since RFC 5389 (RFC 8489 §5). */
export const MAGIC_COOKIE = 0x2112a442;

/** Bytes before the first attribute (RFC 8489 §5). */
export const HEADER_LENGTH = 20;

/** XORed onto the CRC-32 in FINGERPRINT (RFC 8489 §14.7). */
export const FINGERPRINT_XOR = 0x5354554e;

/** The two class bits of a message type, as one number; index into MESSAGE_CLASSES (RFC 8489 §5). */
export const CLASS_REQUEST = 0;
export const CLASS_INDICATION = 1;
export const CLASS_SUCCESS = 2;
export const CLASS_ERROR = 3;
export const MESSAGE_CLASSES = ['request', 'indication', 'success', 'error'] as const;
export type MessageClass = (typeof MESSAGE_CLASSES)[number];
export type MessageClassNumber = 0 | 1 | 2 | 3;

/** The 14-bit message type that carries a class and a method (RFC 8489 figure 3). */
export function messageType(messageClass: MessageClassNumber, method: number): number {
  return (
    ((method & 0xf80) << 2) |
    ((messageClass & 2) << 7) |
    ((method & 0x070) << 1) |
    ((messageClass & 1) << 4) |
    (method & 0x00f)
  );
}

/** The class bits of a message type. */
export function classOfType(type: number): MessageClassNumber {
  return (((type >> 7) & 2) | ((type >> 4) & 1)) as MessageClassNumber;
}

/** The method bits of a message type. */
export function methodOfType(type: number): number {
  return ((type >> 2) & 0xf80) | ((type >> 1) & 0x070) | (type & 0x00f);
}

export const METHOD = {
  BINDING: 0x001,
  /** RFC 3489 only. */
  SHARED_SECRET: 0x002,
  ALLOCATE: 0x003,
  REFRESH: 0x004,
  SEND: 0x006,
  DATA: 0x007,
  CREATE_PERMISSION: 0x008,
  CHANNEL_BIND: 0x009,
  CONNECT: 0x00a,
  CONNECTION_BIND: 0x00b,
  CONNECTION_ATTEMPT: 0x00c,
} as const;

/** The message types of natprobe's hot paths. */
export const BINDING_REQUEST = 0x0001;
export const BINDING_INDICATION = 0x0011;
export const BINDING_SUCCESS = 0x0101;
export const BINDING_ERROR = 0x0111;

/** Attribute types. Names are IANA's with `_` for `-`. */
export const ATTRIBUTE = {
  MAPPED_ADDRESS: 0x0001,
  /** RFC 3489 §11.2.2; refused by natprobed, since it makes a reflector. */
  RESPONSE_ADDRESS: 0x0002,
  CHANGE_REQUEST: 0x0003,
  /** RFC 3489 §11.2.5; RESPONSE-ORIGIN since RFC 5780. */
  SOURCE_ADDRESS: 0x0004,
  /** RFC 3489 §11.2.3; OTHER-ADDRESS since RFC 5780. */
  CHANGED_ADDRESS: 0x0005,
  USERNAME: 0x0006,
  /** RFC 3489 §11.2.7. */
  PASSWORD: 0x0007,
  MESSAGE_INTEGRITY: 0x0008,
  ERROR_CODE: 0x0009,
  UNKNOWN_ATTRIBUTES: 0x000a,
  /** RFC 3489 §11.2.11. */
  REFLECTED_FROM: 0x000b,
  CHANNEL_NUMBER: 0x000c,
  LIFETIME: 0x000d,
  XOR_PEER_ADDRESS: 0x0012,
  DATA: 0x0013,
  REALM: 0x0014,
  NONCE: 0x0015,
  XOR_RELAYED_ADDRESS: 0x0016,
  REQUESTED_ADDRESS_FAMILY: 0x0017,
  EVEN_PORT: 0x0018,
  REQUESTED_TRANSPORT: 0x0019,
  DONT_FRAGMENT: 0x001a,
  ACCESS_TOKEN: 0x001b,
  MESSAGE_INTEGRITY_SHA256: 0x001c,
  PASSWORD_ALGORITHM: 0x001d,
  USERHASH: 0x001e,
  XOR_MAPPED_ADDRESS: 0x0020,
  RESERVATION_TOKEN: 0x0022,
  PRIORITY: 0x0024,
  USE_CANDIDATE: 0x0025,
  PADDING: 0x0026,
  RESPONSE_PORT: 0x0027,
  CONNECTION_ID: 0x002a,
  ADDITIONAL_ADDRESS_FAMILY: 0x8000,
  ADDRESS_ERROR_CODE: 0x8001,
  PASSWORD_ALGORITHMS: 0x8002,
  ALTERNATE_DOMAIN: 0x8003,
  ICMP: 0x8004,
  SOFTWARE: 0x8022,
  ALTERNATE_SERVER: 0x8023,
  TRANSACTION_TRANSMIT_COUNTER: 0x8025,
  CACHE_TIMEOUT: 0x8027,
  FINGERPRINT: 0x8028,
  ICE_CONTROLLED: 0x8029,
  ICE_CONTROLLING: 0x802a,
  RESPONSE_ORIGIN: 0x802b,
  OTHER_ADDRESS: 0x802c,
  ECN_CHECK_STUN: 0x802d,
  THIRD_PARTY_AUTHORIZATION: 0x802e,
  MOBILITY_TICKET: 0x8030,
  // natprobe's own: not registered. Clear of IANA's list, which a test compares, and within the
  // comprehension-optional expert-review range, so that other implementations ignore them.
  RECEIPT_REQUEST: 0xed10,
  RECEIPT: 0xed11,
  WITNESS: 0xed12,
  SERVICE: 0xed13,
  DIAL_BACK: 0xed14,
} as const;

/** natprobe's own attributes, which no registry knows. */
export const OWN_ATTRIBUTES = [
  ATTRIBUTE.RECEIPT_REQUEST,
  ATTRIBUTE.RECEIPT,
  ATTRIBUTE.WITNESS,
  ATTRIBUTE.SERVICE,
  ATTRIBUTE.DIAL_BACK,
] as const;

/** Whether a server that doesn't know the attribute must refuse the request (RFC 8489 §14). */
export function isComprehensionRequired(attributeType: number): boolean {
  return attributeType < 0x8000;
}

/** The attribute's name as the RFCs write it, or its number in hexadecimal. */
export function attributeName(attributeType: number): string {
  return ATTRIBUTE_NAMES.get(attributeType) ?? `0x${attributeType.toString(16).padStart(4, '0')}`;
}

/** The method's name as the RFCs write it, or its number in hexadecimal. */
export function methodName(method: number): string {
  return METHOD_NAMES.get(method) ?? `0x${method.toString(16).padStart(3, '0')}`;
}

/** IANA's "STUN Error Codes" and RFC 3489's, with the phrase that goes into ERROR-CODE. */
export const ERROR_PHRASES: Readonly<Record<number, string>> = {
  300: 'Try Alternate',
  400: 'Bad Request',
  401: 'Unauthenticated',
  403: 'Forbidden',
  405: 'Mobility Forbidden',
  420: 'Unknown Attribute',
  // 430 to 433 and 600 are RFC 3489 §11.2.9.
  430: 'Stale Credentials',
  431: 'Integrity Check Failure',
  432: 'Missing Username',
  433: 'Use TLS',
  437: 'Allocation Mismatch',
  438: 'Stale Nonce',
  440: 'Address Family not Supported',
  441: 'Wrong Credentials',
  442: 'Unsupported Transport Protocol',
  443: 'Peer Address Family Mismatch',
  446: 'Connection Already Exists',
  447: 'Connection Timeout or Failure',
  486: 'Allocation Quota Reached',
  487: 'Role Conflict',
  500: 'Server Error',
  508: 'Insufficient Capacity',
  600: 'Global Failure',
};

/** The address family byte of every address attribute (RFC 8489 §14.1). */
export const FAMILY_BYTE_IPV4 = 0x01;
export const FAMILY_BYTE_IPV6 = 0x02;

/** Bits of CHANGE-REQUEST (RFC 5780 §7.2). */
export const CHANGE_ADDRESS_FLAG = 0x04;
export const CHANGE_PORT_FLAG = 0x02;

/** SERVICE, answer form: the scheme, then the port, 16 bits each; all zero in a request. */
export const SERVICE_SCHEME_NUMBERS = { http: 1, https: 2 } as const;
export const SERVICE_LENGTH = 4;

const ATTRIBUTE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ATTRIBUTE).map(([name, type]) => [type, writtenName(name)]),
);

const METHOD_NAMES: ReadonlyMap<number, string> = new Map([
  [METHOD.BINDING, 'Binding'],
  [METHOD.SHARED_SECRET, 'SharedSecret'],
  [METHOD.ALLOCATE, 'Allocate'],
  [METHOD.REFRESH, 'Refresh'],
  [METHOD.SEND, 'Send'],
  [METHOD.DATA, 'Data'],
  [METHOD.CREATE_PERMISSION, 'CreatePermission'],
  [METHOD.CHANNEL_BIND, 'ChannelBind'],
  [METHOD.CONNECT, 'Connect'],
  [METHOD.CONNECTION_BIND, 'ConnectionBind'],
  [METHOD.CONNECTION_ATTEMPT, 'ConnectionAttempt'],
]);

function writtenName(name: string): string {
  // The two names that IANA does not write with hyphens alone.
  if (name === 'ECN_CHECK_STUN') return 'ECN-CHECK STUN';
  if (name === 'TRANSACTION_TRANSMIT_COUNTER') return name;
  return name.replaceAll('_', '-');
}
