/** How a NAT treats TCP (RFC 5382), judged from the evidence of the TCP inquiry alone. */
import type { Endpoint } from '../endpoint.ts';
import { type DialOrigin, DIAL_ORIGINS } from '../stun/attributes/dial-back.ts';
import { type Axis, unknownAxis } from './axis.ts';
import type { Filtering, Mapping } from './behaviour.ts';
import type { Evidence, TcpBindingEvidence } from './evidence.ts';
import { assessSightings, type MappingAssessment, type SeenSocket } from './mapping.ts';
import { type DialState, observeTcp, stateOfDials, type TcpObservations } from './tcp-dials.ts';

/** What becomes of a SYN that nobody asked for (RFC 5382 REQ-4). */
export type UnsolicitedSyn = (typeof UNSOLICITED_SYNS)[number];
export const UNSOLICITED_SYNS = [
  'accepted',
  'dropped',
  /** By a TCP reset, or an ICMP port unreachable: the server's system reports both alike. */
  'reset',
  /** By another ICMP error. */
  'icmp',
] as const;

/** Whether two ends can connect to each other at once (RFC 5382 REQ-2), as far as it follows from the rest: it is not tried. */
export type SimultaneousOpen =
  /** The mapping stays the same, and a SYN that comes too early does no harm (REQ-1, REQ-4). */
  | 'likely'
  /** A SYN that comes too early is refused, and ends the other end's attempt: only SYNs that cross, or retries, meet. */
  | 'by-chance'
  /** Each peer sees another mapping: its port has to be guessed. */
  | 'needs-prediction';

export interface TcpAxis {
  readonly mapping: Axis<Exclude<Mapping, 'unknown'>> & {
    /** As the server saw the first mapping port. */
    readonly mapped?: Endpoint;
  };
  readonly filtering: Axis<Exclude<Filtering, 'unknown'>>;
  readonly unsolicitedSyn: Axis<UnsolicitedSyn>;
  readonly simultaneousOpen: Axis<SimultaneousOpen>;
  /** How the server's dials from each of its addresses fared. */
  readonly dials: Readonly<Record<DialOrigin, DialState>>;
}

export function assessTcp(evidence: readonly Evidence[]): TcpAxis {
  const observations = observeTcp(evidence);
  const mapping = mappingAxis(observations);
  const dials = {
    'same-address': stateOfDials(observations, 'same-address'),
    'other-address': stateOfDials(observations, 'other-address'),
  };
  const unsolicitedSyn = unsolicitedAxis(dials);
  return {
    mapping,
    filtering: filteringAxis(dials),
    unsolicitedSyn,
    simultaneousOpen: simultaneousAxis(mapping, unsolicitedSyn),
    dials,
  };
}

/** A sentence for each axis: mapping, filtering, unsolicited SYN, simultaneous open. */
export function describeTcp(axis: TcpAxis): readonly string[] {
  const { mapping, filtering, unsolicitedSyn, simultaneousOpen } = axis;
  return [mapping, filtering, unsolicitedSyn, simultaneousOpen].map(({ reasons }) => reasons[0]!.text);
}

/** What the mapping ports were seen as, each compared with itself only. */
export function assessTcpMapping({ bindings }: TcpObservations): MappingAssessment {
  const seen = new Map<string, { local: Endpoint; sightings: SeenSocket['sightings'][number][] }>();
  for (const { purpose, socket, to, local, mapped } of bindings) {
    if (purpose !== 'mapping' || local === undefined || mapped === undefined) continue;
    const known = seen.get(socket);
    if (known === undefined) seen.set(socket, { local, sightings: [{ to, mapped }] });
    else known.sightings.push({ to, mapped });
  }
  return assessSightings([...seen.values()]);
}

function mappingAxis(observations: TcpObservations): TcpAxis['mapping'] {
  const { mapping, confidence, reasons, mapped } = assessTcpMapping(observations);
  const base = mapped === undefined ? {} : { mapped };
  if (mapping !== 'unknown') return { ...base, value: mapping, confidence, reasons };
  return reasons.length > 0
    ? { ...base, value: mapping, confidence: 0, reasons }
    : { ...base, ...unreached(observations.bindings) };
}

function unreached(bindings: readonly TcpBindingEvidence[]): Axis<never> {
  const refused = bindings.some(({ outcome }) => outcome === 'refused');
  return refused
    ? unknownAxis('tcp-refused', 'the server takes no STUN over TCP')
    : unknownAxis('tcp-silent', 'no answer came over TCP');
}

type Dials = TcpAxis['dials'];

function filteringAxis(dials: Dials): TcpAxis['filtering'] {
  const { 'same-address': same, 'other-address': other } = dials;
  if (other.kind === 'let-in') {
    const text = 'anybody can connect in, once the port has a mapping';
    return { value: 'endpoint-independent', confidence: 1, reasons: [{ code: 'tcp-filter-none', text }] };
  }
  if (same.kind === 'let-in' && other.kind === 'blocked') {
    const text = 'only addresses that were called can connect in';
    const reasons = [{ code: 'tcp-filter-address', text }];
    return { value: 'address-dependent', confidence: other.confidence, reasons };
  }
  if (same.kind === 'blocked') {
    const text = 'nobody can connect in, not even another port of who was called';
    const reasons = [{ code: 'tcp-filter-port', text }];
    return { value: 'address-and-port-dependent', confidence: same.confidence, reasons };
  }
  return undecided(dials);
}

function unsolicitedAxis(dials: Dials): TcpAxis['unsolicitedSyn'] {
  if (dials['other-address'].kind === 'let-in') {
    const text = 'a SYN that nobody asked for is let in';
    return { value: 'accepted', confidence: 1, reasons: [{ code: 'tcp-syn-accepted', text }] };
  }
  // What comes from an address that was called may count as asked for: the other one tells first.
  const blocked = [dials['other-address'], dials['same-address']].find(({ kind }) => kind === 'blocked');
  if (blocked?.kind !== 'blocked') return undecided(dials);
  const { how, confidence } = blocked;
  return { value: how, confidence, reasons: [{ code: `tcp-syn-${how}`, text: SYN_TEXTS[how] }] };
}

const SYN_TEXTS = {
  dropped: 'a SYN that nobody asked for is dropped in silence',
  reset: 'a SYN that nobody asked for is refused (reset or port unreachable)',
  icmp: 'a SYN that nobody asked for draws an ICMP error',
} as const;

/** Why filtering, or what becomes of a SYN, can't be said. */
function undecided(dials: Dials): Axis<never> {
  const states = DIAL_ORIGINS.map((origin) => dials[origin]);
  if (states.some(({ kind }) => kind === 'elsewhere')) {
    const text = 'something on the way answers SYNs in this machine’s stead';
    return unknownAxis('tcp-answered-elsewhere', text);
  }
  const why = states.flatMap((state) => (state.kind === 'unavailable' ? [state.why] : []));
  if (why.includes('unsupported')) {
    return unknownAxis('tcp-no-dial-backs', 'the server does not dial back: natprobed does');
  }
  if (why.includes('no-address')) {
    return unknownAxis('tcp-one-address', 'the server has no second address to dial back from');
  }
  if (why.length === states.length) return unknownAxis('tcp-not-dialled', 'the server did not dial back');
  return unknownAxis('tcp-undecided', 'too few dial-backs came to an end to tell loss from filtering');
}

function simultaneousAxis(
  mapping: TcpAxis['mapping'],
  unsolicited: TcpAxis['unsolicitedSyn'],
): TcpAxis['simultaneousOpen'] {
  if (mapping.value === 'unknown') return unknownAxis('tcp-open-unknown', 'the TCP mapping is not known');
  if (mapping.value !== 'none' && mapping.value !== 'endpoint-independent') {
    const text = 'peers see other ports than the server: they have to be guessed';
    const reasons = [{ code: 'tcp-open-needs-prediction', text }];
    return { value: 'needs-prediction', confidence: mapping.confidence, reasons };
  }
  if (unsolicited.value === 'unknown') {
    return unknownAxis('tcp-open-unknown', 'what becomes of an early SYN is not known');
  }
  const confidence = Math.min(mapping.confidence, unsolicited.confidence);
  if (unsolicited.value === 'dropped' || unsolicited.value === 'accepted') {
    const text = 'both ends can connect at once: a SYN that comes early does no harm';
    return { value: 'likely', confidence, reasons: [{ code: 'tcp-open-likely', text }] };
  }
  const text = 'of two ends that connect at once the first is refused, and has to retry';
  return { value: 'by-chance', confidence, reasons: [{ code: 'tcp-open-by-chance', text }] };
}
