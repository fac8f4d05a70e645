/** Types, mappings and filterings in plain words: the same in the terminal and on the pages. */
import { type Filtering, FILTERING_SHORT, type Mapping, MAPPING_SHORT, type NatType } from './behaviour.ts';
import type { Verdict } from './verdict.ts';

/** Types in plain words. */
export const TYPE_NAMES: Readonly<Record<NatType, string>> = {
  open: 'open',
  'symmetric-firewall': 'symmetric firewall',
  'full-cone': 'full cone',
  'restricted-cone': 'restricted cone',
  'port-restricted-cone': 'port-restricted cone',
  symmetric: 'symmetric',
  cone: 'cone',
  'udp-blocked': 'UDP blocked',
  inconclusive: 'inconclusive',
};

/** The short forms where they stand alone; describeMapping and describeFiltering spell them out. */
const MAPPING_ALONE = { ...MAPPING_SHORT, none: 'no translation', unknown: 'mapping unknown' };
const FILTERING_ALONE = { ...FILTERING_SHORT, unknown: 'filtering unknown' };

/** `port-restricted cone (EIM, APDF)`: the type, then mapping and filtering by RFC 4787. */
export function nameVerdict({
  type,
  mapping,
  filtering,
}: Pick<Verdict, 'type' | 'mapping' | 'filtering'>): string {
  const terms =
    type === 'udp-blocked'
      ? 'no UDP to the server'
      : `${MAPPING_ALONE[mapping]}, ${FILTERING_ALONE[filtering]}`;
  return `${TYPE_NAMES[type]} (${terms})`;
}

/** RFC 4787 §4.1 in a line. */
export function describeMapping(mapping: Mapping): string {
  switch (mapping) {
    case 'none':
      return 'none: this machine is seen under its own address and port';
    case 'endpoint-independent':
      return 'endpoint-independent (EIM): every peer sees the same public endpoint';
    case 'address-dependent':
      return 'address-dependent (ADM): each peer address sees another public endpoint';
    case 'address-and-port-dependent':
      return 'address- and port-dependent (APDM): each peer endpoint sees another public endpoint';
    case 'dependent':
      return 'address-dependent, perhaps port-dependent too (ADM or APDM): peers see different public endpoints';
    case 'unknown':
      return 'unknown';
  }
}

/** RFC 4787 §5 in a line. */
export function describeFiltering(filtering: Filtering): string {
  switch (filtering) {
    case 'endpoint-independent':
      return 'endpoint-independent (EIF): lets in anyone';
    case 'address-dependent':
      return 'address-dependent (ADF): lets in any port of an address that was sent to';
    case 'address-and-port-dependent':
      return 'address- and port-dependent (APDF): lets in only an address and port that was sent to';
    case 'unknown':
      return 'unknown';
  }
}

/** How good a type is for peers: they can begin or a plain punch works with most; it takes more; it can't be. */
export type Tone = 'good' | 'fair' | 'bad';

export function toneOf(type: NatType): Tone {
  switch (type) {
    case 'open':
    case 'full-cone':
    case 'restricted-cone':
      return 'good';
    case 'symmetric-firewall':
    case 'port-restricted-cone':
    case 'cone':
    case 'symmetric':
    case 'inconclusive':
      return 'fair';
    case 'udp-blocked':
      return 'bad';
  }
}
