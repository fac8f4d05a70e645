/** One kind of CHANGE-REQUEST towards one server: heard, silent, or what stands in the way (RFC 5780 §4.4). */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import { type BindingEvidence, type Change, isPlain, type ReceiptReply } from './evidence.ts';
import {
  answersDirectly,
  hasIntroducedItself,
  isBeside,
  type Observations,
  otherAddressOf,
  waitAfterReceiptMs,
} from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

/** One kind of CHANGE-REQUEST towards one server, and what it has shown so far. */
export interface FilteringTest {
  readonly change: Change;
  /** Where the response is to come from, once known. */
  readonly expected?: Endpoint;
  readonly state: FilteringState;
}

export type FilteringState =
  | { readonly kind: 'heard' }
  /** `sent` responses are known to have been sent (`receipts`) or requests to have gone unanswered, and none came. */
  | {
      readonly kind: 'silent';
      readonly sent: number;
      readonly confidence: number;
      readonly receipts: boolean;
    }
  | {
      readonly kind: 'unsupported';
      readonly how: 'answered from the unchanged endpoint' | 'answered with an error';
    }
  /** There is no endpoint to hear from: the server has no other address, or it is dead. */
  | { readonly kind: 'unavailable'; readonly why: 'no other address' | 'it answers nobody' }
  /**
   * More packets, or more waiting, would tell. Of all responses that are known to have been sent,
   * `unheard` did not come and `due` ones may still, the first wait ending at `nextMs`; `silent` and
   * `awaiting` are those of either that have a control beside them, and so count.
   */
  | {
      readonly kind: 'open';
      readonly silent: number;
      readonly awaiting: number;
      readonly unheard: number;
      readonly due: number;
      readonly nextMs: number | undefined;
    };

/**
 * Whether `server` leaves receipts out: it has answered, and enough requests for one are past
 * their time. A receipt that comes later takes this back.
 */
export function lacksReceipts(observations: Observations, server: Endpoint): boolean {
  const key = formatEndpoint(server);
  if (observations.receiptServers.has(key) || !observations.roundTrips.has(key)) return false;
  const { lossAfterMs, nowMs } = observations;
  let asked = 0;
  for (const { to, receipt, sends } of observations.series) {
    if (!receipt || !sameEndpoint(to, server)) continue;
    for (const { atMs } of sends) asked += nowMs >= atMs + lossAfterMs! ? 1 : 0;
  }
  return asked >= MIN_SILENT_SLOTS;
}

/** What the tests of the kind `change` towards `server` (its primary endpoint) have shown. */
export function assessTest(observations: Observations, server: Endpoint, change: Change): FilteringTest {
  const series = observations.series.filter(
    (item) =>
      item.responsePort === undefined &&
      item.paddingBytes === undefined &&
      item.change?.address === change.address &&
      item.change.port === change.port &&
      sameEndpoint(item.to, server),
  );
  const expected = expectedSource(observations, server, change, series);
  const test = { change, ...(expected === undefined ? {} : { expected }) };
  for (const { replies } of series) {
    if (
      expected !== undefined &&
      replies.some((r) => r.kind === 'response' && sameEndpoint(r.from, expected))
    ) {
      return { ...test, state: { kind: 'heard' } };
    }
  }
  for (const { replies } of series) {
    for (const reply of replies) {
      if (!sameEndpoint(reply.from, server)) continue;
      if (reply.kind === 'response')
        return { ...test, state: { kind: 'unsupported', how: 'answered from the unchanged endpoint' } };
      if (reply.kind === 'error') return { ...test, state: errorState(reply.code, expected) };
    }
  }
  if (expected === undefined) {
    const introduced = hasIntroducedItself(observations, server);
    const hopeless = introduced && (change.address || lacksReceipts(observations, server));
    if (hopeless) return { ...test, state: { kind: 'unavailable', why: 'no other address' } };
    const due = countYoung(observations, series);
    return {
      ...test,
      state: { kind: 'open', silent: 0, awaiting: due, unheard: 0, due, nextMs: undefined },
    };
  }
  if (answersDirectly(observations, expected) === 'no') {
    return { ...test, state: { kind: 'unavailable', why: 'it answers nobody' } };
  }
  return { ...test, state: countSilence(observations, server, expected, series) };
}

function errorState(code: number, expected: Endpoint | undefined): FilteringState {
  return code === 420 && expected === undefined
    ? { kind: 'unavailable', why: 'no other address' }
    : { kind: 'unsupported', how: 'answered with an error' };
}

/** From OTHER-ADDRESS; with a one-address server, the port from what its receipts say. */
function expectedSource(
  observations: Observations,
  server: Endpoint,
  change: Change,
  series: readonly BindingEvidence[],
): Endpoint | undefined {
  const other = otherAddressOf(observations, server);
  if (other !== undefined) return change.address ? other : { address: server.address, port: other.port };
  if (change.address) return undefined;
  for (const { replies } of series) {
    for (const reply of replies) {
      if (reply.kind !== 'receipt' || !sameEndpoint(reply.from, server)) continue;
      if (reply.sentFrom.address === server.address && reply.sentFrom.port !== server.port)
        return reply.sentFrom;
    }
  }
  return undefined;
}

/**
 * Silence from `expected` counts only beside something that came back from that address, and, where
 * no receipt says that the request arrived, beside a control from the same socket.
 */
function countSilence(
  observations: Observations,
  server: Endpoint,
  expected: Endpoint,
  series: readonly BindingEvidence[],
): FilteringState {
  const { nowMs, lossAfterMs, run } = observations;
  const receipts = !lacksReceipts(observations, server);
  const reachable = answersDirectly(observations, expected) === 'yes';
  const { workedAtMs, inFlightAtMs } = observations.paths.get(expected.address) ?? NO_CONTROLS;
  const controlsMs = receipts ? undefined : answeredControlsMs(observations, server, series);
  // By the relay's delay, which is mostly one and the same.
  const waits = new Map<number, number | undefined>();
  const silentAt: number[] = [];
  let [awaiting, unheard, due] = [0, 0, 0];
  let nextMs: number | undefined;
  for (const { sends, replies } of series) {
    const receiptOf = new Map<number, ReceiptReply>();
    for (const reply of replies)
      if (reply.kind === 'receipt' && sameEndpoint(reply.from, server)) receiptOf.set(reply.send, reply);
    for (const [index, { atMs }] of sends.entries()) {
      const young = lossAfterMs === undefined || nowMs < atMs + lossAfterMs;
      let waitUntilMs: number | undefined;
      if (receipts) {
        const receipt = receiptOf.get(index);
        if (receipt === undefined && !young) continue;
        if (receipt !== undefined && !sameEndpoint(receipt.sentFrom, expected)) continue;
        if (receipt !== undefined) waitUntilMs = waitEndMs(receipt);
      } else if (!young && reachable) waitUntilMs = nowMs;

      if (waitUntilMs === undefined || nowMs < waitUntilMs) {
        due++;
        const mayCount = [[nowMs], inFlightAtMs, workedAtMs].some((ms) => isBeside(observations, atMs, ms));
        if (mayCount) awaiting++;
        if (waitUntilMs !== undefined) nextMs = Math.min(nextMs ?? Infinity, waitUntilMs);
        continue;
      }
      unheard++;
      const arrived = controlsMs === undefined || isBeside(observations, atMs, controlsMs);
      if (arrived && isBeside(observations, atMs, workedAtMs)) silentAt.push(atMs);
    }
  }
  const confidence = 1 - chanceUnheard(observations, expected, silentAt.length);
  const spread = countSlots(silentAt, run.paceMs) >= MIN_SILENT_SLOTS;
  if (spread && confidence >= REQUIRED_CONFIDENCE) {
    return { kind: 'silent', sent: silentAt.length, confidence, receipts };
  }
  return { kind: 'open', silent: silentAt.length, awaiting, unheard, due, nextMs };

  function waitEndMs({ atMs, relayDelayMs }: ReceiptReply): number | undefined {
    if (!waits.has(relayDelayMs))
      waits.set(relayDelayMs, waitAfterReceiptMs(observations, server, expected, relayDelayMs));
    const waitMs = waits.get(relayDelayMs);
    return waitMs === undefined ? undefined : atMs + waitMs;
  }
}

const NO_CONTROLS = { workedAtMs: [], inFlightAtMs: [] };

/**
 * Probability that `n` responses from `from` are all lost: at the loss of all paths together or of
 * that address's own, whichever is worse, since its own may differ and is less well known.
 */
function chanceUnheard({ path, paths }: Observations, from: Endpoint, n: number): number {
  const ownPath = paths.get(from.address) ?? { answered: 0, lost: 0 };
  return Math.max(chanceAllLost(n, path), chanceAllLost(n, ownPath));
}

/** When plain requests from the sockets of `series` to `server` were sent that came back: the control without receipts. */
function answeredControlsMs(
  observations: Observations,
  server: Endpoint,
  series: readonly BindingEvidence[],
): number[] {
  const sockets = new Set(series.map(({ socket }) => socket));
  return observations.series
    .filter((item) => isPlain(item) && sameEndpoint(item.to, server) && sockets.has(item.socket))
    .flatMap(({ sends, replies }) => replies.map(({ send }) => sends[send]?.atMs ?? Infinity));
}

/** Sends that may still be answered. */
function countYoung(
  { nowMs, lossAfterMs = Infinity }: Observations,
  series: readonly BindingEvidence[],
): number {
  let young = 0;
  for (const { sends } of series) for (const { atMs } of sends) young += nowMs < atMs + lossAfterMs ? 1 : 0;
  return young;
}
