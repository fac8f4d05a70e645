/** What this server, or one that shares its keys, stands witness to: of a report's mapping evidence, of a peer's candidates. Pure. */
import { parseIpAddress } from '../../shared/address.ts';
import { type Endpoint, sameEndpoint } from '../../shared/endpoint.ts';
import type { BindingEvidence, Evidence } from '../../shared/nat/evidence.ts';
import { isPlain } from '../../shared/nat/evidence.ts';
import { type Sighting, sightingOf } from '../../shared/nat/mapping.ts';
import type { GivenWitness, ReportWitnesses } from '../../shared/report/witnesses.ts';
import type { WitnessPurpose } from '../../shared/stun/attributes/natprobe.ts';
import type { WitnessKeys } from './witness-keys.ts';
import { isWitnessMac, type PackedEndpoint } from './witness-mac.ts';

/** How long a witness is good. */
export const WITNESS_LIFETIME_MS = 60_000;
/** How far apart the clocks of servers that share keys may be. */
export const WITNESS_CLOCK_SLACK_MS = 30_000;

/** `true`: all of it; `partly`: some; false: none. It says who received where and when, nothing about filtering. */
export type EndpointsWitnessed = true | 'partly' | false;

/**
 * Holds what mapping sockets were seen as, from each server endpoint, against the witnesses. `evidence`
 * is that of both families, one after the other, if there are both.
 */
export function checkWitnesses(
  witnesses: ReportWitnesses | undefined,
  evidence: readonly Evidence[],
  keys: WitnessKeys,
  nowMs: number,
): EndpointsWitnessed {
  if (witnesses === undefined) return false;
  const nonce = Buffer.from(witnesses.nonce, 'hex');
  const good = new Map<string, GivenWitness>();
  for (const witness of witnesses.given) {
    if (isFresh(witness, nowMs) && isGenuine(witness, 'report', nonce, keys))
      good.set(witness.transactionId, witness);
  }
  let seen = 0;
  let witnessed = 0;
  for (const series of mappingSeries(evidence)) {
    const sighting = sightingOf(series);
    if (sighting === undefined) continue;
    seen++;
    if (isWitnessed(series, sighting, good)) witnessed++;
  }
  if (witnessed === 0) return false;
  return witnessed === seen ? true : 'partly';
}

function mappingSeries(evidence: readonly Evidence[]): BindingEvidence[] {
  const sockets = new Set<string>();
  for (const item of evidence) {
    if (item.kind === 'socket' && item.purpose === 'mapping') sockets.add(item.socket);
  }
  return evidence.filter(
    (item): item is BindingEvidence => item.kind === 'binding' && sockets.has(item.socket) && isPlain(item),
  );
}

/** By any request of the series: the first answer may have come without one. */
function isWitnessed(
  { sends }: BindingEvidence,
  { to, mapped }: Sighting,
  good: ReadonlyMap<string, GivenWitness>,
): boolean {
  return sends.some(({ transactionId }) => {
    const witness = good.get(transactionId);
    return witness !== undefined && sameEndpoint(witness.to, to) && sameEndpoint(witness.mapped, mapped);
  });
}

export interface WitnessTimes {
  /** Since it was made, and until it is stale. */
  readonly agoMs: number;
  readonly leftMs: number;
}

/** Of a witness for the broker under that nonce (hexadecimal); undefined if it is stale, or none at all. */
export function checkBrokerWitness(
  witness: GivenWitness,
  nonce: string,
  keys: WitnessKeys,
  nowMs: number,
): WitnessTimes | undefined {
  if (!isFresh(witness, nowMs) || !isGenuine(witness, 'broker', Buffer.from(nonce, 'hex'), keys))
    return undefined;
  const agoMs = Math.max(0, nowMs - witness.madeAtMs);
  return { agoMs, leftMs: witness.madeAtMs + WITNESS_LIFETIME_MS + WITNESS_CLOCK_SLACK_MS - nowMs };
}

function isFresh({ madeAtMs }: GivenWitness, nowMs: number): boolean {
  return (
    nowMs >= madeAtMs - WITNESS_CLOCK_SLACK_MS &&
    nowMs <= madeAtMs + WITNESS_LIFETIME_MS + WITNESS_CLOCK_SLACK_MS
  );
}

function isGenuine(
  witness: GivenWitness,
  purpose: WitnessPurpose,
  nonce: Uint8Array,
  keys: WitnessKeys,
): boolean {
  const source = packEndpoint(witness.mapped);
  const arrival = packEndpoint(witness.to);
  if (source === undefined || arrival === undefined || !Number.isSafeInteger(witness.madeAtMs)) return false;
  const facts = {
    purpose,
    nonce,
    transactionId: Buffer.from(witness.transactionId, 'hex'),
    source,
    arrival,
    madeAtMs: witness.madeAtMs,
  } as const;
  const mac = Buffer.from(witness.mac, 'hex');
  return keys.withId(witness.keyId).some((key) => isWitnessMac(key, facts, mac));
}

function packEndpoint({ address, port }: Endpoint): PackedEndpoint | undefined {
  const bytes = parseIpAddress(address);
  return bytes === undefined ? undefined : { address: bytes, port };
}
