/** Filtering behaviour from CHANGE-REQUEST tests on fresh sockets (RFC 4787 §5, RFC 5780 §4.4). */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import type { Filtering } from './behaviour.ts';
import { type BindingEvidence, type Change, isPlain } from './evidence.ts';
import {
  answersDirectly,
  besides,
  hasIntroducedItself,
  type Observations,
  otherAddressOf,
  waitAfterReceiptMs,
} from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS } from './silence.ts';
import { type Reason, REQUIRED_CONFIDENCE } from './verdict.ts';

/** Test II of RFC 5780 §4.4: an answer from the other address and port. */
export const FROM_OTHER_ADDRESS: Change = { address: true, port: true };
/** Test III: an answer from the same address and the other port. */
export const FROM_OTHER_PORT: Change = { address: false, port: true };

export interface FilteringAssessment {
  readonly filtering: Filtering;
  readonly confidence: number;
  readonly reasons: readonly Reason[];
  readonly otherAddress: FilteringTest;
  readonly otherPort: FilteringTest;
}

/** One kind of CHANGE-REQUEST towards one server, and what it has shown so far. */
export interface FilteringTest {
  readonly change: Change;
  /** Where the response is to come from, once known. */
  readonly expected?: Endpoint;
  readonly state: FilteringState;
}

export type FilteringState =
  | { readonly kind: 'heard' }
  /** `sent` responses are known to have been sent (or requests to have gone unanswered), and none came. */
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
  /** More packets, or more waiting, would tell. `awaiting` ones are under way or in their wait, the first until `nextMs`. */
  | {
      readonly kind: 'open';
      readonly silent: number;
      readonly awaiting: number;
      readonly nextMs: number | undefined;
    };

/** What the tests towards `server` (its primary endpoint) have shown. */
export function assessFiltering(observations: Observations, server: Endpoint): FilteringAssessment {
  const otherAddress = assessTest(observations, server, FROM_OTHER_ADDRESS);
  const otherPort = assessTest(observations, server, FROM_OTHER_PORT);
  return { ...concludeFiltering(otherAddress, otherPort), otherAddress, otherPort };
}

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

function assessTest(observations: Observations, server: Endpoint, change: Change): FilteringTest {
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
    return {
      ...test,
      state: { kind: 'open', silent: 0, awaiting: countYoung(observations, series), nextMs: undefined },
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

function countSilence(
  observations: Observations,
  server: Endpoint,
  expected: Endpoint,
  series: readonly BindingEvidence[],
): FilteringState {
  const { nowMs, lossAfterMs, run } = observations;
  const receipts = !lacksReceipts(observations, server);
  const reachable = answersDirectly(observations, expected) === 'yes';
  const controlsMs = receipts ? [] : answeredControlsMs(observations, server, series);
  const silentAt: number[] = [];
  let awaiting = 0;
  let nextMs: number | undefined;
  for (const { sends, replies } of series) {
    for (const [index, { atMs }] of sends.entries()) {
      const young = lossAfterMs === undefined || nowMs < atMs + lossAfterMs;
      if (!receipts) {
        if (young || !reachable) awaiting++;
        else if (controlsMs.some((ms) => besides(observations, ms, atMs))) silentAt.push(atMs);
        continue;
      }
      const receipt = replies.find(
        (r) => r.send === index && r.kind === 'receipt' && sameEndpoint(r.from, server),
      );
      if (receipt?.kind !== 'receipt') {
        if (young) awaiting++;
        continue;
      }
      if (!sameEndpoint(receipt.sentFrom, expected)) continue;
      const waitMs = waitAfterReceiptMs(observations, server, expected, receipt.relayDelayMs);
      if (waitMs !== undefined && nowMs >= receipt.atMs + waitMs) {
        silentAt.push(atMs);
        continue;
      }
      awaiting++;
      if (waitMs !== undefined) nextMs = Math.min(nextMs ?? Infinity, receipt.atMs + waitMs);
    }
  }
  const confidence = 1 - chanceAllLost(silentAt.length, observations.path);
  const spread = countSlots(silentAt, run.paceMs) >= MIN_SILENT_SLOTS;
  if (spread && confidence >= REQUIRED_CONFIDENCE) {
    return { kind: 'silent', sent: silentAt.length, confidence, receipts };
  }
  return { kind: 'open', silent: silentAt.length, awaiting, nextMs };
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

function concludeFiltering(
  otherAddress: FilteringTest,
  otherPort: FilteringTest,
): Pick<FilteringAssessment, 'filtering' | 'confidence' | 'reasons'> {
  const address = otherAddress.state;
  const port = otherPort.state;
  if (address.kind === 'heard') {
    return {
      filtering: 'endpoint-independent',
      confidence: 1,
      reasons: [heardReason(otherAddress, 'an address never sent to')],
    };
  }
  if (port.kind === 'silent' && address.kind !== 'open') {
    return {
      filtering: 'address-and-port-dependent',
      confidence: port.confidence,
      reasons: [silentReason(otherPort, port), ...openReasons(otherAddress)],
    };
  }
  if (port.kind === 'heard' && address.kind === 'silent') {
    return {
      filtering: 'address-dependent',
      confidence: address.confidence,
      reasons: [
        heardReason(otherPort, 'another port of an address sent to'),
        silentReason(otherAddress, address),
      ],
    };
  }
  const reasons = [...openReasons(otherAddress), ...openReasons(otherPort)];
  if (port.kind === 'heard') {
    reasons.push({
      code: 'filtering-not-by-port',
      text: 'another port of an address sent to was let in, so filtering is not address- and port-dependent',
    });
  }
  if (address.kind === 'silent') reasons.push(silentReason(otherAddress, address));
  return { filtering: 'unknown', confidence: 1, reasons };
}

function heardReason(test: FilteringTest, what: string): Reason {
  return {
    code: 'filtering-heard',
    text: `a response from ${formatEndpoint(test.expected!)}, ${what}, was let in`,
  };
}

function silentReason(test: FilteringTest, state: Extract<FilteringState, { kind: 'silent' }>): Reason {
  const from = formatEndpoint(test.expected!);
  return state.receipts
    ? {
        code: 'filtering-silence',
        text: `${state.sent} responses from ${from} are known to have been sent, and none was let in`,
      }
    : {
        code: 'filtering-silence-without-receipts',
        text: `${state.sent} requests for a response from ${from} brought none, while requests beside them were answered`,
      };
}

function openReasons(test: FilteringTest): Reason[] {
  const what = test.change.address ? 'other address' : 'other port';
  const { state } = test;
  switch (state.kind) {
    case 'unsupported':
      return [
        {
          code: 'change-request-unsupported',
          text: `the server does not serve CHANGE-REQUEST to its ${what}: it ${state.how}`,
        },
      ];
    case 'unavailable':
      return [
        state.why === 'no other address'
          ? { code: 'one-address-server', text: `the server has no ${what} to answer from` }
          : {
              code: 'other-address-dead',
              text: `the server's ${what}, ${formatEndpoint(test.expected!)}, answers nobody`,
            },
      ];
    case 'open':
      return [
        { code: 'filtering-open', text: `too little was seen to tell about the ${what} in the time given` },
      ];
    case 'heard':
    case 'silent':
      return [];
  }
}
