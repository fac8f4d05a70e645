/** Mapping behaviour from what mapping sockets were seen as (RFC 4787 §4.1, RFC 5780 §4.3). */
import { type Endpoint, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import type { Mapping } from './behaviour.ts';
import { type BindingEvidence, isPlain } from './evidence.ts';
import type { Observations } from './observations.ts';
import type { Reason } from './verdict.ts';

export interface MappingAssessment {
  readonly mapping: Mapping;
  readonly confidence: number;
  readonly reasons: readonly Reason[];
  /**
   * A further mapping socket is wanted: one socket whose mapping depends on the destination may only
   * have collided with another flow (another host's port, an entry that an unsolicited packet left).
   */
  readonly wantsConfirmation: boolean;
  /** What the first mapping socket was seen as. */
  readonly mapped?: Endpoint;
}

/** What one socket was seen as from one destination. */
export interface Sighting {
  readonly to: Endpoint;
  readonly mapped: Endpoint;
}

/** What one socket was seen as, the first sighting for each destination. */
export interface SeenSocket {
  /** Absent where only the far side was there to see: then it differs from all that was seen. */
  readonly local?: Endpoint;
  readonly sightings: readonly Sighting[];
}

/** Until a second socket agrees, a dependent mapping is no more than likely. */
const UNCONFIRMED = 0.9;

export function assessMapping(observations: Observations): MappingAssessment {
  const sockets = observations.sockets.filter((socket) => socket.purpose === 'mapping');
  return assessSightings(
    sockets.map(({ socket, local }) => ({ local, sightings: sightingsOf(observations, socket) })),
  );
}

/** The same for sockets of any protocol, each of which has sent to several endpoints. */
export function assessSightings(seen: readonly SeenSocket[]): MappingAssessment {
  const classes: Mapping[] = [];
  const split: boolean[] = [];
  for (const { local, sightings } of seen) {
    if (sightings.length === 0) continue;
    const mapping = mappingOf(sightings, local);
    classes.push(mapping);
    if (isDependent(mapping)) split.push(keepsPort(sightings));
  }
  const first = classes[0];
  const mapped = seen[0]?.sightings[0]?.mapped;
  const base = mapped === undefined ? {} : { mapped };
  if (first === undefined)
    return { ...base, mapping: 'unknown', confidence: 0, reasons: [], wantsConfirmation: false };

  const dependent = classes.filter(isDependent);
  const stable = classes.filter((mapping) => mapping === 'endpoint-independent' || mapping === 'none');
  if (dependent.length === 0) {
    return {
      ...base,
      mapping: first,
      confidence: 1,
      reasons: [reasonFor(first, seen[0]!.sightings)],
      wantsConfirmation: false,
    };
  }
  if (stable.length > dependent.length) {
    return {
      ...base,
      mapping: stable[0]!,
      confidence: 1,
      reasons: [
        reasonFor(stable[0]!, seen.at(-1)!.sightings),
        {
          code: 'mapping-collision',
          text: `one local port of ${classes.length} got another public port half-way: it collided with another flow`,
        },
      ],
      wantsConfirmation: false,
    };
  }
  const mapping = strongest(dependent);
  const settled = dependent.length >= 2 && dependent.length > stable.length;
  return {
    ...base,
    mapping,
    confidence: settled ? 1 : UNCONFIRMED,
    reasons: [
      reasonFor(mapping, seen[0]!.sightings),
      ...(split.every((keeps) => keeps) ? [SEVERAL_ADDRESSES] : []),
    ],
    wantsConfirmation: !settled,
  };
}

/** What pooling.ts tells apart, from more sockets than a verdict takes. */
const SEVERAL_ADDRESSES: Reason = {
  code: 'mapping-several-addresses',
  text: 'only the address differs, not the port: it may be a pool of addresses, or two uplinks, rather than a symmetric NAT',
};

/** The first thing that the requests of a plain series were seen as by whom they were sent to. */
export function sightingOf({ to, replies }: BindingEvidence): Sighting | undefined {
  const reply = replies.find((item) => item.kind === 'response' && sameEndpoint(item.from, to));
  return reply?.kind === 'response' ? { to, mapped: reply.mapped } : undefined;
}

/** What `socket` was seen as, the first sighting for each destination. */
function sightingsOf(observations: Observations, socket: string): Sighting[] {
  const sightings: Sighting[] = [];
  for (const series of observations.series) {
    if (series.socket !== socket || !isPlain(series)) continue;
    const sighting = sightingOf(series);
    if (sighting !== undefined) sightings.push(sighting);
  }
  return sightings;
}

function mappingOf(sightings: readonly Sighting[], local: Endpoint | undefined): Mapping {
  const { mapped } = sightings[0]!;
  if (sightings.every((sighting) => sameEndpoint(sighting.mapped, mapped))) {
    if (local !== undefined && sameEndpoint(mapped, local)) return 'none';
    return sightings.some(({ to }) => to.address !== sightings[0]!.to.address)
      ? 'endpoint-independent'
      : 'unknown';
  }
  let comparable = false;
  for (const [i, a] of sightings.entries()) {
    for (const b of sightings.slice(i + 1)) {
      if (a.to.address !== b.to.address) continue;
      if (!sameEndpoint(a.mapped, b.mapped)) return 'address-and-port-dependent';
      comparable = true;
    }
  }
  return comparable ? 'address-dependent' : 'dependent';
}

/** Whether destinations saw different public addresses, and yet one port. */
function keepsPort(sightings: readonly Sighting[]): boolean {
  const [{ mapped }] = sightings as readonly [Sighting];
  return sightings.every((sighting) => sighting.mapped.port === mapped.port);
}

function isDependent(mapping: Mapping): boolean {
  return (
    mapping === 'address-dependent' || mapping === 'address-and-port-dependent' || mapping === 'dependent'
  );
}

function strongest(dependent: readonly Mapping[]): Mapping {
  if (dependent.includes('address-and-port-dependent')) return 'address-and-port-dependent';
  return dependent.includes('address-dependent') ? 'address-dependent' : 'dependent';
}

function reasonFor(mapping: Mapping, sightings: readonly Sighting[]): Reason {
  const seenAs = [...new Set(sightings.map(({ mapped }) => formatEndpoint(mapped)))].join(', ');
  const places = `${sightings.length} server endpoint${sightings.length === 1 ? '' : 's'}`;
  switch (mapping) {
    case 'none':
      return { code: 'mapping-none', text: `${places} saw the local endpoint itself: no translation` };
    case 'endpoint-independent':
      return { code: 'mapping-same', text: `${places} saw the same public endpoint, ${seenAs}` };
    case 'address-dependent':
      return {
        code: 'mapping-by-address',
        text: `each server address saw another public endpoint: ${seenAs}`,
      };
    case 'address-and-port-dependent':
      return {
        code: 'mapping-by-port',
        text: `two ports of one server address saw different public endpoints: ${seenAs}`,
      };
    case 'dependent':
      return {
        code: 'mapping-dependent',
        text: `each server saw another public endpoint (${seenAs}); no server showed two ports of one address`,
      };
    case 'unknown':
      return {
        code: 'mapping-one-address',
        text: 'only one server address answered: the mapping towards a second one is not known; add another --server',
      };
  }
}
