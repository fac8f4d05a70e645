/**
 * Evidence, counted: which endpoints answered, how fast, at what loss, and what each test amounts to
 * at one moment. Facts only; mapping.ts, filtering.ts and reach.ts conclude from them.
 */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import {
  type BindingEvidence,
  type Evidence,
  isPlain,
  type RefusalEvidence,
  type RunEvidence,
  type SocketEvidence,
  type TcpEvidence,
} from './evidence.ts';
import type { IceCheckEvidence } from './ice-evidence.ts';
import { chanceAllLost, MIN_SILENT_SLOTS, type PathLoss } from './silence.ts';

/** A wait after a receipt, and the slack on top of a round trip, are never shorter. MEASURING.md §1. */
export const MIN_WAIT_MS = 50;

/** How many mean deviations a late packet may be late. */
const JITTER_FACTOR = 4;

export interface Observations {
  /** What was counted. */
  readonly evidence: readonly Evidence[];
  readonly nowMs: number;
  readonly run: RunEvidence;
  readonly sockets: readonly SocketEvidence[];
  readonly series: readonly BindingEvidence[];
  readonly tcp: readonly TcpEvidence[];
  readonly refusals: readonly RefusalEvidence[];
  /** Where a browser was measured: nothing of what is counted below is in them. */
  readonly iceChecks: readonly IceCheckEvidence[];
  /** Round trips to each endpoint that ever answered, by formatEndpoint. */
  readonly roundTrips: ReadonlyMap<string, RoundTrip>;
  /** The largest mean deviation seen towards any endpoint, in milliseconds. */
  readonly jitterMs: number;
  /** A transaction without reply is lost once it is this old; undefined until something has answered. */
  readonly lossAfterMs: number | undefined;
  /** All paths together. */
  readonly path: PathLoss;
  /** The path to each server address and back, by address. */
  readonly paths: ReadonlyMap<string, AddressPath>;
  /** When requests were sent that came back: the path worked then, which makes silence beside them mean something. */
  readonly workedAtMs: readonly number[];
  /** Transactions that may still be answered. */
  readonly inFlight: number;
  /** When the oldest of them will count as lost; undefined if none is or nothing has answered. */
  readonly nextLossMs: number | undefined;
  /** Primary endpoints of servers that have ever sent a receipt, by formatEndpoint. */
  readonly receiptServers: ReadonlySet<string>;
}

/** As `path` and `workedAtMs`, for what one address was asked and answered itself. */
export interface AddressPath extends PathLoss {
  readonly workedAtMs: readonly number[];
  /** When the requests to it were sent that may still be answered. */
  readonly inFlightAtMs: readonly number[];
}

export interface RoundTrip {
  readonly meanMs: number;
  readonly samples: number;
}

/** Counts the evidence as of the run's `untilMs`. Throws if there is no `run` among it. */
export function observe(evidence: readonly Evidence[]): Observations {
  const sockets: SocketEvidence[] = [];
  const series: BindingEvidence[] = [];
  const tcp: TcpEvidence[] = [];
  const refusals: RefusalEvidence[] = [];
  const iceChecks: IceCheckEvidence[] = [];
  let run: RunEvidence | undefined;
  for (const item of evidence) {
    if (item.kind === 'binding') series.push(item);
    else if (item.kind === 'socket') sockets.push(item);
    else if (item.kind === 'run') run = item;
    else if (item.kind === 'tcp') tcp.push(item);
    else if (item.kind === 'ice-check') iceChecks.push(item);
    // Not a mere else: a report may carry kinds that this version doesn't know.
    else if (item.kind === 'refusal') refusals.push(item);
  }
  if (run === undefined) throw new TypeError('evidence without its run');
  const nowMs = run.untilMs;
  const { roundTrips, jitterMs, receiptServers } = measureRoundTrips(series);
  let slowestMs: number | undefined;
  for (const { meanMs } of roundTrips.values()) slowestMs = Math.max(slowestMs ?? 0, meanMs);
  const lossAfterMs =
    slowestMs === undefined ? undefined : slowestMs + JITTER_FACTOR * jitterMs + MIN_WAIT_MS;
  const counted = countPaths(series, roundTrips, receiptServers, nowMs, lossAfterMs);
  return {
    evidence,
    nowMs,
    run,
    sockets,
    series,
    tcp,
    refusals,
    iceChecks,
    roundTrips,
    jitterMs,
    lossAfterMs,
    receiptServers,
    ...counted,
  };
}

export function roundTripTo(observations: Observations, endpoint: Endpoint): RoundTrip | undefined {
  return observations.roundTrips.get(formatEndpoint(endpoint));
}

/** Of an endpoint being dead, which nothing but silence tells and which is in no hurry to be concluded. */
const DEAD_CONFIDENCE = 0.99999;
/** No endpoint is called dead before it has been asked for this long: its own path may have an outage. */
const DEAD_AFTER_MS = 1000;
/** A control is beside what it controls within this many pacing slots. */
const CONTROL_SLOTS = 2;

/**
 * Whether `endpoint` answers plain requests: `no` once enough of them went unanswered to exclude
 * loss while the path worked, `open` before.
 */
export function answersDirectly(observations: Observations, endpoint: Endpoint): 'yes' | 'no' | 'open' {
  if (observations.roundTrips.has(formatEndpoint(endpoint))) return 'yes';
  const { lossAfterMs, nowMs, series, workedAtMs } = observations;
  if (lossAfterMs === undefined) return 'open';
  let silent = 0;
  let sinceMs = Infinity;
  for (const item of series) {
    if (!isPlain(item) || !sameEndpoint(item.to, endpoint)) continue;
    for (const { atMs } of item.sends) {
      if (nowMs < atMs + lossAfterMs || !isBeside(observations, atMs, workedAtMs)) continue;
      silent++;
      sinceMs = Math.min(sinceMs, atMs);
    }
  }
  if (silent < MIN_SILENT_SLOTS || nowMs < sinceMs + DEAD_AFTER_MS) return 'open';
  const dead = chanceAllLost(silent, observations.path) <= 1 - DEAD_CONFIDENCE;
  return dead ? 'no' : 'open';
}

/** Whether one of the controls, by when they were sent, is so close to `atMs` that one outage would have taken both. */
export function isBeside({ run }: Observations, atMs: number, controlsMs: readonly number[]): boolean {
  const nearMs = CONTROL_SLOTS * run.paceMs;
  return controlsMs.some((controlMs) => Math.abs(controlMs - atMs) <= nearMs);
}

/** Whether `server` has answered a plain request, and so has said whether it has another address. */
export function hasIntroducedItself(observations: Observations, server: Endpoint): boolean {
  return observations.series.some(
    (series) =>
      isPlain(series) &&
      sameEndpoint(series.to, server) &&
      series.replies.some((reply) => reply.kind === 'response' && sameEndpoint(reply.from, server)),
  );
}

/** The other address and port (OTHER-ADDRESS, CHANGED-ADDRESS) that `server` itself has named, if any. */
export function otherAddressOf(observations: Observations, server: Endpoint): Endpoint | undefined {
  for (const series of observations.series) {
    if (!isPlain(series) || !sameEndpoint(series.to, server)) continue;
    for (const reply of series.replies) {
      if (reply.kind !== 'response' || reply.other === undefined || !sameEndpoint(reply.from, server))
        continue;
      if (reply.other.address !== server.address && reply.other.port !== server.port) return reply.other;
    }
  }
  return undefined;
}

/**
 * How long after the receipt a response from `from` may still come: the difference of the round
 * trips, the relay's delay and jitter, at least 50 ms. Undefined while `from` has answered nobody:
 * a receipt proves a send and not a path.
 */
export function waitAfterReceiptMs(
  observations: Observations,
  asked: Endpoint,
  from: Endpoint,
  relayDelayMs: number,
): number | undefined {
  const alternate = roundTripTo(observations, from);
  const primary = roundTripTo(observations, asked);
  if (alternate === undefined || primary === undefined) return undefined;
  const later = Math.max(0, alternate.meanMs - primary.meanMs);
  return Math.max(MIN_WAIT_MS, later + relayDelayMs + JITTER_FACTOR * observations.jitterMs);
}

interface RoundTrips {
  roundTrips: Map<string, RoundTrip>;
  jitterMs: number;
  receiptServers: Set<string>;
}

/** A reply counts for the round trip to `to` if it came from there, the first one for each send. */
function measureRoundTrips(series: readonly BindingEvidence[]): RoundTrips {
  const samples = new Map<string, number[]>();
  const receiptServers = new Set<string>();
  for (const { to, sends, replies } of series) {
    if (replies.length === 0) continue;
    const key = formatEndpoint(to);
    let list = samples.get(key);
    const seen = new Uint8Array(sends.length);
    for (const reply of replies) {
      const send = sends[reply.send];
      if (send === undefined || !sameEndpoint(reply.from, to)) continue;
      if (reply.kind === 'receipt') receiptServers.add(key);
      if (seen[reply.send] === 1) continue;
      seen[reply.send] = 1;
      if (list === undefined) samples.set(key, (list = []));
      list.push(reply.atMs - send.atMs);
    }
  }
  const roundTrips = new Map<string, RoundTrip>();
  let jitterMs = 0;
  for (const [key, list] of samples) {
    const meanMs = list.reduce((sum, value) => sum + value, 0) / list.length;
    const deviation = list.reduce((sum, value) => sum + Math.abs(value - meanMs), 0) / list.length;
    jitterMs = Math.max(jitterMs, deviation);
    roundTrips.set(key, { meanMs, samples: list.length });
  }
  return { roundTrips, jitterMs, receiptServers };
}

interface CountedPath extends AddressPath {
  answered: number;
  lost: number;
  readonly workedAtMs: number[];
  readonly inFlightAtMs: number[];
}

/**
 * Counts the transactions which no NAT behaviour can silence: plain ones to an endpoint that has
 * answered before, and those with a receipt from a server that gives receipts.
 */
function countPaths(
  series: readonly BindingEvidence[],
  roundTrips: ReadonlyMap<string, RoundTrip>,
  receiptServers: ReadonlySet<string>,
  nowMs: number,
  lossAfterMs: number | undefined,
): Pick<Observations, 'path' | 'paths' | 'workedAtMs' | 'inFlight' | 'nextLossMs'> {
  const paths = new Map<string, CountedPath>();
  const all: CountedPath = { answered: 0, lost: 0, workedAtMs: [], inFlightAtMs: [] };
  let nextLossMs: number | undefined;
  for (const item of series) {
    const key = formatEndpoint(item.to);
    const certain = isPlain(item) ? roundTrips.has(key) : item.receipt && receiptServers.has(key);
    let path = paths.get(item.to.address);
    if (path === undefined) {
      path = { answered: 0, lost: 0, workedAtMs: [], inFlightAtMs: [] };
      paths.set(item.to.address, path);
    }
    const replied = new Uint8Array(item.sends.length);
    const repliedItself = new Uint8Array(item.sends.length);
    for (const { send, from } of item.replies) {
      replied[send] = 1;
      if (from.address === item.to.address) repliedItself[send] = 1;
    }
    for (const [send, { atMs }] of item.sends.entries()) {
      if (repliedItself[send] === 1) {
        path.workedAtMs.push(atMs);
        if (certain) path.answered++;
      }
      if (replied[send] === 1) {
        all.workedAtMs.push(atMs);
        if (certain) all.answered++;
        continue;
      }
      const lossAtMs = lossAfterMs === undefined ? Infinity : atMs + lossAfterMs;
      if (nowMs < lossAtMs) {
        all.inFlightAtMs.push(atMs);
        path.inFlightAtMs.push(atMs);
        nextLossMs = Math.min(nextLossMs ?? Infinity, lossAtMs);
      } else if (certain) {
        all.lost++;
        path.lost++;
      }
    }
  }
  const { answered, lost, workedAtMs, inFlightAtMs } = all;
  return { path: { answered, lost }, paths, workedAtMs, inFlight: inFlightAtMs.length, nextLossMs };
}
