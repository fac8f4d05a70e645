import type { Endpoint, Family } from '../endpoint.ts';
import type { DialOrigin, DialOutcome } from '../stun/attributes/dial-back.ts';
import type { IceCheckEvidence } from './ice-evidence.ts';

/**
 * What a run saw, and nothing that it concluded. Times are milliseconds since the run began.
 * Readers ignore kinds that they don't know.
 */
export type Evidence =
  | RunEvidence
  | SocketEvidence
  | BindingEvidence
  | TcpEvidence
  | RefusalEvidence
  | TcpBindingEvidence
  | TcpDialEvidence
  | EndpointsEvidence
  | InterfaceEvidence
  | PortMapperEvidence
  | IceCheckEvidence
  | Nat64Evidence;

/** The run itself: until when it watched. Silence is judged against `untilMs`. */
export interface RunEvidence {
  readonly kind: 'run';
  readonly family: Family;
  /** The servers asked, primary endpoint first named, in the order given. */
  readonly servers: readonly Endpoint[];
  readonly untilMs: number;
  /** The time budget. */
  readonly timeoutMs: number;
  /** The least time between two packets. */
  readonly paceMs: number;
}

/** A socket, and the local endpoint that the kernel uses towards the server. */
export interface SocketEvidence {
  readonly kind: 'socket';
  readonly socket: string;
  readonly purpose: SocketPurpose;
  readonly local: Endpoint;
}

/** Which inquiry a socket serves; its name begins with it. Sockets of one never disturb another's. */
export type SocketPurpose = (typeof SOCKET_PURPOSES)[number];
export const SOCKET_PURPOSES = [
  'mapping',
  'filtering',
  'ports',
  'unsolicited',
  'collisions',
  'hairpin',
  'lifetime',
  'fragments',
  'port-mapping',
] as const;

/** Which bits of the answering endpoint a request asks to differ (CHANGE-REQUEST, RFC 5780 §7.2). */
export interface Change {
  readonly address: boolean;
  readonly port: boolean;
}

/** A series of like Binding requests from one socket to one endpoint, and each reply to them. */
export interface BindingEvidence {
  readonly kind: 'binding';
  readonly socket: string;
  readonly to: Endpoint;
  /** Absent, like the next two, for a plain request. */
  readonly change?: Change;
  /** The response is to go to this port of the asking address (RESPONSE-PORT, RFC 5780 §7.5). */
  readonly responsePort?: number;
  /** Request and response carry PADDING of this length (RFC 5780 §7.6). */
  readonly paddingBytes?: number;
  /** Whether a receipt was asked for. */
  readonly receipt: boolean;
  readonly sends: readonly BindingSend[];
  readonly replies: readonly BindingReply[];
  /** What reached another socket of the run than the one that it was sent from. */
  readonly strays?: readonly Stray[];
}

/** A response sent elsewhere by RESPONSE-PORT, or one's own request come back through the NAT (hairpin). */
export interface Stray {
  readonly kind: 'response' | 'request';
  /** Index into `sends`. */
  readonly send: number;
  readonly atMs: number;
  /** The socket that heard it. */
  readonly socket: string;
  readonly from: Endpoint;
}

/** Whether nothing but the answer to where it came from was asked for. */
export function isPlain({
  change,
  responsePort,
  paddingBytes,
}: Pick<BindingEvidence, 'change' | 'responsePort' | 'paddingBytes'>): boolean {
  return change === undefined && responsePort === undefined && paddingBytes === undefined;
}

/** One transaction. */
export interface BindingSend {
  readonly atMs: number;
  /** Hexadecimal. */
  readonly transactionId: string;
}

/** One datagram that carried the transaction id of `sends[send]`. Duplicates are recorded as they come. */
export type BindingReply = ResponseReply | ReceiptReply | ErrorReply;

interface ReplyBase {
  /** Index into `sends`. */
  readonly send: number;
  readonly atMs: number;
  readonly from: Endpoint;
}

export interface ResponseReply extends ReplyBase {
  readonly kind: 'response';
  /** XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS from an RFC 3489 server. */
  readonly mapped: Endpoint;
  /** MAPPED-ADDRESS where it differs from XOR-MAPPED-ADDRESS: somebody rewrote the payload. */
  readonly plainMapped?: Endpoint;
  /** Which of the two the response carried, where it was only one: then there is nothing to compare. */
  readonly mappedIn?: 'mapped-address' | 'xor-mapped-address';
  /** Length of the UDP payload, recorded where the response carried PADDING. */
  readonly bytes?: number;
  /** RESPONSE-ORIGIN or SOURCE-ADDRESS. */
  readonly origin?: Endpoint;
  /** OTHER-ADDRESS or CHANGED-ADDRESS. */
  readonly other?: Endpoint;
}

/** The server's word that it has just sent the response from `sentFrom`. */
export interface ReceiptReply extends ReplyBase {
  readonly kind: 'receipt';
  readonly sentFrom: Endpoint;
  /** What a relay between paired hosts may add to the response's way, in milliseconds. */
  readonly relayDelayMs: number;
}

export interface ErrorReply extends ReplyBase {
  readonly kind: 'error';
  readonly code: number;
  readonly unknownAttributes: readonly number[];
}

/** The control where UDP is silent: STUN over TCP to the same server. */
export interface TcpEvidence {
  readonly kind: 'tcp';
  readonly to: Endpoint;
  readonly atMs: number;
  /** `pending` while it is under way. */
  readonly outcome: 'pending' | 'answered' | 'connected' | 'refused' | 'unreachable' | 'timeout';
  /** From SYN to SYN-ACK or reset. */
  readonly connectMs?: number;
  /** From request to answer. */
  readonly answerMs?: number;
}

/** An ICMP error (or a local "no route") for datagrams to `to`. */
export interface RefusalEvidence {
  readonly kind: 'refusal';
  readonly to: Endpoint;
  readonly atMs: number;
  readonly reason: 'port-unreachable' | 'unreachable';
}

/** One connection of the TCP inquiry, and what the Binding request on it drew. */
export interface TcpBindingEvidence {
  readonly kind: 'tcp-binding';
  /** Names the local port; the connections of one mapping port share it, a filtering port has one. */
  readonly socket: string;
  readonly purpose: Extract<SocketPurpose, 'mapping' | 'filtering'>;
  readonly to: Endpoint;
  /** When it was begun: the first SYN. */
  readonly atMs: number;
  /** `pending` and `connected` are those that nothing more was heard of. */
  readonly outcome: 'pending' | 'connected' | 'answered' | 'refused' | 'unreachable' | 'closed';
  /** As the kernel chose it, once connected. */
  readonly local?: Endpoint;
  /** From the first SYN to the SYN-ACK. */
  readonly connectMs?: number;
  readonly mapped?: Endpoint;
  /** OTHER-ADDRESS. */
  readonly other?: Endpoint;
}

/** One dial-back that was asked for on a connection from a filtering port, where a listener then waited. */
export interface TcpDialEvidence {
  readonly kind: 'tcp-dial';
  /** That of the asking connection. */
  readonly socket: string;
  readonly origin: DialOrigin;
  /** When it was asked for. */
  readonly atMs: number;
  /** How long the server's SYN had to be answered. */
  readonly timeoutMs: number;
  /**
   * As the server said; `unsupported` if it answered without a word about it, `pending` if nothing
   * more was heard.
   */
  readonly outcome: 'pending' | 'unsupported' | DialOutcome;
  /** As the server measured it. */
  readonly tookMs?: number;
  readonly dialledFrom?: Endpoint;
  /** When the listener got a connection from `dialledFrom`: somebody else may have answered in its stead. */
  readonly acceptedAtMs?: number;
}

/** What the classification of the same run found: this machine's endpoint, and each endpoint that servers saw it as. */
export interface EndpointsEvidence {
  readonly kind: 'endpoints';
  readonly local: Endpoint;
  readonly mapped: readonly Endpoint[];
}

/** An interface of this machine that is up, once for each of its addresses. */
export interface InterfaceEvidence {
  readonly kind: 'interface';
  readonly name: string;
  readonly interfaceKind: InterfaceKind;
  readonly address: string;
  /** Whether what goes to the server leaves through it. */
  readonly onPath: boolean;
  /** The next router on the way to the server; absent off the path, and where the interface leads to no router. */
  readonly gateway?: string;
}

export type InterfaceKind = (typeof INTERFACE_KINDS)[number];
export const INTERFACE_KINDS = [
  'ethernet',
  'wifi',
  'cellular',
  /** A dial-up or DSL link (PPP). */
  'ppp',
  /** Encrypted, to a VPN's server or peers. */
  'vpn',
  /** Another encapsulation, or one of an unknown purpose. */
  'tunnel',
  /** Between containers or namespaces of this machine. */
  'container',
  /** Between virtual machines and this one. */
  'virtual-machine',
  'bridge',
  'loopback',
  'other',
] as const;

/** A port mapper that answered. One that didn't leaves no trace. */
export interface PortMapperEvidence {
  readonly kind: 'port-mapper';
  readonly protocol: PortMapperProtocol;
  /** The router that answered. */
  readonly gateway: string;
  /** The router's outer address, as it says. */
  readonly externalAddress?: string;
  /** From the first question to the answer that told it (for UPnP several exchanges). */
  readonly latencyMs: number;
  /** Why it can't map anything now, or didn't tell its outer address. */
  readonly error?: PortMapperError;
}

/** NAT-PMP: RFC 6886. PCP: RFC 6887. UPnP: the WANIPConnection and WANPPPConnection services. */
export type PortMapperProtocol = (typeof PORT_MAPPER_PROTOCOLS)[number];
export const PORT_MAPPER_PROTOCOLS = ['pcp', 'nat-pmp', 'upnp-igd'] as const;

export type PortMapperError = (typeof PORT_MAPPER_ERRORS)[number];
export const PORT_MAPPER_ERRORS = [
  /** The router has no outer address that it would map ports of. */
  'no-external-address',
  /** It is told not to. */
  'not-authorized',
  /** PCP: the question came from another address than it says: a NAT lies between this machine and the mapper. */
  'address-mismatch',
  'no-resources',
  /** The port is somebody else's. */
  'conflict',
  /** It doesn't do what was asked, in this version or at all. */
  'unsupported',
  /** It answered with something else than its protocol has. */
  'malformed',
  /** It stopped answering half-way. */
  'silent',
  /** It said no, for another reason. */
  'refused',
] as const;

/** A prefix under which the network leads from IPv6 to IPv4 (RFC 6052), as its DNS shows or the server's address does. */
export interface Nat64Evidence {
  readonly kind: 'nat64';
  /** `64:ff9b::/96`. */
  readonly prefix: string;
  /**
   * Whether this evidence was collected through it: then the servers' endpoints are the IPv4 ones that are
   * meant, and local ones are IPv6.
   */
  readonly used: boolean;
}
