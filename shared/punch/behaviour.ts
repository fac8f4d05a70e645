/** What is known of one side of a punch: named by a person, or taken from a report. */
import { type Endpoint, type Family, parseEndpoint } from '../endpoint.ts';
import { NatprobeError } from '../errors.ts';
import {
  type Filtering,
  FILTERING_SHORT,
  type Mapping,
  MAPPING_SHORT,
  type NatType,
  natTypeOf,
} from '../nat/behaviour.ts';
import type { HairpinAxis } from '../nat/hairpin.ts';
import type { TcpAxis } from '../nat/tcp.ts';
import type { UnsolicitedAxis } from '../nat/unsolicited.ts';
import { type FamilyReport, isClassified, type Report } from '../report/report.ts';
import { type PortOdds, portOddsOf } from './port-odds.ts';

/** One side of a punch, over one address family. */
export interface PunchBehaviour {
  /** In short: `EIM/APDF`, `fw/ADF`, `open`, `UDP blocked`. */
  readonly name: string;
  readonly type: NatType;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** That mapping and filtering are as said, 0 to 1: of a report its verdict's, of a named type 1. */
  readonly confidence: number;
  readonly unsolicited: UnsolicitedAxis['value'];
  readonly hairpin: HairpinAxis['value'];
  /** Where the next mapping will be; absent where it wasn't measured, or doesn't matter (EIM). */
  readonly ports?: PortOdds;
  /**
   * The machine may bind local ports from 600 to 1023, and its router is netfilter, which then draws
   * from as few public ones (MEASURING.md §7).
   */
  readonly lowPorts?: boolean;
  /** What its NAT does with TCP, where that was measured. */
  readonly tcp?: TcpBehaviour;
  /** Absent for a named type. */
  readonly family?: Family;
  readonly local?: Endpoint;
  readonly mapped?: Endpoint;
  /** The same side over the other family. */
  readonly otherFamily?: PunchBehaviour;
}

/** How a NAT treats TCP, as far as a punch goes. */
export interface TcpBehaviour {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  readonly confidence: number;
  readonly unsolicitedSyn: TcpAxis['unsolicitedSyn']['value'];
}

/**
 * Reads a type name or a short form, in any case: `port-restricted-cone`, `EIM/APDF`, `fw/ADF`. Of
 * `symmetric` and `symmetric-firewall` the usual and strictest filtering is taken, APDF; of `cone` it
 * stays unknown. Throws ERR_BEHAVIOUR naming `place`; its remedy lists what is possible.
 */
export function parseBehaviour(text: string, place = 'behaviour'): PunchBehaviour {
  const word = text
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-');
  const named = NAMED.get(word);
  if (named !== undefined) return behaviourOf(named);
  const [mapping, filtering, ...rest] = word.split('/');
  const parsed = { mapping: MAPPING_WORDS.get(mapping!), filtering: FILTERING_WORDS.get(filtering ?? '') };
  if (parsed.mapping === undefined || parsed.filtering === undefined || rest.length > 0)
    throw new NatprobeError('ERR_BEHAVIOUR', place, `got ${JSON.stringify(text.slice(0, SHOWN))}`);
  return behaviourOf({ mapping: parsed.mapping, filtering: parsed.filtering });
}

/** From a mapping and a filtering, and a type where these don't tell (`udp-blocked`). */
export function behaviourOf(stated: {
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  readonly type?: NatType;
}): PunchBehaviour {
  const { mapping, filtering, type = natTypeOf(mapping, filtering) } = stated;
  return {
    name: type === 'udp-blocked' ? 'UDP blocked' : nameOf(mapping, filtering),
    type,
    mapping,
    filtering,
    confidence: 1,
    unsolicited: 'unknown',
    hairpin: 'unknown',
  };
}

/**
 * What a report says, over the family that its top level is about; `otherFamily` is the other's.
 * With `pseudonymous` its addresses aren't used, as where a store has cut them.
 */
export function behaviourOfReport(
  report: Report,
  { pseudonymous = false }: { readonly pseudonymous?: boolean } = {},
): PunchBehaviour {
  const { family } = report;
  const other: Family = family === 'ipv4' ? 'ipv6' : 'ipv4';
  const otherReport = report.families[other];
  return {
    ...behaviourOfFamily(family, report, pseudonymous),
    ...(isClassified(otherReport) && { otherFamily: behaviourOfFamily(other, otherReport, pseudonymous) }),
  };
}

/** Of the axis what a punch takes: as sure as the less sure of mapping and filtering. */
export function tcpBehaviourOf({ mapping, filtering, unsolicitedSyn }: TcpAxis): TcpBehaviour {
  const known = [mapping, filtering].filter(({ value }) => value !== 'unknown');
  return {
    mapping: mapping.value,
    filtering: filtering.value,
    confidence: Math.min(1, ...known.map(({ confidence }) => confidence)),
    unsolicitedSyn: unsolicitedSyn.value,
  };
}

/** An error shows no more characters of what was typed. */
const SHOWN = 40;

const NAMED: ReadonlyMap<string, Parameters<typeof behaviourOf>[0]> = new Map([
  ['open', { mapping: 'none', filtering: 'endpoint-independent' }],
  ['symmetric-firewall', { mapping: 'none', filtering: 'address-and-port-dependent' }],
  ['full-cone', { mapping: 'endpoint-independent', filtering: 'endpoint-independent' }],
  ['restricted-cone', { mapping: 'endpoint-independent', filtering: 'address-dependent' }],
  ['port-restricted-cone', { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' }],
  ['cone', { mapping: 'endpoint-independent', filtering: 'unknown' }],
  ['symmetric', { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }],
  ['udp-blocked', { mapping: 'unknown', filtering: 'unknown', type: 'udp-blocked' }],
  ['inconclusive', { mapping: 'unknown', filtering: 'unknown' }],
]);

const MAPPING_WORDS: ReadonlyMap<string, Mapping> = new Map([
  ['fw', 'none'],
  ['none', 'none'],
  ['eim', 'endpoint-independent'],
  ['endpoint-independent', 'endpoint-independent'],
  ['adm', 'address-dependent'],
  ['address-dependent', 'address-dependent'],
  ['apdm', 'address-and-port-dependent'],
  ['address-and-port-dependent', 'address-and-port-dependent'],
]);

const FILTERING_WORDS: ReadonlyMap<string, Filtering> = new Map([
  ['eif', 'endpoint-independent'],
  ['endpoint-independent', 'endpoint-independent'],
  ['adf', 'address-dependent'],
  ['address-dependent', 'address-dependent'],
  ['apdf', 'address-and-port-dependent'],
  ['address-and-port-dependent', 'address-and-port-dependent'],
]);

function nameOf(mapping: Mapping, filtering: Filtering): string {
  if (mapping === 'none' && filtering === 'endpoint-independent') return 'open';
  return `${MAPPING_SHORT[mapping]}/${FILTERING_SHORT[filtering]}`;
}

function behaviourOfFamily(
  family: Family,
  { verdict, endpoints, axes = {} }: FamilyReport,
  pseudonymous: boolean,
): PunchBehaviour {
  const { ports, unsolicited, hairpin, tcp } = axes;
  const { local, mapped } = pseudonymous ? {} : endpoints;
  const isSteady = verdict.mapping === 'none' || verdict.mapping === 'endpoint-independent';
  return {
    ...behaviourOf(verdict),
    confidence: verdict.confidence,
    unsolicited: unsolicited?.value ?? 'unknown',
    hairpin: hairpin?.value ?? 'unknown',
    ...(ports !== undefined && !isSteady && { ports: portOddsOf(ports) }),
    ...(tcp !== undefined && { tcp: tcpBehaviourOf(tcp) }),
    family,
    ...(local !== undefined && { local: parseEndpoint(local, 'report') }),
    ...(mapped !== undefined && { mapped: parseEndpoint(mapped, 'report') }),
  };
}
