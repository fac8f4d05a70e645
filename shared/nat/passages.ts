/** Which packets of a run came through, by endpoint of the server: what is drawn of the evidence. */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import type { BindingEvidence, BindingReply, Change, Evidence } from './evidence.ts';
import type { IceCheckEvidence } from './ice-evidence.ts';

export interface Passages {
  /** From one socket, which sent to each of these. */
  readonly out: readonly OutboundPassage[];
  /** To sockets that had sent to the first of them alone. */
  readonly in: readonly InboundPassage[];
}

export interface OutboundPassage {
  readonly endpoint: Endpoint;
  /** The public endpoint that it arrived from; absent if nothing is known to have arrived. */
  readonly seenAs?: Endpoint;
}

export interface InboundPassage {
  readonly endpoint: Endpoint;
  /** Whether the socket had sent there: then what comes is an answer. */
  readonly asked: boolean;
  /** Packets known to have been sent from there, or asked for where the server doesn't say. */
  readonly sent: number;
  readonly heard: boolean;
}

/** More endpoints are not drawn. */
const MOST_ENDPOINTS = 8;

/** Of the evidence of a classification, a probe's or a browser's. */
export function passagesOf(evidence: readonly Evidence[]): Passages {
  const servers = evidence.flatMap((item) => (item.kind === 'run' ? item.servers : []));
  const checks = evidence.filter((item) => item.kind === 'ice-check');
  const out = checks.length > 0 ? outboundChecks(checks) : outboundRequests(evidence);
  const inbound = checks.length > 0 ? inboundChecks(checks) : inboundResponses(evidence, servers[0]);
  return {
    out: inOrder(out, servers[0]),
    in: inOrder(addUntried(inbound, out), servers[0]),
  };
}

function addUntried(
  inbound: readonly InboundPassage[],
  out: readonly OutboundPassage[],
): readonly InboundPassage[] {
  const untried = out.filter(
    ({ endpoint }) => !inbound.some((passage) => sameEndpoint(passage.endpoint, endpoint)),
  );
  return [...inbound, ...untried.map(({ endpoint }) => ({ endpoint, asked: false, sent: 0, heard: false }))];
}

/** The first server's address first, and its port before the other. */
function inOrder<Passage extends { readonly endpoint: Endpoint }>(
  passages: readonly Passage[],
  first: Endpoint | undefined,
): Passage[] {
  const addresses = [first, ...passages.map(({ endpoint }) => endpoint)].map((item) => item?.address);
  const rank = ({ endpoint }: Passage): number =>
    2 * addresses.indexOf(endpoint.address) + (endpoint.port === first?.port ? 0 : 1);
  return passages.toSorted((a, b) => rank(a) - rank(b)).slice(0, MOST_ENDPOINTS);
}

/** The socket that was seen at the most endpoints tells the most. */
function mostSeen(sockets: Iterable<readonly OutboundPassage[]>): readonly OutboundPassage[] {
  const seen = (passages: readonly OutboundPassage[]): number =>
    passages.filter(({ seenAs }) => seenAs !== undefined).length;
  let best: readonly OutboundPassage[] = [];
  for (const passages of sockets) {
    if (best.length === 0 || seen(passages) > seen(best)) best = passages;
  }
  return best;
}

function outboundChecks(checks: readonly IceCheckEvidence[]): readonly OutboundPassage[] {
  return mostSeen(
    checks
      .filter(({ purpose }) => purpose === 'mapping')
      .map(({ offered, received }) =>
        offered.map((endpoint) => {
          const arrival = received.find(({ at }) => sameEndpoint(at, endpoint));
          return { endpoint, ...(arrival && { seenAs: arrival.from }) };
        }),
      ),
  );
}

function outboundRequests(evidence: readonly Evidence[]): readonly OutboundPassage[] {
  const requests = requestsOf(evidence, 'mapping').filter((item) => item.change === undefined);
  const sockets = Map.groupBy(requests, ({ socket }) => socket);
  return mostSeen(
    [...sockets.values()].map((ofSocket) =>
      [...Map.groupBy(ofSocket, ({ to }) => formatEndpoint(to)).values()].map((series) => {
        const answer = series.flatMap(({ replies }) => replies).find((reply) => reply.kind === 'response');
        return { endpoint: series[0]!.to, ...(answer && { seenAs: answer.mapped }) };
      }),
    ),
  );
}

function inboundChecks(checks: readonly IceCheckEvidence[]): readonly InboundPassage[] {
  const filtering = checks.filter(({ purpose }) => purpose === 'filtering');
  const offered = filtering.flatMap((connection) => connection.offered);
  const arrivals = filtering.flatMap(({ received }) => received);
  const own = Map.groupBy(
    filtering.flatMap((connection) => connection.checks),
    ({ from }) => formatEndpoint(from),
  );
  return [...own.values()].map((transactions) => {
    const endpoint = transactions[0]!.from;
    return {
      endpoint,
      asked: offered.some((candidate) => sameEndpoint(candidate, endpoint)),
      sent: transactions.reduce((sum, { sentMs }) => sum + sentMs.length, 0),
      heard:
        transactions.some(({ answers }) => answers.length > 0) ||
        arrivals.some(({ at }) => sameEndpoint(at, endpoint)),
    };
  });
}

function inboundResponses(
  evidence: readonly Evidence[],
  primary: Endpoint | undefined,
): readonly InboundPassage[] {
  if (primary === undefined) return [];
  const requests = requestsOf(evidence, 'filtering').filter(({ to }) => sameEndpoint(to, primary));
  const direct = requests.flatMap(({ replies }) => replies).filter(({ from }) => sameEndpoint(from, primary));
  const other = requestsOf(evidence, 'mapping')
    .flatMap(({ replies }) => replies)
    .map((reply) =>
      reply.kind === 'response' && sameEndpoint(reply.from, primary) ? reply.other : undefined,
    )
    .find((endpoint) => endpoint !== undefined);
  const tests = [...Map.groupBy(requests, ({ change }) => JSON.stringify(change)).values()];
  const unasked = tests.flatMap((series): InboundPassage[] => {
    const [{ change }] = series as [BindingEvidence];
    if (change === undefined) return [];
    const replies = series.flatMap((item) => item.replies);
    const endpoint = senderOf(replies, primary) ?? cornerOf(primary, other, change);
    if (endpoint === undefined || sameEndpoint(endpoint, primary)) return [];
    const heard = replies.some((reply) => isResponseFrom(reply, endpoint));
    return [{ endpoint, asked: false, sent: series.reduce((sum, item) => sum + countSent(item), 0), heard }];
  });
  if (unasked.length === 0) return [];
  return [{ endpoint: primary, asked: true, sent: direct.length, heard: direct.length > 0 }, ...unasked];
}

/** Where the server says, or shows, that it has responded from. */
function senderOf(replies: readonly BindingReply[], primary: Endpoint): Endpoint | undefined {
  for (const reply of replies) {
    if (reply.kind === 'receipt') return reply.sentFrom;
    if (reply.kind === 'response' && !sameEndpoint(reply.from, primary)) return reply.from;
  }
  return undefined;
}

function cornerOf(primary: Endpoint, other: Endpoint | undefined, change: Change): Endpoint | undefined {
  if (other === undefined) return undefined;
  return {
    address: change.address ? other.address : primary.address,
    port: change.port ? other.port : primary.port,
  };
}

function isResponseFrom(reply: BindingReply, endpoint: Endpoint): boolean {
  return reply.kind === 'response' && sameEndpoint(reply.from, endpoint);
}

/** By receipts where there are some: then the others are not known to have got to the server. */
function countSent({ receipt, sends, replies }: BindingEvidence): number {
  if (!receipt) return sends.length;
  return new Set(replies.filter(({ kind }) => kind !== 'error').map(({ send }) => send)).size;
}

function requestsOf(evidence: readonly Evidence[], purpose: 'mapping' | 'filtering'): BindingEvidence[] {
  const sockets = new Set(
    evidence.flatMap((item) => (item.kind === 'socket' && item.purpose === purpose ? [item.socket] : [])),
  );
  return evidence.filter(
    (item): item is BindingEvidence =>
      item.kind === 'binding' && item.responsePort === undefined && sockets.has(item.socket),
  );
}
