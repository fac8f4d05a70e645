/** What asking a server has shown, before anybody concludes from it. */
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import type { ServerRole } from '../../shared/role.ts';
import type { Receipt } from '../../shared/stun/attributes/natprobe.ts';

/** One response, as far as it was read. */
export interface Response {
  readonly from: Endpoint;
  readonly bytes: number;
  /** Known where the request was sent once. */
  readonly rttMs?: number;
  /** RESPONSE-ORIGIN, or SOURCE-ADDRESS in its place. */
  readonly origin?: Endpoint;
  /** OTHER-ADDRESS, or CHANGED-ADDRESS in its place. */
  readonly other?: Endpoint;
  readonly mapped?: Endpoint;
  readonly xorMapped?: Endpoint;
  readonly software?: string;
  readonly errorCode?: number;
  /** Attributes that the server says it does not know. */
  readonly unknown?: readonly number[];
  /** PADDING in it. */
  readonly paddingBytes?: number;
}

export type TcpOutcome = 'answered' | 'refused' | 'unreachable' | 'closed' | 'silent';

/** One of the server's endpoints, each asked directly. */
export interface CornerFacts {
  readonly role: ServerRole;
  readonly endpoint: Endpoint;
  readonly udp: Response | undefined;
  readonly tcp: TcpOutcome;
}

/** A request with CHANGE-REQUEST. `changedBits` as in a role: 1 for another port, 2 for another address. */
export interface ChangeFacts {
  readonly asked: ServerRole;
  readonly changedBits: 1 | 2 | 3;
  readonly response: Response | undefined;
  readonly receipt: Receipt | undefined;
}

export interface FamilyFacts {
  readonly family: Family;
  /** By role; PP is what was named, and the others follow from what it says. */
  readonly corners: readonly CornerFacts[];
  readonly changes: readonly ChangeFacts[];
  /** The response to an attribute that nobody knows and that has to be understood. */
  readonly unknown: Response | undefined;
  /** That to a request of RFC 3489. */
  readonly classic: Response | undefined;
  /** That to a request with PADDING, which fills more than one frame. */
  readonly padded: Response | undefined;
  /** Whether it gives witnesses, as natprobed alone does. */
  readonly givesWitnesses: boolean;
}

/** Of the HTTP API; `failure` where something is not as it should be, with what to change. */
export interface ApiFacts {
  /** Undefined where the server names none, and none was given. */
  readonly url: string | undefined;
  readonly version?: string;
  readonly timeMs?: number;
  readonly failure?: { readonly seen: string; readonly remedy: string };
  /** Of the broker's WebSocket, where the API answers. */
  readonly brokerFailure?: { readonly seen: string; readonly remedy: string };
}

/** Bytes of a request without attributes. */
export const PLAIN_REQUEST_BYTES = 20;
/** Longer than an Ethernet frame takes. */
export const LONG_PADDING_BYTES = 1600;
/** An attribute type that nobody has, of those that have to be understood. */
export const NOBODYS_ATTRIBUTE = 0x7ffe;
