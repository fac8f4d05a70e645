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

/** Making offers and sending them; connectivity checks both ways; the server's judgement; a server that is late. */
export type BrowserStep = 'asking' | 'checking' | 'judging' | 'waiting';

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

/** Why there is no verdict: a stable code (`webrtc-missing`, `unfinished`, or the server's ERR_…) and a sentence. */
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
/** The same once the server has asked again: it stood still, and what it has sent since is on its way. */
const PAUSE_MS = 100;
const AGAIN_MS = 500;
/** A server that takes longer over an answer is late, and after the other is waited for no more. */
const LATE_MS = 1500;
const LONGEST_MS = 20_000;

/** Rejects with ClassifyBrowserError, or with the signal's reason. */
export async function classifyBrowser({
  onProgress,
  signal,
}: ClassifyBrowserOptions = {}): Promise<BrowserClassification> {
  if (typeof RTCPeerConnection === 'undefined')
    throw new ClassifyBrowserError('webrtc-missing', 'This browser has no WebRTC, or it is switched off.');
  const end = new AbortController();
  const onAbort = (): void => end.abort(signal?.reason);
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort);
  const bound = setTimeout(() => end.abort(new ClassifyBrowserError('unfinished', UNFINISHED)), LONGEST_MS);
  // No STUN server is named: Chromium swallows whatever comes from one that is.
  const connections = Array.from(
    { length: 1 + MAPPING_CONNECTIONS },
    () => new RTCPeerConnection({ iceServers: [] }),
  );
  try {
    return await measure(connections, { onProgress: (step) => onProgress?.(step), signal: end.signal });
  } catch (error) {
    // Not every browser passes the reason on.
    throw end.signal.aborted ? end.signal.reason : error;
  } finally {
    clearTimeout(bound);
    signal?.removeEventListener('abort', onAbort);
    for (const connection of connections) connection.close();
  }
}

const UNFINISHED = `The server has not finished within ${LONGEST_MS / 1000} seconds.`;

async function measure(
  connections: readonly RTCPeerConnection[],
  options: Required<ClassifyBrowserOptions>,
): Promise<BrowserClassification> {
  const { onProgress, signal } = options;
  onProgress('asking');
  const offers = await Promise.all(connections.map(makeOffer));
  const begun = await post<Answers>('/classify/browser', bySort(offers), options);
  onProgress('checking');
  await Promise.all(
    [begun.filtering, ...begun.mapping].map((sdp, index) =>
      connections[index]!.setRemoteDescription({ type: 'answer', sdp }),
    ),
  );
  const [filtering, ...mapping] = connections as [RTCPeerConnection, ...RTCPeerConnection[]];
  const path = `/classify/browser/${encodeURIComponent(begun.id)}`;
  for (let giveUpMs = GIVE_UP_MS; ; giveUpMs = AGAIN_MS) {
    const succeeded = await pairSucceeds(filtering, giveUpMs, signal);
    if (giveUpMs === GIVE_UP_MS) onProgress('judging');
    const stats = [succeeded, ...(await Promise.all(mapping.map(readStats)))];
    const answer = await post<BrowserClassification | Unfinished>(path, bySort(stats), options);
    if (!('awaits' in answer)) return answer;
    onProgress('waiting');
    await passMs(PAUSE_MS);
  }
}

interface Answers {
  readonly id: string;
  readonly filtering: string;
  readonly mapping: readonly string[];
}

/** The server wants newer statistics. */
interface Unfinished {
  readonly id: string;
  readonly awaits: 'pair';
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
async function pairSucceeds(
  connection: RTCPeerConnection,
  giveUpMs: number,
  signal: AbortSignal,
): Promise<IceBrowserStats> {
  const until = performance.now() + giveUpMs;
  for (;;) {
    signal.throwIfAborted();
    const stats = await readStats(connection);
    if (stats.localType !== undefined || performance.now() >= until) return stats;
    await passMs(POLL_MS);
  }
}

function passMs(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
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

async function post<T>(
  path: string,
  body: unknown,
  { onProgress, signal }: Required<ClassifyBrowserOptions>,
): Promise<T> {
  const late = setTimeout(() => onProgress('waiting'), LATE_MS);
  try {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer as T;
    const { code, detail, remedy } = answer as { code: string; detail: string; remedy: string };
    throw new ClassifyBrowserError(code, `${detail}; ${remedy}`);
  } finally {
    clearTimeout(late);
  }
}
