/**
 * Hairpinning (RFC 4787 §6): whether one socket behind the NAT reaches
 * another at the endpoint that the server sees it as, and what it is then seen as itself.
 *
 * Each of two sockets sends to the other's mapped endpoint, so that both filters are open wherever
 * the mapping doesn't depend on the destination. Binding requests are what is sent: the arrival of
 * one's own request is a stray of kind `request`.
 */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import { type BindingEvidence, type Evidence, isPlain } from './evidence.ts';
import { isBeside, type Observations, observe } from './observations.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

/**
 * `translated`: the other socket sees another address than the sender's own: its public one, as RFC
 * 4787 REQ-9 has it, or that of a gateway. `untranslated`: it sees the sender's own; most systems drop
 * what seems to come from themselves, so that between two sockets of one host this mostly shows as
 * `none`. `none`: nothing arrives.
 */
export interface HairpinAxis extends Axis<'translated' | 'untranslated' | 'none'> {
  /** What the sender was seen as by the other socket. */
  readonly seenAs?: Endpoint;
}

export const HAIRPIN_SOCKETS = ['hairpin-1', 'hairpin-2'] as const;

/** Throws if there is no `run` among the evidence. */
export function assessHairpin(evidence: readonly Evidence[]): HairpinAxis {
  return judgeHairpin(observe(evidence));
}

/** The same from what has been counted already. */
export function judgeHairpin(observations: Observations): HairpinAxis {
  const ends = hairpinEnds(observations);
  if (observations.roundTrips.size === 0)
    return unknownAxis('no-answer', 'the server did not answer over UDP');
  if (ends === undefined) return unknownAxis('hairpin-open', 'the server did not answer both sockets');
  if (ends.every(({ local, mapped }) => sameEndpoint(local, mapped)))
    return unknownAxis('not-translated', 'nothing is translated, so there is no hairpin to take');
  return judgeArrival(ends) ?? judgeSilence(observations, ends);
}

/** In plain words, for one line. */
export function describeHairpin({ value }: HairpinAxis): string {
  return HAIRPIN_TEXTS[value];
}

const HAIRPIN_TEXTS: Readonly<Record<HairpinAxis['value'], string>> = {
  translated: 'works: inside hosts reach each other by their public endpoints',
  untranslated: 'works, but the sender is seen by its private address',
  none: 'inside hosts do not reach each other by their public endpoints',
  unknown: 'unknown',
};

/** One of the two sockets, and what it sent to the other's mapped endpoint. */
export interface HairpinEnd {
  readonly socket: string;
  readonly local: Endpoint;
  readonly mapped: Endpoint;
  readonly toOther: BindingEvidence | undefined;
}

/** Both sockets, once the server has answered both; undefined before. */
export function hairpinEnds(observations: Observations): readonly [HairpinEnd, HairpinEnd] | undefined {
  const [one, other] = HAIRPIN_SOCKETS.map((socket) => sightingOf(observations, socket));
  if (one === undefined || other === undefined) return undefined;
  return [endOf(observations, one, other), endOf(observations, other, one)];
}

type Sighting = Omit<HairpinEnd, 'toOther'>;

function sightingOf({ run, sockets, series }: Observations, socket: string): Sighting | undefined {
  const local = sockets.find((item) => item.socket === socket)?.local;
  const server = run.servers[0]!;
  const asked = series.find(
    (item) => item.socket === socket && isPlain(item) && sameEndpoint(item.to, server),
  );
  const reply = asked?.replies.findLast(
    (item) => item.kind === 'response' && sameEndpoint(item.from, server),
  );
  if (local === undefined || reply?.kind !== 'response') return undefined;
  return { socket, local, mapped: reply.mapped };
}

function endOf({ series }: Observations, end: Sighting, other: Sighting): HairpinEnd {
  return {
    ...end,
    toOther: series.find((item) => item.socket === end.socket && sameEndpoint(item.to, other.mapped)),
  };
}

function judgeArrival([one, other]: readonly [HairpinEnd, HairpinEnd]): HairpinAxis | undefined {
  for (const [sender, receiver] of [
    [one, other],
    [other, one],
  ] as const) {
    const arrival = sender.toOther?.strays?.find(
      ({ kind, socket }) => kind === 'request' && socket === receiver.socket,
    );
    if (arrival === undefined) continue;
    const { from } = arrival;
    const value = from.address === sender.local.address ? 'untranslated' : 'translated';
    const text = `a packet to ${formatEndpoint(receiver.mapped)} came back in, as if from ${formatEndpoint(from)}`;
    return { value, confidence: 1, reasons: [{ code: 'hairpin-heard', text }], seenAs: from };
  }
  return undefined;
}

function judgeSilence(observations: Observations, ends: readonly [HairpinEnd, HairpinEnd]): HairpinAxis {
  const { counted, confidence } = countHairpinSilence(observations, ends);
  if (confidence < REQUIRED_CONFIDENCE)
    return unknownAxis('hairpin-open', 'too little was sent to tell in the time given');
  const text = `none of ${counted} packets from one socket to the other's public endpoint arrived`;
  return { value: 'none', confidence, reasons: [{ code: 'hairpin-silence', text }] };
}

/**
 * How sure silence is: of what one socket sent, the earlier half of the other's packets has to have
 * opened its filter, and the later half of its own not to have been lost. Only packets count that have
 * a control beside them which came back.
 */
export function countHairpinSilence(
  observations: Observations,
  ends: readonly [HairpinEnd, HairpinEnd],
): { counted: number; confidence: number } {
  const { path, workedAtMs, run } = observations;
  const [opening, counted] = ends.map(({ toOther }) =>
    oldSendsMs(observations, toOther).filter((atMs) => isBeside(observations, atMs, workedAtMs)),
  ) as [number[], number[]];
  const half = Math.floor(Math.min(opening.length, counted.length) / 2);
  const openedMs = opening[half - 1] ?? Infinity;
  const later = counted.filter((atMs) => atMs > openedMs);
  const enoughSlots = countSlots(later, run.paceMs) >= MIN_SILENT_SLOTS;
  const confidence = 1 - chanceAllLost(half, path) - chanceAllLost(later.length, path);
  return { counted: later.length, confidence: enoughSlots ? Math.max(0, confidence) : 0 };
}

/** Of packets that would have arrived by now. */
function oldSendsMs(
  { nowMs, lossAfterMs = Infinity }: Observations,
  series: BindingEvidence | undefined,
): number[] {
  return (series?.sends ?? []).map(({ atMs }) => atMs).filter((atMs) => nowMs >= atMs + lossAfterMs);
}
