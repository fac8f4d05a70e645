/** Which candidates a peer may name, and which of them another peer is told (MEASURING.md §4). */
import { parseIpAddress } from '../../shared/address.ts';
import { isBehindNat, scopeOf } from '../../shared/address-scope.ts';
import type { Candidates, Transport } from '../../shared/broker/messages.ts';
import { canonicalAddress, type Endpoint, familyOf, formatEndpoint } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { PunchCandidate } from '../../shared/punch/plan.ts';
import type { GivenWitness } from '../../shared/report/witnesses.ts';
import type { WitnessTimes } from '../witness/check-witnesses.ts';
import type { SessionCandidates, WitnessedEndpoint } from './session.ts';

/** When a witness under that nonce (hexadecimal) was made, and how long it is good; undefined if it isn't. */
export type CheckWitness = (witness: GivenWitness, nonce: string) => WitnessTimes | undefined;

/**
 * `transport`: over which there has to be one, where that matters. Throws ERR_CANDIDATE if a single one
 * can't be taken, or there is none that is witnessed.
 */
export function acceptCandidates(
  message: Candidates,
  nonce: string,
  checkWitness: CheckWitness,
  now: number,
  transport?: Transport,
): SessionCandidates {
  const accept = (witnesses: readonly GivenWitness[], field: string): WitnessedEndpoint[] => {
    const endpoints = witnesses.map((witness, index): WitnessedEndpoint => {
      const place = `/${field}/${index}`;
      const times = checkWitness(witness, nonce);
      if (times === undefined) throw refused(place, 'no fresh witness of this session');
      const endpoint = readEndpoint(witness.mapped, place);
      return { endpoint, seenAt: now - times.agoMs, goodUntil: now + times.leftMs };
    });
    return withoutDoubles(endpoints, ({ endpoint }) => endpoint);
  };
  const witnessed = { udp: accept(message.public, 'public'), tcp: accept(message.tcp ?? [], 'tcp') };
  const needed = transport === undefined ? [...witnessed.udp, ...witnessed.tcp] : witnessed[transport];
  if (needed.length === 0)
    throw refused(transport === 'tcp' ? '/tcp' : '/public', 'it takes one with a witness');
  const addresses = new Set([...witnessed.udp, ...witnessed.tcp].map(({ endpoint }) => endpoint.address));
  return {
    witnessed,
    mapped: withoutDoubles(
      message.mapped.map((candidate, index) => {
        const endpoint = readEndpoint(candidate, `/mapped/${index}`);
        if (!addresses.has(endpoint.address))
          throw refused(`/mapped/${index}`, 'its address is that of no witness');
        return endpoint;
      }),
    ),
    private: withoutDoubles(
      message.private.map((candidate, index) => readPrivate(candidate, `/private/${index}`)),
    ),
  };
}

/** What `to` is told of `of`: fresh ones only, and private ones only where both are seen in one network. */
export function candidatesFor(
  to: SessionCandidates,
  of: SessionCandidates,
  transport: Transport,
  now: number,
): PunchCandidate[] {
  const fresh = freshEndpoints(of, transport, now);
  const { mapped, private: locals } = of;
  const stillWitnessed = mapped.filter(({ address }) => fresh.some((one) => one.address === address));
  return [
    ...fresh.map((endpoint): PunchCandidate => {
      return { kind: familyOf(endpoint.address) === 'ipv6' ? 'ipv6' : 'public', endpoint };
    }),
    ...stillWitnessed.map((endpoint): PunchCandidate => ({ kind: 'mapped', endpoint })),
    ...(shareNetwork(fresh, freshEndpoints(to, transport, now))
      ? locals.map((endpoint): PunchCandidate => ({ kind: 'private', endpoint }))
      : []),
  ];
}

function freshEndpoints({ witnessed }: SessionCandidates, transport: Transport, now: number): Endpoint[] {
  return witnessed[transport].filter(({ goodUntil }) => now < goodUntil).map(({ endpoint }) => endpoint);
}

/** Whether two of these have the same /24, or /48 of IPv6: then the private addresses may lead somewhere. */
function shareNetwork(some: readonly Endpoint[], others: readonly Endpoint[]): boolean {
  const networks = new Set(some.map(networkOf));
  return others.some((endpoint) => networks.has(networkOf(endpoint)));
}

function networkOf({ address }: Endpoint): string {
  const bytes = parseIpAddress(address)!;
  return bytes.subarray(0, bytes.length === 4 ? 3 : 6).join('.');
}

function readPrivate(candidate: Endpoint, place: string): Endpoint {
  const endpoint = readEndpoint(candidate, place);
  const scope = scopeOf(endpoint.address)!;
  // Which link a link-local address is of, nobody else can tell.
  if (!isBehindNat(scope) || scope === 'link-local')
    throw refused(place, 'not an address of a private range');
  return endpoint;
}

/** With its address as canonical text. Throws ERR_CANDIDATE. */
export function readEndpoint({ address, port }: Endpoint, place: string): Endpoint {
  const canonical = canonicalAddress(address);
  if (canonical === undefined || port === 0) throw refused(place, 'not an endpoint');
  return { address: canonical, port };
}

function withoutDoubles<Item>(
  items: readonly Item[],
  endpointOf: (item: Item) => Endpoint = (item) => item as Endpoint,
): Item[] {
  return [...new Map(items.map((item) => [formatEndpoint(endpointOf(item)), item])).values()];
}

function refused(place: string, detail: string): NatprobeError {
  return new NatprobeError('ERR_CANDIDATE', place, detail);
}
