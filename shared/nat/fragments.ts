/**
 * Whether fragmented UDP packets pass, each way (RFC 4787 §11 to §13, RFC 5780 §4.7), and how large a
 * response was heard.
 *
 * Three series tell, beside each other: requests whose response is as long as they are (PADDING);
 * ones that are as long and draw a short receipt, which proves that fragments get out; and short
 * ones with a receipt, the control.
 */
import { scopeOf } from '../address-scope.ts';
import { type Endpoint, type Family, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import { type BindingEvidence, type BindingReply, type Change, type Evidence, isPlain } from './evidence.ts';
import { isBeside, type Observations, observe } from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS, type PathLoss } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

export interface FragmentsAxis extends Axis<'pass' | 'blocked-outbound' | 'blocked-inbound'> {
  /** The longest response that came in, headers of IP and UDP included, as if it had been one packet. */
  readonly largestHeardBytes?: number;
  /** The longest of those that fit into one Ethernet frame: the path's MTU is at least that where fragments don't pass. */
  readonly largestWholeBytes?: number;
}

/** An Ethernet frame's worth (RFC 894); what is longer arrives in fragments. */
export const WHOLE_BYTES = 1500;
/** In two fragments, on any path that takes the 1280 bytes of IPv6's least MTU (RFC 8200 §5). */
export const FRAGMENTED_BYTES = 2048;
/** The response comes from the other port, and is of no interest: the receipt is. */
export const RECEIPT_CHANGE: Change = { address: false, port: true };

/** Headers of IP and UDP, of STUN and of PADDING. */
const PACKET_HEADER_BYTES: Readonly<Record<Family, number>> = { ipv4: 28, ipv6: 48 };
const STUN_HEADER_BYTES = 24;

/** The PADDING that makes a plain request, and a natprobed's response to it, a packet of that length. */
export function paddingFor(packetBytes: number, family: Family): number {
  return packetBytes - PACKET_HEADER_BYTES[family] - STUN_HEADER_BYTES;
}

/** Throws if there is no `run` among the evidence. */
export function assessFragments(evidence: readonly Evidence[]): FragmentsAxis {
  return judgeFragments(observe(evidence));
}

/** The same from what has been counted already. */
export function judgeFragments(observations: Observations): FragmentsAxis {
  if (observations.roundTrips.size === 0)
    return unknownAxis('no-answer', 'the server did not answer over UDP');
  if (observations.sockets.some(({ local }) => scopeOf(local.address) === 'loopback'))
    return unknownAxis('fragments-loopback', 'the loopback interface fragments nothing of that length');
  return { ...concludeFragments(observations), ...largestHeard(observations) };
}

/** In plain words, for one line. */
export function describeFragments({ value, largestHeardBytes, largestWholeBytes }: FragmentsAxis): string {
  switch (value) {
    case 'pass':
      return `pass both ways (heard ${largestHeardBytes} bytes)`;
    case 'blocked-outbound':
    case 'blocked-inbound': {
      const way = value === 'blocked-outbound' ? 'on the way out' : 'on the way in';
      const whole = largestWholeBytes === undefined ? '' : `; ${largestWholeBytes} bytes in one packet pass`;
      return `blocked ${way}${whole}`;
    }
    case 'unknown':
      return 'unknown';
  }
}

function concludeFragments(
  observations: Observations,
): Axis<'pass' | 'blocked-outbound' | 'blocked-inbound'> {
  const series = fragmentSeries(observations);
  if (series.whole.some(({ bytes }) => bytes > WHOLE_BYTES)) {
    const text = `a response of ${FRAGMENTED_BYTES} bytes came in, to a request as long`;
    return { value: 'pass', confidence: 1, reasons: [{ code: 'fragments-heard', text }] };
  }
  if (repliesTo(series.padded).length > 0) {
    return unknownAxis('response-not-padded', 'the server gives no response as long as the request');
  }
  if (repliesTo(series.receipted).length > 0) {
    const { silent, confidence } = countSilence(observations, series.padded, series.receipted);
    if (confidence < REQUIRED_CONFIDENCE) return OPEN;
    const text = `requests in fragments arrived, and none of ${silent} responses in fragments came in`;
    return { value: 'blocked-inbound', confidence, reasons: [{ code: 'fragments-silence', text }] };
  }
  if (repliesTo(series.control).length === 0) return OPEN;
  const { silent, confidence } = countSilence(observations, series.receipted, series.control);
  if (confidence < REQUIRED_CONFIDENCE) return OPEN;
  const text = `none of ${silent} requests in fragments drew a receipt, and short ones beside them did`;
  return { value: 'blocked-outbound', confidence, reasons: [{ code: 'fragments-silence', text }] };
}

const OPEN = unknownAxis('fragments-open', 'too little was seen to tell in the time given');

interface FragmentSeries {
  /** In fragments, asking for a response in fragments. */
  readonly padded: readonly BindingEvidence[];
  /** In fragments, asking for a receipt. */
  readonly receipted: readonly BindingEvidence[];
  /** Short, asking for a receipt. */
  readonly control: readonly BindingEvidence[];
  /** Responses to padded requests of any length, with their own. */
  readonly whole: readonly { readonly bytes: number }[];
}

function fragmentSeries({ run, series }: Observations): FragmentSeries {
  const server = run.servers[0]!;
  const own = series.filter(({ to }) => sameEndpoint(to, server));
  const fragmented = own.filter(
    ({ paddingBytes = 0 }) => paddingBytes >= paddingFor(FRAGMENTED_BYTES, run.family),
  );
  const headerBytes = PACKET_HEADER_BYTES[run.family];
  return {
    padded: fragmented.filter(({ change }) => change === undefined),
    receipted: fragmented.filter(({ change }) => change !== undefined),
    control: own.filter(({ change, paddingBytes }) => change !== undefined && paddingBytes === undefined),
    whole: own.flatMap(({ replies }) =>
      replies.flatMap((reply) =>
        reply.kind === 'response' && reply.bytes !== undefined && sameEndpoint(reply.from, server)
          ? { bytes: reply.bytes + headerBytes }
          : [],
      ),
    ),
  };
}

/** From the endpoint asked: receipts, errors, and responses to requests without CHANGE-REQUEST. */
function repliesTo(series: readonly BindingEvidence[]): BindingReply[] {
  return series.flatMap(({ to, replies }) => replies.filter(({ from }) => sameEndpoint(from, to)));
}

function largestHeard(
  observations: Observations,
): Pick<FragmentsAxis, 'largestHeardBytes' | 'largestWholeBytes'> {
  const heard = fragmentSeries(observations).whole.map(({ bytes }) => bytes);
  const whole = heard.filter((bytes) => bytes <= WHOLE_BYTES);
  return {
    ...(heard.length === 0 ? {} : { largestHeardBytes: Math.max(...heard) }),
    ...(whole.length === 0 ? {} : { largestWholeBytes: Math.max(...whole) }),
  };
}

/** Requests that drew nothing although one of `controls` beside them was answered. */
function countSilence(
  observations: Observations,
  series: readonly BindingEvidence[],
  controls: readonly BindingEvidence[],
): { silent: number; confidence: number } {
  const { nowMs, lossAfterMs = Infinity, run } = observations;
  const answeredMs = answeredAtMs(controls);
  const silentMs = series
    .flatMap(({ sends }) => sends.map(({ atMs }) => atMs))
    .filter((atMs) => nowMs >= atMs + lossAfterMs && isBeside(observations, atMs, answeredMs));
  if (countSlots(silentMs, run.paceMs) < MIN_SILENT_SLOTS) return { silent: silentMs.length, confidence: 0 };
  const confidence = 1 - chanceAllLost(silentMs.length, fragmentedPath(observations));
  return { silent: silentMs.length, confidence };
}

function answeredAtMs(series: readonly BindingEvidence[]): number[] {
  return series.flatMap(({ to, sends, replies }) =>
    replies.filter(({ from }) => sameEndpoint(from, to)).map(({ send }) => sends[send]!.atMs),
  );
}

/**
 * The loss of short requests, which have no part in the question; a packet in two fragments is lost
 * about twice as often, which half as many answers allow for.
 */
function fragmentedPath({ nowMs, lossAfterMs = Infinity, run, series }: Observations): PathLoss {
  const server: Endpoint = run.servers[0]!;
  let answered = 0;
  let lost = 0;
  for (const item of series) {
    const isShort = isPlain(item) || (item.receipt && item.paddingBytes === undefined);
    if (!isShort || !sameEndpoint(item.to, server)) continue;
    const replied = new Set(
      item.replies.filter(({ from }) => sameEndpoint(from, server)).map(({ send }) => send),
    );
    answered += replied.size;
    lost += item.sends.filter(({ atMs }, send) => !replied.has(send) && nowMs >= atMs + lossAfterMs).length;
  }
  return { answered: answered / 2, lost };
}
