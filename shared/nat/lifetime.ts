/**
 * How long a UDP mapping (without translation: a firewall's opening) lives without traffic
 * (RFC 4787 §4.3), measured as RFC 5780 §4.6 has it.
 *
 * Judged for two kinds of flows, since gateways tell them apart (Linux: 30 s and 120 s): one
 * exchange of a request and a response, and several exchanges over more than two seconds.
 */
import type { Axis } from './axis.ts';
import type { Evidence } from './evidence.ts';
import { findGone, type Gone, observeTrials, type Trial, type Trials } from './lifetime-trials.ts';
import { type Observations, observe } from './observations.ts';
import type { Reason } from './verdict.ts';

/** Of one kind of flow. `longer-than-tried`: at the longest interval that was tried the mapping lived. */
export interface Lifetime extends Axis<'finite' | 'longer-than-tried'> {
  /** After this long without traffic it lived; 0 where nothing is known. */
  readonly atLeastMs: number;
  /** After this long it was gone. Absent where that is not known, or where some lived longer. */
  readonly atMostMs?: number;
}

/** Of a flow of one exchange, which is the least that a keepalive has to outlive. */
export interface LifetimeAxis extends Lifetime {
  /** Whether packets from outside alone keep a mapping (RFC 4787 §4.3, REQ-6). */
  readonly refreshedByInbound: InboundRefresh;
  /** Of a flow with several exchanges over more than two seconds. */
  readonly stream: Lifetime;
}

export type InboundRefresh = 'outbound-only' | 'inbound-too' | 'unknown';

/** Linux takes a flow for a stream from two seconds on (nf_conntrack_udp_packet): these stay clear of that. */
export const BRIEF_SPAN_MS = 1500;
export const STREAM_SPAN_MS = 2200;
export const STREAM_EXCHANGES = 3;

export type FlowKind = 'brief' | 'stream';

/** Throws if there is no `run` among the evidence. */
export function assessLifetime(evidence: readonly Evidence[]): LifetimeAxis {
  const observations = observe(evidence);
  return judgeLifetime(observations, observeTrials(observations, observations.run.servers[0]!));
}

/** The same from what has been counted already. */
export function judgeLifetime(observations: Observations, observed: Trials): LifetimeAxis {
  const untouched = (kind: FlowKind) =>
    observed.trials
      .filter((trial) => flowKindOf(trial) === kind)
      .map((trial) => untouchedFinding(observations, trial));
  const why = whyNothing(observations, observed);
  if (why !== undefined) {
    const nothing = { value: 'unknown', confidence: 0, reasons: [why], atLeastMs: 0 } as const;
    return { ...nothing, refreshedByInbound: 'unknown', stream: nothing };
  }
  const brief = concludeLifetime(untouched('brief'), 'one exchange');
  const stream = concludeLifetime(untouched('stream'), 'several exchanges');
  const refresh = concludeRefresh(observations, observed.trials, brief);
  return {
    ...brief,
    reasons: [...brief.reasons, ...refresh.reasons, ...poolReasons(observed)],
    refreshedByInbound: refresh.refreshedByInbound,
    stream,
  };
}

/** Whether a socket's packets so far make a flow of either kind; its last one must have been answered. */
export function flowKindOf(trial: Trial): FlowKind | undefined {
  if (trial.repliedMs < trial.lastSentMs) return undefined;
  const spanMs = trial.lastSentMs - trial.firstSentMs;
  if (spanMs <= BRIEF_SPAN_MS) return 'brief';
  return spanMs >= STREAM_SPAN_MS && trial.exchanges >= STREAM_EXCHANGES ? 'stream' : undefined;
}

/** In plain words, for one line. */
export function describeLifetime(axis: LifetimeAxis): string {
  const brief = describeBounds(axis);
  const stream = describeBounds(axis.stream);
  const flows =
    axis.stream.value === 'unknown' || isAlike(axis, axis.stream)
      ? brief
      : `${brief} after one exchange, ${stream} after several`;
  return `${flows}${REFRESH_TEXTS[axis.refreshedByInbound]}`;
}

/** Bounds closer than this differ by when the questions happened to be asked. */
const ALIKE_MS = 1000;

function isAlike(one: Lifetime, other: Lifetime): boolean {
  const isNear = (a = Infinity, b = Infinity): boolean => a === b || Math.abs(a - b) < ALIKE_MS;
  return (
    one.value === other.value &&
    isNear(one.atLeastMs, other.atLeastMs) &&
    isNear(one.atMostMs, other.atMostMs)
  );
}

const REFRESH_TEXTS: Readonly<Record<InboundRefresh, string>> = {
  'inbound-too': '; inbound packets refresh it too',
  'outbound-only': '; only outbound packets refresh it',
  unknown: '',
};

function describeBounds({ value, atLeastMs, atMostMs }: Lifetime): string {
  if (value === 'unknown') return 'unknown';
  if (atMostMs === undefined) return `at least ${seconds(atLeastMs)} s`;
  return atLeastMs === 0
    ? `less than ${seconds(atMostMs)} s`
    : `${seconds(atLeastMs)} to ${seconds(atMostMs)} s`;
}

/** What an untouched mapping showed: nothing came in before the first question that was heard. */
type Finding =
  | { readonly kind: 'alive'; readonly atLeastMs: number }
  | { readonly kind: 'gone'; readonly atMostMs: number; readonly gone: Gone }
  | { readonly kind: 'open' };

function untouchedFinding(observations: Observations, trial: Trial): Finding {
  const heard = trial.questions.find(({ outcome }) => outcome.kind === 'heard');
  // The response crossed the gateway after its question was sent, the last packet of the flow before it was answered.
  if (heard !== undefined) return { kind: 'alive', atLeastMs: Math.max(0, heard.atMs - trial.repliedMs) };
  const gone = findGone(observations, trial);
  return gone === undefined
    ? { kind: 'open' }
    : { kind: 'gone', atMostMs: gone.atMs - trial.lastSentMs, gone };
}

function concludeLifetime(findings: readonly Finding[], after: string): Lifetime {
  const open = findings.filter(({ kind }) => kind === 'open').length;
  const alive = findings.flatMap((finding) => (finding.kind === 'alive' ? finding.atLeastMs : []));
  const gone = findings.filter((finding) => finding.kind === 'gone').sort((a, b) => a.atMostMs - b.atMostMs);
  const first = gone[0];
  const longestMs = Math.max(0, ...alive);
  if (first === undefined) {
    if (alive.length === 0) {
      const text = `no mapping left alone after ${after} was asked about`;
      return { value: 'unknown', confidence: 0, reasons: [{ code: 'lifetime-open', text }], atLeastMs: 0 };
    }
    const reasons = [aliveReason(longestMs, after), ...openReasons(open)];
    return { value: 'longer-than-tried', confidence: 1, reasons, atLeastMs: longestMs };
  }
  const { confidence, silent } = first.gone;
  const reasons = [goneReason(first.atMostMs, silent, after)];
  if (longestMs > first.atMostMs) {
    const atLeastMs = Math.max(0, ...alive.filter((ms) => ms < first.atMostMs));
    const text = `mappings lived unequally long: another one was alive after ${seconds(longestMs)} s`;
    reasons.push({ code: 'lifetime-uneven', text });
    return { value: 'finite', confidence, reasons, atLeastMs };
  }
  if (alive.length > 0) reasons.unshift(aliveReason(longestMs, after));
  return { value: 'finite', confidence, reasons, atLeastMs: longestMs, atMostMs: first.atMostMs };
}

function concludeRefresh(
  observations: Observations,
  trials: readonly Trial[],
  brief: Lifetime,
): { refreshedByInbound: InboundRefresh; reasons: Reason[] } {
  if (brief.atMostMs === undefined) return { refreshedByInbound: 'unknown', reasons: [] };
  for (const trial of trials) {
    if (flowKindOf(trial) !== 'brief') continue;
    const heard = trial.questions.filter(({ outcome }) => outcome.kind === 'heard');
    const last = heard.at(-1);
    if (last === undefined) continue;
    const keptMs = last.atMs - trial.repliedMs;
    if (heard.length > 1 && keptMs > brief.atMostMs) {
      const text = `inbound packets alone kept a mapping for ${seconds(keptMs)} s`;
      return { refreshedByInbound: 'inbound-too', reasons: [{ code: 'lifetime-inbound-refreshes', text }] };
    }
    const gone = findGone(observations, trial);
    if (gone !== undefined && gone.atMs - last.atMs < brief.atLeastMs) {
      const text = `a mapping was gone ${seconds(gone.atMs - last.atMs)} s after a packet came in through it`;
      return {
        refreshedByInbound: 'outbound-only',
        reasons: [{ code: 'lifetime-inbound-does-not-refresh', text }],
      };
    }
  }
  return { refreshedByInbound: 'unknown', reasons: [] };
}

/** Why nothing can be said at all, if so. */
function whyNothing(
  observations: Observations,
  { trials, unsupported, isPooled }: Trials,
): Reason | undefined {
  if (observations.roundTrips.size === 0)
    return { code: 'no-answer', text: 'the server did not answer over UDP' };
  if (unsupported !== undefined) {
    const text = `the server does not serve RESPONSE-PORT: ${unsupported}`;
    return { code: 'response-port-unsupported', text };
  }
  const isHeard = trials.some(({ questions }) => questions.some(({ outcome }) => outcome.kind === 'heard'));
  if (isHeard) return undefined;
  if (isPooled) return POOL_REASON;
  const isGone = trials.some((trial) => findGone(observations, trial) !== undefined);
  return isGone
    ? {
        code: 'lifetime-nothing-heard',
        text: 'no response asked for by RESPONSE-PORT came in, even at once',
      }
    : { code: 'lifetime-open', text: 'nothing was learned in the time given' };
}

const POOL_REASON: Reason = {
  code: 'address-pool',
  text: 'sockets have different public addresses, and one cannot ask for another there',
};

function poolReasons({ isPooled }: Trials): Reason[] {
  return isPooled ? [POOL_REASON] : [];
}

function aliveReason(ms: number, after: string): Reason {
  return {
    code: 'lifetime-alive',
    text: `${seconds(ms)} s after ${after} a response still came in through the mapping`,
  };
}

function goneReason(ms: number, silent: number, after: string): Reason {
  return silent === 0
    ? {
        code: 'lifetime-port-reused',
        text: `${seconds(ms)} s after ${after} the mapping's port belonged to another socket`,
      }
    : {
        code: 'lifetime-gone',
        text: `${seconds(ms)} s after ${after} none of ${silent} responses sent to the mapping came in`,
      };
}

function openReasons(open: number): Reason[] {
  if (open === 0) return [];
  return [{ code: 'lifetime-open', text: `${open} longer intervals were not decided` }];
}

/** One decimal below ten seconds. */
function seconds(ms: number): string {
  const rounded = ms < 10_000 ? Math.round(ms / 100) / 10 : Math.round(ms / 1000);
  return String(rounded);
}
