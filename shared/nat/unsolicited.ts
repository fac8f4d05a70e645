/**
 * What a packet that nobody asked for does to the NAT. A Linux router without an input chain tracks
 * it, and the next packet to where it came from leaves from another port: such a NAT has the class of
 * another one and can't be punched plainly (MEASURING.md §2 and §7).
 *
 * Subjects draw packets from the server's other address and port, twins don't; then all send there.
 * A NAT that refuses such packets can't be told from one that drops them, and both are `dropped` here.
 * The ICMP error goes to the server, where Linux gives errors of a socket that isn't connected only
 * to who reads its error queue (ip(7), IP_RECVERR), which Node can't. A second socket, connected to
 * the subject, would hear of it; but to share the port both need SO_REUSEADDR, and then any other
 * program could share it too, unnoticed.
 */
import { type Endpoint, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import { type BindingEvidence, type Evidence, isPlain } from './evidence.ts';
import { FROM_OTHER_ADDRESS } from './filtering.ts';
import { type Observations, observe, otherAddressOf, waitAfterReceiptMs } from './observations.ts';
import { chanceAllLost } from './silence.ts';

/** `dropped` is without a trace: dropped or refused. */
export type UnsolicitedValue = 'dropped' | 'tracked';

export interface UnsolicitedAxis extends Axis<UnsolicitedValue> {
  /** Packets that the server is known to have sent to the subjects, unsolicited. */
  readonly sent: number;
  /** Subjects that were seen at both endpoints, and those of them whose mapping had changed. */
  readonly subjects: number;
  readonly changed: number;
}

/** They draw unsolicited packets. More than one: a single change may be a collision with another flow. */
export const SUBJECT_SOCKETS = [
  'unsolicited-subject-1',
  'unsolicited-subject-2',
  'unsolicited-subject-3',
] as const;
/** They don't. */
export const TWIN_SOCKETS = ['unsolicited-twin-1', 'unsolicited-twin-2'] as const;

/** What became of the packets that one subject has drawn. */
export interface Drawn {
  /** Known to have been sent and past their time, and not heard. */
  readonly silent: number;
  /** Under way, or within their time; the first until `nextMs`. */
  readonly awaiting: number;
  readonly nextMs: number;
  /** One was let in before the subject had sent there. */
  readonly admitted: boolean;
}

/** Judges the evidence of an `unsolicited` inquiry at `server`. Throws TypeError if it lacks its `run`. */
export function assessUnsolicited(evidence: readonly Evidence[]): UnsolicitedAxis {
  const observations = observe(evidence);
  const server = observations.run.servers[0]!;
  const other = otherOf(observations, server);
  const nothing = { sent: 0, subjects: 0, changed: 0 };
  if (other === undefined) {
    return observations.roundTrips.size === 0
      ? { ...unknownAxis('unsolicited-silent', 'no server answered'), ...nothing }
      : {
          ...unknownAxis(
            'unsolicited-one-address',
            'the server has no other address to send unasked packets from',
          ),
          ...nothing,
        };
  }
  const drawn = SUBJECT_SOCKETS.map((socket) => countDrawn(observations, server, other, socket));
  const subjects = SUBJECT_SOCKETS.map((socket) => changeOf(observations, server, other, socket));
  const twins = TWIN_SOCKETS.map((socket) => changeOf(observations, server, other, socket));
  const base = {
    sent: drawn.reduce((sum, { silent }) => sum + silent, 0),
    subjects: subjects.filter((change) => change !== undefined).length,
    changed: subjects.filter((change) => change === true).length,
  };
  const unknown = (code: string, text: string): UnsolicitedAxis => ({ ...unknownAxis(code, text), ...base });
  if (drawn.some(({ admitted }) => admitted))
    return unknown(
      'unsolicited-admitted',
      'packets that nobody asked for are let in: there is nothing to drop',
    );
  if (twins.filter((change) => change === true).length > 1)
    return unknown('unsolicited-dependent', 'each destination gets a mapping of its own anyway');
  if (base.sent === 0)
    return unknown('unsolicited-unsent', 'the server does not say whether it has sent unasked packets');
  if (base.subjects < 2 || twins.every((change) => change === undefined))
    return unknown('unsolicited-few', 'too few answers to tell');
  const axis = conclude(observations, base, drawn);
  if (axis === undefined)
    return unknown(
      'unsolicited-undecided',
      `${base.changed} of ${base.subjects} mappings changed: no rule in it`,
    );
  return {
    ...axis,
    reasons: [{ code: `unsolicited-${axis.value}`, text: describeUnsolicited(axis) }],
  };
}

/** What the axis says, in a sentence for people. */
export function describeUnsolicited({ value }: Pick<UnsolicitedAxis, 'value'>): string {
  switch (value) {
    case 'dropped':
      return 'packets that nobody asked for leave no trace (they are dropped, or refused: that looks the same)';
    case 'tracked':
      return 'a packet that nobody asked for changes the next mapping to where it came from';
    case 'unknown':
      return 'what packets do that nobody asked for is not known';
  }
}

type Counts = Pick<UnsolicitedAxis, 'sent' | 'subjects' | 'changed'>;

/** How often a mapping changes by chance, since another flow holds its port there. */
const COLLISION = 0.01;

function conclude(
  { path }: Observations,
  counts: Counts,
  drawn: readonly Drawn[],
): Omit<UnsolicitedAxis, 'reasons'> | undefined {
  const { subjects, changed } = counts;
  if (changed >= 2) return { value: 'tracked', confidence: 1 - COLLISION ** changed, ...counts };
  // Of a tracking NAT one subject would stay as it was only if all it drew was lost.
  const fewest = Math.min(...drawn.map(({ silent }) => silent));
  if (changed === 0 && fewest > 0)
    return { value: 'dropped', confidence: 1 - chanceAllLost(fewest, path) ** subjects, ...counts };
  return undefined;
}

/** The server's other address and port, which the unasked packets come from. */
export function otherOf(observations: Observations, server: Endpoint): Endpoint | undefined {
  const named = otherAddressOf(observations, server);
  if (named !== undefined) return named;
  for (const { replies } of drawingSeries(observations, server))
    for (const reply of replies) if (reply.kind === 'receipt') return reply.sentFrom;
  return undefined;
}

/** Counts what `socket` has drawn from `other`. */
export function countDrawn(
  observations: Observations,
  server: Endpoint,
  other: Endpoint,
  socket: string,
): Drawn {
  const { nowMs, lossAfterMs = Infinity } = observations;
  const firstSentMs = plainSeries(observations, socket, other)?.sends[0]?.atMs ?? Infinity;
  let silent = 0;
  let awaiting = 0;
  let nextMs = Infinity;
  let admitted = false;
  for (const series of drawingSeries(observations, server)) {
    if (series.socket !== socket) continue;
    for (const [index, { atMs }] of series.sends.entries()) {
      const replies = series.replies.filter(({ send }) => send === index);
      const heard = replies.find((reply) => reply.kind === 'response' && sameEndpoint(reply.from, other));
      if (heard !== undefined) {
        // After it has sent there itself, the subject may hear what was meant to be unsolicited.
        admitted ||= heard.atMs < firstSentMs;
        continue;
      }
      const receipt = replies.find(
        (reply) => reply.kind === 'receipt' && sameEndpoint(reply.sentFrom, other),
      );
      let untilMs = atMs + lossAfterMs;
      if (receipt?.kind === 'receipt') {
        const waitMs = waitAfterReceiptMs(observations, server, other, receipt.relayDelayMs);
        untilMs = waitMs === undefined ? Infinity : receipt.atMs + waitMs;
        if (nowMs >= untilMs) silent++;
      }
      if (nowMs < untilMs) {
        awaiting++;
        nextMs = Math.min(nextMs, untilMs);
      }
    }
  }
  return { silent, awaiting, nextMs, admitted };
}

/** Whether `socket` was seen as something else by `other` than by `server`; undefined if not both saw it. */
function changeOf(
  observations: Observations,
  server: Endpoint,
  other: Endpoint,
  socket: string,
): boolean | undefined {
  const [first, then] = [server, other].map((to) =>
    plainSeries(observations, socket, to)?.replies.find(
      (reply) => reply.kind === 'response' && sameEndpoint(reply.from, to),
    ),
  );
  if (first?.kind !== 'response' || then?.kind !== 'response') return undefined;
  return !sameEndpoint(first.mapped, then.mapped);
}

function plainSeries(observations: Observations, socket: string, to: Endpoint): BindingEvidence | undefined {
  return observations.series.find(
    (series) => series.socket === socket && isPlain(series) && sameEndpoint(series.to, to),
  );
}

function drawingSeries({ series }: Observations, server: Endpoint): BindingEvidence[] {
  const { address, port } = FROM_OTHER_ADDRESS;
  return series.filter(
    ({ change, to }) => change?.address === address && change.port === port && sameEndpoint(to, server),
  );
}
