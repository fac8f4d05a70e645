/** What evidence from strangers may be: addresses that are some, replies to what was sent, no more than a run could leave. */
import { canonicalAddress } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { BindingEvidence, Evidence } from '../../shared/nat/evidence.ts';

/** Within one list; judging compares some of these with each other, so that they bound its time. */
export const EVIDENCE_LIMITS = {
  /** Sockets, series, connections, interfaces: everything with a kind. */
  items: 1000,
  /** A run of ten seconds at a pace of 5 ms has 2000. */
  sends: 2500,
  /** A response and a receipt for each. */
  replies: 5000,
  strays: 2000,
  servers: 32,
} as const;
export type EvidenceLimit = keyof typeof EVIDENCE_LIMITS;

/** Throws ERR_EVIDENCE naming `place`, the list that it is about. */
export function checkEvidence(evidence: readonly Evidence[], place: string): void {
  const counts: Record<EvidenceLimit, number> = { items: 0, sends: 0, replies: 0, strays: 0, servers: 0 };
  const known = new Set<string>();
  for (const item of evidence) {
    counts.items++;
    if (item.kind === 'binding') {
      counts.sends += item.sends.length;
      counts.replies += item.replies.length;
      counts.strays += item.strays?.length ?? 0;
      checkReplies(item, place);
    } else if (item.kind === 'ice-check') {
      counts.replies += item.received.length;
      for (const { sentMs, answers } of item.checks) {
        counts.sends += sentMs.length;
        counts.replies += answers.length;
      }
    } else if (item.kind === 'run') {
      counts.servers += item.servers.length;
      if (item.servers.length === 0)
        throw new NatprobeError('ERR_EVIDENCE', place, 'its run asked no server');
    }
    checkAddresses(item, place, known);
  }
  for (const name of Object.keys(EVIDENCE_LIMITS) as EvidenceLimit[]) {
    if (counts[name] <= EVIDENCE_LIMITS[name]) continue;
    const detail = `${counts[name]} ${name}, and at most ${EVIDENCE_LIMITS[name]} are taken`;
    throw new NatprobeError('ERR_EVIDENCE', place, detail);
  }
}

function checkReplies({ sends, replies, strays = [] }: BindingEvidence, place: string): void {
  for (const { send } of [...replies, ...strays]) {
    if (send >= sends.length) {
      throw new NatprobeError('ERR_EVIDENCE', place, `a reply to request ${send} of ${sends.length}`);
    }
  }
}

/** The fields that hold an address wherever they stand. */
const ADDRESS_FIELDS = new Set(['address', 'gateway', 'externalAddress']);

/** Whether each address is one, in its one spelling: equality decides verdicts. `known` are good ones. */
function checkAddresses(value: object, place: string, known: Set<string>): void {
  for (const [name, member] of Object.entries(value) as [string, unknown][]) {
    if (typeof member === 'object' && member !== null) checkAddresses(member, place, known);
    else if (ADDRESS_FIELDS.has(name) && typeof member === 'string' && !known.has(member)) {
      if (canonicalAddress(member) !== member) {
        throw new NatprobeError('ERR_EVIDENCE', place, `${JSON.stringify(member)} is no address`);
      }
      known.add(member);
    }
  }
}
