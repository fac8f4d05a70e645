/**
 * What a request is, worked out a second time, plainly and from the decoded message: the fuzz holds
 * the core's answers, and its counts, against this.
 */
import type { Endpoint, Family } from '../../../shared/endpoint.ts';
import { decodeMessage } from '../../../shared/stun/message.ts';
import { ATTRIBUTE, HEADER_LENGTH, METHOD } from '../../../shared/stun/registry.ts';
import type { DropReason } from '../../../server/answer/answer-counters.ts';
import type { AnswerKind, RequestFacts } from '../../../server/answer/answer-rules.ts';

export interface ReferenceServer {
  readonly family: Family;
  readonly twoAddresses: boolean;
  readonly service: boolean;
  readonly own: readonly Endpoint[];
}

export type Expected =
  | { readonly kind: 'silence'; readonly reason: DropReason }
  | { readonly kind: 'answer'; readonly answer: AnswerKind; readonly facts: RequestFacts };

/** Comprehension-required types that a Binding server without authentication knows (RFC 8489, 5780, 3489). */
const KNOWN = new Set([
  0x01, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x14, 0x15, 0x1c, 0x1d, 0x1e, 0x20, 0x26, 0x27,
]);

export function expectedAnswer(
  bytes: Uint8Array,
  server: ReferenceServer,
  source: Endpoint,
  stream: boolean,
): Expected {
  const decoded = decodeMessage(bytes);
  if (decoded.kind === 'not-stun') return silence('not-stun');
  const head = decoded.kind === 'message' ? decoded.message : decoded;
  if (head.class !== 'request') return silence('not-request');
  if (head.method !== METHOD.BINDING) return silence('unknown-method');
  if (source.port === 0) return silence('port-zero');
  const isOwn = (port: number): boolean =>
    server.own.some((endpoint) => endpoint.port === port && endpoint.address === source.address);
  if (isOwn(source.port)) return silence('own-endpoint');
  const modern = head.transactionId.length === 24;
  const base = { bytes: bytes.length, family: server.family, modern };
  if (decoded.kind === 'malformed') {
    if (bytes.length < 40) return silence('malformed');
    return answer('malformed', { ...base, fingerprint: false, service: false, refusedAttributes: 0 });
  }
  const { attributes } = decoded.message;
  const first = (type: number): Uint8Array | undefined =>
    attributes.find((item) => item.type === type)?.value;
  const change = first(ATTRIBUTE.CHANGE_REQUEST);
  const port = first(ATTRIBUTE.RESPONSE_PORT);
  const padding = first(ATTRIBUTE.PADDING);
  const asksService = modern && (first(ATTRIBUTE.SERVICE)?.length ?? 0) >= 4;
  const unknown = new Set(
    attributes.map(({ type }) => type).filter((type) => type < 0x8000 && !KNOWN.has(type)),
  );
  const facts: RequestFacts = {
    ...base,
    fingerprint: modern && first(ATTRIBUTE.FINGERPRINT) !== undefined,
    service: server.service && asksService,
    refusedAttributes: unknown.size,
  };
  if (change !== undefined && change.length !== 4) return answer('bad-request', facts);
  // Of several RESPONSE-PORTs the first counts; one that is malformed spoils the request wherever
  // it comes before a good one.
  if (port !== undefined && port.length !== 4 && port.length !== 2) return answer('bad-request', facts);
  if (unknown.size > 0) return answer('unknown-attribute', facts);
  const changed = change === undefined ? 0 : (change[3]! & 6) / 2;
  if (stream && (changed !== 0 || port !== undefined)) {
    const refusedAttributes = (changed === 0 ? 0 : 1) + (port === undefined ? 0 : 1);
    return answer('unsupported', { ...facts, refusedAttributes });
  }
  const portNumber = port === undefined ? undefined : port[0]! * 256 + port[1]!;
  if (portNumber === 0 || (port !== undefined && padding !== undefined)) return answer('bad-request', facts);
  const response = responseBytes(facts, server.twoAddresses);
  const receiptLength = (server.family === 'ipv4' ? 48 : 72) + (facts.fingerprint ? 8 : 0);
  const receipt =
    !stream &&
    modern &&
    first(ATTRIBUTE.RECEIPT_REQUEST) !== undefined &&
    (changed !== 0 || port !== undefined) &&
    bytes.length >= response + receiptLength;
  if (changed !== 0 && !server.twoAddresses && !(receipt && changed === 1)) {
    return answer('unsupported', { ...facts, refusedAttributes: 1 });
  }
  if (portNumber !== undefined && isOwn(portNumber)) return silence('own-endpoint');
  if (receipt) return answer('receipt', facts);
  const witness =
    modern &&
    changed === 0 &&
    port === undefined &&
    asksForWitness(first(ATTRIBUTE.WITNESS)) &&
    bytes.length >= response + 48;
  if (padding !== undefined && Math.min(bytes.length, 65_507) >= response + (witness ? 48 : 0) + 4)
    return answer('padding', facts);
  if (witness) return answer('witness', facts);
  if (port !== undefined) return answer('response-port', facts);
  return answer(changed === 0 ? 'binding' : 'change', facts);
}

/** A zero byte, purpose 1 or 2, the nonce's length, a byte, the nonce. */
function asksForWitness(value: Uint8Array | undefined): boolean {
  return (
    value !== undefined &&
    value.length >= 4 &&
    value[0] === 0 &&
    (value[1] === 1 || value[1] === 2) &&
    value.length >= 4 + value[2]!
  );
}

function responseBytes(facts: RequestFacts, twoAddresses: boolean): number {
  const addresses = (facts.modern ? 3 : 2) + (twoAddresses ? 1 : 0);
  const attributes = addresses * (facts.family === 'ipv4' ? 12 : 24);
  return HEADER_LENGTH + attributes + (facts.fingerprint ? 8 : 0) + (facts.service ? 8 : 0);
}

function silence(reason: DropReason): Expected {
  return { kind: 'silence', reason };
}

function answer(kind: AnswerKind, facts: RequestFacts): Expected {
  return { kind: 'answer', answer: kind, facts };
}
