/** One request through the answer core, and what is expected of it: the exact list of datagrams. */
import type { Endpoint, Family } from '../../../shared/endpoint.ts';
import { SERVER_ROLE_NAMES, type ServerRole, type ServerRoleName } from '../../../shared/role.ts';
import type { AttributeValue } from '../../../shared/stun/attributes/attribute.ts';
import { type TransactionId, encodeMessage } from '../../../shared/stun/message.ts';
import { type AnswerConfig, AnswerCore } from '../../../server/answer/answer-core.ts';
import type { AnswerCounts } from '../../../server/answer/answer-counters.ts';
import { SourceAddress } from '../../../server/answer/source-address.ts';
import { WitnessMaker } from '../../../server/answer/witness.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';

/** A datagram on its way: from which role, to which port of the source, its bytes as hexadecimal. */
export interface Sent {
  readonly from: ServerRoleName;
  readonly port: number;
  readonly hex: string;
}

export const ID = '000102030405060708090a0b' as TransactionId;
/** RFC 3489: 128 bits, no cookie. */
export const CLASSIC_ID = '000102030405060708090a0b0c0d0e0f' as TransactionId;

/** Documentation addresses: the server's four endpoints and a client, for each family. */
export const ENDPOINTS: Readonly<Record<Family, readonly [Endpoint, Endpoint, Endpoint, Endpoint]>> = {
  ipv4: [
    { address: '192.0.2.1', port: 3478 },
    { address: '192.0.2.1', port: 3479 },
    { address: '192.0.2.2', port: 3478 },
    { address: '192.0.2.2', port: 3479 },
  ],
  ipv6: [
    { address: '2001:db8::1', port: 3478 },
    { address: '2001:db8::1', port: 3479 },
    { address: '2001:db8::2', port: 3478 },
    { address: '2001:db8::2', port: 3479 },
  ],
};
export const CLIENTS: Readonly<Record<Family, Endpoint>> = {
  ipv4: { address: '198.51.100.7', port: 40000 },
  ipv6: { address: '2001:db8:5::7', port: 40000 },
};
export const CLIENT = CLIENTS.ipv4;

export function createCore(family: Family = 'ipv4', more: Partial<AnswerConfig> = {}): AnswerCore {
  return new AnswerCore({ family, endpoints: ENDPOINTS[family], ...more });
}

export function createOneAddressCore(family: Family = 'ipv4', more: Partial<AnswerConfig> = {}): AnswerCore {
  const [pp, pa] = ENDPOINTS[family];
  return new AnswerCore({ family, endpoints: [pp, pa, undefined, undefined], ...more });
}

/** Of a fixed key, by a clock that stands still. */
export const WITNESS_KEY = witnessKeyOf(new Uint8Array(32).fill(7));
export const WITNESS_TIME_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

export function createWitnessMaker(): WitnessMaker {
  return new WitnessMaker(new WitnessKeys(WITNESS_KEY), () => WITNESS_TIME_MS);
}

export interface Arrival {
  readonly role?: ServerRole;
  readonly source?: Endpoint;
  /** As a message of a TCP stream. */
  readonly stream?: boolean;
}

/** Hands `request` to the core, in the midst of a larger buffer, and collects what it wants sent. */
export function exchange(core: AnswerCore, request: Uint8Array, arrival: Arrival = {}): Sent[] {
  const { role = 0, source = CLIENT, stream = false } = arrival;
  const address = new SourceAddress();
  if (!address.set(source.address, source.port)) throw new Error(`${source.address} is no address`);
  const buffer = new Uint8Array(request.length + 11).fill(0xee);
  buffer.set(request, 7);
  const [start, end] = [7, 7 + request.length];
  const count = stream
    ? core.answerStream(buffer, start, end, address, role)
    : core.answer(buffer, start, end, address, role);
  return core.outgoing.slice(0, count).map((datagram) => ({
    from: SERVER_ROLE_NAMES[datagram.role],
    port: datagram.port,
    hex: hexOf(datagram.buffer.subarray(0, datagram.length)),
  }));
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

interface MessageOptions {
  readonly id?: TransactionId;
  readonly fingerprint?: boolean;
}

export function request(
  attributes: readonly AttributeValue[] = [],
  options: MessageOptions = {},
): Uint8Array {
  return encode('request', attributes, options);
}

/** What a success response of these attributes looks like. */
export function success(attributes: readonly AttributeValue[], options: MessageOptions = {}): string {
  return hexOf(encode('success', attributes, options));
}

export function refusal(attributes: readonly AttributeValue[], options: MessageOptions = {}): string {
  return hexOf(encode('error', attributes, options));
}

/** What a receipt of these attributes looks like. */
export function indication(attributes: readonly AttributeValue[], options: MessageOptions = {}): string {
  return hexOf(encode('indication', attributes, options));
}

function encode(
  messageClass: 'request' | 'indication' | 'success' | 'error',
  attributes: readonly AttributeValue[],
  { id = ID, fingerprint = false }: MessageOptions,
): Uint8Array {
  return encodeMessage({ class: messageClass, transactionId: id, attributes, fingerprint });
}

/** The counts that are not zero, by name. */
export function countsOf({ answers, drops }: AnswerCounts): Record<string, number> {
  const named = [
    ...Object.entries(answers).flatMap(([kind, roles]) =>
      Object.entries(roles).map(([role, count]) => [`${kind} ${role}`, count] as const),
    ),
    ...Object.entries(drops).map(([reason, count]) => [`drop ${reason}`, count] as const),
  ];
  return Object.fromEntries(named.filter(([, count]) => count > 0));
}
