/**
 * Measures the NAT in front of this browser: offers WebRTC connections to the server, which plays
 * their ICE peer and sees from outside what comes and what gets in. Nothing is asked of the visitor.
 */
import type { NatType } from '../../../shared/nat/behaviour.ts';
import type { IceBrowserStats } from '../../../shared/nat/ice-evidence.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import type { PredictedOutcome } from '../../../shared/punch/predict.ts';
import type { Report } from '../../../shared/report/report.ts';

export interface ClassifyBrowserOptions {
  /** Told of each step as it begins. */
  readonly onProgress?: (step: BrowserStep) => void;
  /** Ends it: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Making offers and sending them; connectivity checks both ways; the server's judgement. */
export type BrowserStep = 'asking' | 'checking' | 'judging';

export interface BrowserClassification {
  readonly id: string;
  /** Where the report is. */
  readonly url: string;
  readonly verdict: Verdict;
  /** With the evidence, and addresses as they were seen. */
  readonly report: Report;
  /** What the NAT means with each kind of peer. */
  readonly punchability: Readonly<
    Partial<Record<NatType, { readonly outcome: PredictedOutcome; readonly probability: number }>>
  >;
}

/** Why there is no verdict: a stable code (`webrtc-missing`, or the server's ERR_…) and a sentence. */
export class ClassifyBrowserError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'ClassifyBrowserError';
    this.code = code;
  }
}

/** One socket for the filtering, and two for the mapping, since two flows of one may have collided. */
const MAPPING_CONNECTIONS = 2;
/** How often the browser is asked whether a pair has succeeded, and for how long. */
const POLL_MS = 25;
const GIVE_UP_MS = 1900;

/** Rejects with ClassifyBrowserError, or with the signal's reason. */
export async function classifyBrowser({
  onProgress,
  signal,
}: ClassifyBrowserOptions = {}): Promise<BrowserClassification> {
  if (typeof RTCPeerConnection === 'undefined')
    throw new ClassifyBrowserError('webrtc-missing', 'This browser has no WebRTC, or it is switched off.');
  onProgress?.('asking');
  // No STUN server is named: Chromium swallows whatever comes from one that is.
  const connections = Array.from(
    { length: 1 + MAPPING_CONNECTIONS },
    () => new RTCPeerConnection({ iceServers: [] }),
  );
  try {
    const offers = await Promise.all(connections.map(makeOffer));
    const begun = await post<Answers>('/classify/browser', bySort(offers), signal);
    onProgress?.('checking');
    await Promise.all(
      [begun.filtering, ...begun.mapping].map((sdp, index) =>
        connections[index]!.setRemoteDescription({ type: 'answer', sdp }),
      ),
    );
    const [filtering, ...mapping] = connections as [RTCPeerConnection, ...RTCPeerConnection[]];
    const succeeded = await pairSucceeds(filtering, signal);
    onProgress?.('judging');
    const stats = [succeeded, ...(await Promise.all(mapping.map(readStats)))];
    const path = `/classify/browser/${encodeURIComponent(begun.id)}`;
    return await post<BrowserClassification>(path, bySort(stats), signal);
  } finally {
    for (const connection of connections) connection.close();
  }
}

interface Answers {
  readonly id: string;
  readonly filtering: string;
  readonly mapping: readonly string[];
}

/** As the server takes them: the first is the filtering connection's. */
function bySort<T>([filtering, ...mapping]: readonly T[]): { filtering: T | undefined; mapping: T[] } {
  return { filtering, mapping };
}

async function makeOffer(connection: RTCPeerConnection): Promise<string> {
  connection.createDataChannel('natprobe');
  const offer = await connection.createOffer();
  await connection.setLocalDescription(offer);
  // Candidates may follow: the server goes by the checks, not by what the offer says of addresses.
  return connection.localDescription?.sdp ?? offer.sdp ?? '';
}

/**
 * The statistics that first tell of a pair that succeeded, or the last before it is too late for that.
 * They aren't read again: Chromium takes the success back with each further check of the pair until that
 * is answered.
 */
async function pairSucceeds(connection: RTCPeerConnection, signal?: AbortSignal): Promise<IceBrowserStats> {
  const until = performance.now() + GIVE_UP_MS;
  for (;;) {
    signal?.throwIfAborted();
    const stats = await readStats(connection);
    if (stats.localType !== undefined || performance.now() >= until) return stats;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What of the browser's statistics is looked at; libraries differ in what they declare. */
interface Statistic {
  readonly id: string;
  readonly type: string;
  readonly state?: string;
  readonly localCandidateId?: string;
  readonly candidateType?: string;
  readonly protocol?: string;
  readonly requestsSent?: number;
  readonly responsesReceived?: number;
}

async function readStats(connection: RTCPeerConnection): Promise<IceBrowserStats> {
  const all: Statistic[] = [];
  (await connection.getStats()).forEach((statistic: Statistic) => all.push(statistic));
  const pairs = all.filter(
    ({ type, state }) => type === 'candidate-pair' && state !== 'frozen' && state !== 'waiting',
  );
  const local = all.filter(({ type, protocol }) => type === 'local-candidate' && protocol !== 'tcp');
  const typeOf = (pair: Statistic | undefined): string | undefined =>
    all.find(({ id }) => id === pair?.localCandidateId)?.candidateType;
  // Where Chromium has taken it back, a response has still made the local candidate `prflx`. With `host` it would
  // say nothing: Firefox counts responses for the host's pair, and succeeds with another.
  const succeeded =
    pairs.find(({ state }) => state === 'succeeded') ??
    pairs.find((pair) => (pair.responsesReceived ?? 0) > 0 && typeOf(pair) === 'prflx');
  const localType = typeOf(succeeded);
  const counted = pairs.map(({ requestsSent }) => requestsSent).filter((count) => count !== undefined);
  return {
    localCandidates: local.length,
    pairs: pairs.length,
    ...(counted.length === pairs.length && { checksSent: counted.reduce((sum, count) => sum + count, 0) }),
    ...(isLocalType(localType) && { localType }),
  };
}

function isLocalType(type: string | undefined): type is NonNullable<IceBrowserStats['localType']> {
  return type === 'host' || type === 'srflx' || type === 'prflx' || type === 'relay';
}

async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  });
  const answer: unknown = await response.json();
  if (response.ok) return answer as T;
  const { code, detail, remedy } = answer as { code: string; detail: string; remedy: string };
  throw new ClassifyBrowserError(code, `${detail}; ${remedy}`);
}
