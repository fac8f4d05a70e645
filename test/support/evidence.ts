/** Evidence written by hand, for tests of the judge and the plan. */
import type { Endpoint } from '../../shared/endpoint.ts';
import { parseEndpoint } from '../../shared/endpoint.ts';
import type {
  BindingEvidence,
  BindingReply,
  Change,
  Evidence,
  ResponseReply,
  RunEvidence,
  SocketEvidence,
} from '../../shared/nat/evidence.ts';

export const PP = parseEndpoint('198.51.100.1:3478', 'test');
export const PA = parseEndpoint('198.51.100.1:3479', 'test');
export const AP = parseEndpoint('198.51.100.2:3478', 'test');
export const AA = parseEndpoint('198.51.100.2:3479', 'test');
export const LOCAL = parseEndpoint('10.0.0.2:40000', 'test');
export const MAPPED = parseEndpoint('203.0.113.7:40000', 'test');

export function publicPort(port: number): Endpoint {
  return { address: MAPPED.address, port };
}

export function run(untilMs: number, change: Partial<RunEvidence> = {}): RunEvidence {
  return { kind: 'run', family: 'ipv4', servers: [PP], untilMs, timeoutMs: 10_000, paceMs: 5, ...change };
}

export function socket(name: string, local: Endpoint = LOCAL): SocketEvidence {
  return {
    kind: 'socket',
    socket: name,
    purpose: name.startsWith('mapping') ? 'mapping' : 'filtering',
    local,
  };
}

/** A series sent at the given times, with what came back for each: replies without their indexes. */
export function series(
  name: string,
  to: Endpoint,
  sendsMs: readonly number[],
  replies: readonly BindingReply[] = [],
  change?: Change,
): BindingEvidence {
  return {
    kind: 'binding',
    socket: name,
    to,
    ...(change === undefined ? {} : { change }),
    receipt: change !== undefined,
    sends: sendsMs.map((atMs, index) => ({ atMs, transactionId: String(index).padStart(24, '0') })),
    replies: [...replies],
  };
}

/** A response from `from` to send number `send`. PP names AA as its other address. */
export function response(send: number, atMs: number, from: Endpoint, mapped: Endpoint): ResponseReply {
  return { kind: 'response', send, atMs, from, mapped, ...(from === PP ? { other: AA } : {}) };
}

export function receipt(send: number, atMs: number, sentFrom: Endpoint, from: Endpoint = PP): BindingReply {
  return { kind: 'receipt', send, atMs, from, sentFrom, relayDelayMs: 0 };
}

/** Four direct answers, 10 ms each, that a mapping socket got: one mapped endpoint for each of PP, PA, AP, AA. */
export function mappingSeries(
  name: string,
  mapped: readonly [Endpoint, Endpoint, Endpoint, Endpoint],
): Evidence[] {
  return [PP, PA, AP, AA].map((to, index) =>
    series(name, to, [index * 5], [response(0, index * 5 + 10, to, mapped[index]!)]),
  );
}
