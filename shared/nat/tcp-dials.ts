/** The TCP inquiry's evidence, counted: how dial-backs fared, and at what loss. Facts only; tcp.ts concludes. */
import type { DialOrigin } from '../stun/attributes/dial-back.ts';
import type { Evidence, TcpBindingEvidence, TcpDialEvidence } from './evidence.ts';
import { chanceAllLost, countSlots, MIN_SILENT_SLOTS, type PathLoss } from './silence.ts';
import { REQUIRED_CONFIDENCE } from './verdict.ts';

export interface TcpObservations {
  readonly nowMs: number;
  readonly paceMs: number;
  readonly bindings: readonly TcpBindingEvidence[];
  readonly dials: readonly TcpDialEvidence[];
  /** The fastest handshake, which no loss delayed; undefined until there is one. */
  readonly rttMs: number | undefined;
  /** Handshakes that must have been answered, whatever the NAT. */
  readonly path: PathLoss;
}

/** How the dials from one of the server's addresses fared. */
export type DialState =
  | { readonly kind: 'let-in'; readonly dials: number }
  | {
      readonly kind: 'blocked';
      readonly how: 'dropped' | 'reset' | 'icmp';
      /** Of the `dials` that ended, all of which were blocked; 1 where an answer said so. */
      readonly confidence: number;
      readonly dials: number;
    }
  /** Somebody answered the server, and not this machine's listener. */
  | { readonly kind: 'elsewhere'; readonly dials: number }
  | { readonly kind: 'unavailable'; readonly why: 'not-asked' | 'unsupported' | 'no-address' }
  /** So many were silent, which is not enough to exclude loss. */
  | { readonly kind: 'open'; readonly silent: number };

/** A handshake that took this much longer than the fastest repeated its SYN, at one second (RFC 6298 §2.1). */
const SYN_REPEATED_MS = 900;

/** Throws if there is no `run` among the evidence. Reads the TCP inquiry's kinds and passes over all others. */
export function observeTcp(evidence: readonly Evidence[]): TcpObservations {
  const bindings: TcpBindingEvidence[] = [];
  const dials: TcpDialEvidence[] = [];
  let clock: { untilMs: number; paceMs: number } | undefined;
  for (const item of evidence) {
    if (item.kind === 'run') clock = item;
    else if (item.kind === 'tcp-binding') bindings.push(item);
    else if (item.kind === 'tcp-dial') dials.push(item);
  }
  if (clock === undefined) throw new TypeError('evidence without its run');
  const { untilMs: nowMs, paceMs } = clock;
  const times = bindings.flatMap(({ connectMs }) => connectMs ?? []);
  const rttMs = times.length === 0 ? undefined : Math.min(...times);
  return { nowMs, paceMs, bindings, dials, rttMs, path: countPath(bindings, nowMs, rttMs) };
}

/** When a handshake or an answer is so late that something was lost. */
export function lateAfterMs(rttMs: number): number {
  return 2 * rttMs + 100;
}

export function stateOfDials(observations: TcpObservations, origin: DialOrigin): DialState {
  const dials = observations.dials.filter((dial) => dial.origin === origin);
  const of = (...outcomes: TcpDialEvidence['outcome'][]): readonly TcpDialEvidence[] =>
    dials.filter(({ outcome }) => outcomes.includes(outcome));
  const connected = of('connected');
  const letIn = connected.filter(({ acceptedAtMs }) => acceptedAtMs !== undefined).length;
  if (letIn > 0) return { kind: 'let-in', dials: letIn };
  if (connected.length > 0) return { kind: 'elsewhere', dials: connected.length };
  const ended = of('refused', 'unreachable', 'timeout').length;
  if (of('refused').length > 0) return { kind: 'blocked', how: 'reset', confidence: 1, dials: ended };
  if (of('unreachable').length > 0) return { kind: 'blocked', how: 'icmp', confidence: 1, dials: ended };
  if (dials.length === 0) return { kind: 'unavailable', why: 'not-asked' };
  for (const why of ['unsupported', 'no-address'] as const) {
    if (of(why).length > 0) return { kind: 'unavailable', why };
  }
  return weighSilence(observations, origin, of('timeout'));
}

/**
 * Counted only if the address that the dials come from has answered a connection in this run, since a
 * dial that was sent proves no path; each counts once, though its SYN may have been repeated.
 */
function weighSilence(
  { bindings, paceMs, path, rttMs }: TcpObservations,
  origin: DialOrigin,
  silent: readonly TcpDialEvidence[],
): DialState {
  const asked = bindings.find(({ socket }) => socket === silent[0]?.socket)?.to.address;
  const dialsCome = bindings.some(
    ({ to, connectMs }) => connectMs !== undefined && (to.address === asked) === (origin === 'same-address'),
  );
  const waited = silent.filter(({ timeoutMs }) => rttMs !== undefined && timeoutMs >= lateAfterMs(rttMs));
  const confidence = 1 - chanceAllLost(waited.length, path);
  const slots = countSlots(
    waited.map(({ atMs }) => atMs),
    paceMs,
  );
  if (!dialsCome || slots < MIN_SILENT_SLOTS || confidence < REQUIRED_CONFIDENCE) {
    return { kind: 'open', silent: waited.length };
  }
  return { kind: 'blocked', how: 'dropped', confidence, dials: waited.length };
}

/**
 * Handshakes with addresses that have answered one: each is a round trip, as a dial is. Lost are
 * those that took a repetition, and those that are late and still open.
 */
function countPath(
  bindings: readonly TcpBindingEvidence[],
  nowMs: number,
  rttMs: number | undefined,
): PathLoss {
  let answered = 0;
  let lost = 0;
  if (rttMs === undefined) return { answered, lost };
  const reached = new Set(
    bindings.flatMap(({ to, connectMs }) => (connectMs === undefined ? [] : to.address)),
  );
  for (const { to, outcome, atMs, connectMs } of bindings) {
    if (!reached.has(to.address)) continue;
    if (connectMs !== undefined) {
      answered++;
      if (connectMs >= rttMs + SYN_REPEATED_MS) lost++;
    } else if (outcome === 'pending' && nowMs >= atMs + lateAfterMs(rttMs)) lost++;
  }
  return { answered, lost };
}
