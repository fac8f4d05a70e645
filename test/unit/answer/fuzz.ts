/**
 * Invariant: whatever arrives, the core does not throw, and what it wants sent is no larger, all
 * datagrams together, than the rule for that kind of request allows, goes to nobody but the source,
 * and is a STUN response to that very request.
 */
import type { Endpoint, Family } from '../../../shared/endpoint.ts';
import { PP, SERVER_ROLES, type ServerRole } from '../../../shared/role.ts';
import { BINDING_ERROR, BINDING_INDICATION, BINDING_SUCCESS } from '../../../shared/stun/registry.ts';
import { MessageCursor } from '../../../shared/stun/cursor.ts';
import { AnswerCore } from '../../../server/answer/answer-core.ts';
import type { AnswerCounts } from '../../../server/answer/answer-counters.ts';
import { ANSWER_KINDS, ANSWER_RULES, type AnswerKind } from '../../../server/answer/answer-rules.ts';
import { SourceAddress } from '../../../server/answer/source-address.ts';
import { Random } from '../../sim/random.ts';
import { CLIENTS, ENDPOINTS, createWitnessMaker } from './exchange.ts';
import { HostileDatagrams } from './hostile-datagrams.ts';
import { type Expected, type ReferenceServer, expectedAnswer } from './reference.ts';

/** Sizes seen for one kind of request over one family. */
export interface SizeRow {
  readonly kind: AnswerKind;
  readonly family: Family;
  requests: number;
  leastRequestBytes: number;
  mostRequestBytes: number;
  leastAnswerBytes: number;
  mostAnswerBytes: number;
  /** The largest answer for its request, and how large that request was. */
  largestRatio: number;
  ratioRequestBytes: number;
  ratioAnswerBytes: number;
}

export interface FuzzResult {
  readonly datagrams: number;
  readonly silent: number;
  readonly rows: readonly SizeRow[];
}

interface Target {
  readonly core: AnswerCore;
  readonly reference: ReferenceServer;
  readonly sources: readonly { readonly endpoint: Endpoint; readonly address: SourceAddress }[];
  readonly stream: boolean;
  readonly expected: Map<string, number>;
}

const RULES = new Map(ANSWER_RULES.map((rule) => [rule.kind, rule]));

/**
 * Sends `datagrams` through cores of both families, with one and two addresses, over UDP and TCP.
 * Throws an Error that holds the seed and the request for the first one that breaks the invariant.
 */
export function fuzzAnswers(seed: number, datagrams: number): FuzzResult {
  const random = new Random(seed);
  const fuzz = new AnswerFuzz();
  const hostile = new HostileDatagrams(random);
  for (let i = 0; i < datagrams; i++) {
    const length = hostile.next();
    try {
      fuzz.takeSomewhere(hostile.buffer.subarray(0, length), random);
    } catch (error) {
      throw new Error(`seed ${seed}, datagram ${i}: ${String(error)}`, { cause: error });
    }
  }
  return fuzz.finish();
}

/** Holds what cores answer against the reference; all that it is given adds up. */
export class AnswerFuzz {
  private readonly targets = createTargets();
  private readonly rows = new Map<string, SizeRow>();
  private datagrams = 0;
  private silent = 0;

  /** Through one core, at one role, mostly from the same source. Throws an Error that holds the request. */
  takeSomewhere(request: Uint8Array, random: Random): void {
    const target = this.targets[random.integer(0, this.targets.length - 1)]!;
    const source = target.sources[random.chance(0.02) ? random.integer(1, 2) : 0]!;
    const last = target.reference.twoAddresses ? 3 : 1;
    this.take(target, request, source, SERVER_ROLES[random.integer(0, last)]!);
  }

  /** Through all cores, at each role. Throws as takeSomewhere. */
  takeEverywhere(request: Uint8Array): void {
    for (const target of this.targets) {
      const [usual, ...others] = target.sources;
      for (const role of SERVER_ROLES.slice(0, target.reference.twoAddresses ? 4 : 2))
        this.take(target, request, usual!, role);
      for (const source of others) this.take(target, request, source, PP);
    }
  }

  /** What it was in all. Throws where the cores have counted something else. */
  finish(): FuzzResult {
    for (const target of this.targets) checkCounts(target);
    const { datagrams, silent } = this;
    return { datagrams, silent, rows: sortRows(this.rows) };
  }

  private take(
    target: Target,
    bytes: Uint8Array,
    source: Target['sources'][number],
    arrival: ServerRole,
  ): void {
    const { core, reference, stream } = target;
    const { endpoint, address } = source;
    const request = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.datagrams++;
    try {
      const expected = expectedAnswer(request, reference, endpoint, stream);
      const count = stream
        ? core.answerStream(request, 0, request.length, address, arrival)
        : core.answer(request, 0, request.length, address, arrival);
      const sent = checkAnswer(target, expected, request, endpoint, count);
      if (expected.kind === 'silence') this.silent++;
      else recordSizes(this.rows, expected.answer, reference.family, request.length, sent);
      const name = expected.kind === 'silence' ? `drop ${expected.reason}` : expected.answer;
      target.expected.set(name, (target.expected.get(name) ?? 0) + 1);
    } catch (error) {
      throw new Error(`request ${request.toString('hex')}: ${String(error)}`, { cause: error });
    }
  }
}

function createTargets(): Target[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    [true, false].flatMap((twoAddresses) =>
      [false, true].map((stream) => createTarget(family, twoAddresses, stream)),
    ),
  );
}

function createTarget(family: Family, twoAddresses: boolean, stream: boolean): Target {
  const [pp, pa, ap, aa] = ENDPOINTS[family];
  const own = twoAddresses ? [pp, pa, ap, aa] : [pp, pa];
  const core = new AnswerCore({
    family,
    endpoints: twoAddresses ? [pp, pa, ap, aa] : [pp, pa, undefined, undefined],
    service: { scheme: 'https', port: 443 },
    witness: createWitnessMaker(),
  });
  const endpoints = [CLIENTS[family], { ...CLIENTS[family], port: 0 }, pa];
  const sources = endpoints.map((endpoint) => {
    const address = new SourceAddress();
    address.set(endpoint.address, endpoint.port);
    return { endpoint, address };
  });
  const reference = { family, twoAddresses, service: true, own };
  return { core, reference, sources, stream, expected: new Map() };
}

const cursor = new MessageCursor();

/** Throws unless the answer is as expected; returns its bytes, all datagrams together. */
function checkAnswer(
  { core }: Target,
  expected: Expected,
  request: Buffer,
  source: Endpoint,
  count: number,
): number {
  if (expected.kind === 'silence') {
    assert(count === 0, `${count} datagrams instead of silence (${expected.reason})`);
    return 0;
  }
  const { answer, facts } = expected;
  assert(count === (answer === 'receipt' ? 2 : 1), `${count} datagrams for ${answer}`);
  let bytes = 0;
  for (const [index, { buffer, length, port }] of core.outgoing.entries()) {
    if (index >= count) break;
    bytes += length;
    assert(cursor.reset(buffer, 0, length) === 'message', 'the answer is no STUN message');
    assert(request.compare(buffer, 4, 20, 4, 20) === 0, 'the answer is to another transaction');
    assert(isAnswerType(cursor.type, answer, index), `an answer of type ${cursor.type.toString(16)}`);
    assert(
      cursor.hasFingerprint === facts.fingerprint,
      'FINGERPRINT asked for and not given, or given unasked',
    );
    assert(
      port === source.port || answer === 'response-port' || answer === 'receipt',
      `an answer to port ${port}`,
    );
  }
  const allowed = RULES.get(answer)!.maxBytes(facts);
  assert(bytes <= allowed, `${bytes} bytes for ${answer}, whose rule allows ${allowed}`);
  return bytes;
}

function isAnswerType(type: number, answer: AnswerKind, index: number): boolean {
  if (index === 1) return type === BINDING_INDICATION;
  const refused = ['bad-request', 'malformed', 'unknown-attribute', 'unsupported'].includes(answer);
  return type === (refused ? BINDING_ERROR : BINDING_SUCCESS);
}

function recordSizes(
  rows: Map<string, SizeRow>,
  kind: AnswerKind,
  family: Family,
  requestBytes: number,
  answerBytes: number,
): void {
  const key = `${kind} ${family}`;
  let row = rows.get(key);
  if (row === undefined) {
    row = {
      kind,
      family,
      requests: 0,
      leastRequestBytes: requestBytes,
      mostRequestBytes: requestBytes,
      leastAnswerBytes: answerBytes,
      mostAnswerBytes: answerBytes,
      largestRatio: 0,
      ratioRequestBytes: 0,
      ratioAnswerBytes: 0,
    };
    rows.set(key, row);
  }
  row.requests++;
  row.leastRequestBytes = Math.min(row.leastRequestBytes, requestBytes);
  row.mostRequestBytes = Math.max(row.mostRequestBytes, requestBytes);
  row.leastAnswerBytes = Math.min(row.leastAnswerBytes, answerBytes);
  row.mostAnswerBytes = Math.max(row.mostAnswerBytes, answerBytes);
  if (answerBytes / requestBytes > row.largestRatio) {
    row.largestRatio = answerBytes / requestBytes;
    row.ratioRequestBytes = requestBytes;
    row.ratioAnswerBytes = answerBytes;
  }
}

/** The core's own counts are those of the reference. */
function checkCounts({ core, expected }: Target): void {
  const { answers, drops }: AnswerCounts = core.counters.snapshot();
  const counted = [
    ...Object.entries(answers).map(
      ([kind, roles]) => [kind, roles.PP + roles.PA + roles.AP + roles.AA] as const,
    ),
    ...Object.entries(drops).map(([reason, count]) => [`drop ${reason}`, count] as const),
  ];
  for (const [name, count] of counted) {
    assert(
      count === (expected.get(name) ?? 0),
      `${name} counted ${count} times, not ${expected.get(name) ?? 0}`,
    );
  }
}

function sortRows(rows: ReadonlyMap<string, SizeRow>): SizeRow[] {
  return ANSWER_KINDS.flatMap((kind) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) => rows.get(`${kind} ${family}`) ?? []),
  );
}

function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
