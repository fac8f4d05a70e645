/** ICE candidates, and how they stand in SDP (RFC 8445 §5.1, RFC 8839 §5.1). */
import { canonicalAddress, type Endpoint } from '../endpoint.ts';

export type CandidateType = (typeof CANDIDATE_TYPES)[number];
export const CANDIDATE_TYPES = ['host', 'srflx', 'prflx', 'relay'] as const;

export interface IceCandidate {
  readonly type: CandidateType;
  readonly transport: 'udp' | 'tcp';
  /** An IP address, or a name of multicast DNS that hides one (`….local`, RFC 8828's way out). */
  readonly address: string;
  readonly port: number;
  readonly isHidden: boolean;
  readonly priority: number;
}

/** RFC 8445 §5.1.2.2. */
const TYPE_PREFERENCES: Readonly<Record<CandidateType, number>> = {
  host: 126,
  prflx: 110,
  srflx: 100,
  relay: 0,
};

/** RFC 8445 §5.1.2.1, for the one component that everything here has; `localPreference` is of 16 bits. */
export function candidatePriority(type: CandidateType, localPreference: number): number {
  return TYPE_PREFERENCES[type] * 2 ** 24 + localPreference * 2 ** 8 + 255;
}

/** The value of an `a=candidate` line for a host candidate over UDP, number `index` of those offered. */
export function encodeHostCandidate({ address, port }: Endpoint, index: number): string {
  // RFC 8445 §5.1.2.1: one local preference each, the first the highest.
  const priority = candidatePriority('host', 65_535 - index);
  return `candidate:${index + 1} 1 udp ${priority} ${address} ${port} typ host`;
}

/** Reads what stands after `a=`, or undefined if it is no candidate that can be checked. */
export function decodeCandidate(line: string): IceCandidate | undefined {
  const match = CANDIDATE.exec(line);
  if (match === null) return undefined;
  const [, transport, priority, address, port, type] = match;
  const isHidden = address!.toLowerCase().endsWith('.local');
  const canonical = isHidden ? address! : canonicalAddress(address!);
  if (canonical === undefined || Number(port) > 65_535 || Number(priority) > 0xffffffff) return undefined;
  return {
    type: type as CandidateType,
    transport: transport!.toLowerCase() as 'udp' | 'tcp',
    address: canonical,
    port: Number(port),
    isHidden,
    priority: Number(priority),
  };
}

const CANDIDATE =
  /^candidate:[A-Za-z0-9+/]{1,32} \d{1,5} (udp|tcp) (\d{1,10}) (\S{1,255}) (\d{1,5}) typ (host|srflx|prflx|relay)(?: |$)/i;
