/** The axes of RFC 4787 and the names that natprobe uses for their values. */

/** RFC 4787 §4.1; `none` is no translation, `dependent` where ADM and APDM cannot be told apart. */
export type Mapping = (typeof MAPPINGS)[number];
export const MAPPINGS = [
  'none',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'dependent',
  'unknown',
] as const;

/** RFC 4787 §5. */
export type Filtering = (typeof FILTERINGS)[number];
export const FILTERINGS = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'unknown',
] as const;

/** The short forms of RFC 4787's terms; `fw` is a firewall that translates nothing. */
export const MAPPING_SHORT: Readonly<Record<Mapping, string>> = {
  none: 'fw',
  'endpoint-independent': 'EIM',
  'address-dependent': 'ADM',
  'address-and-port-dependent': 'APDM',
  dependent: 'ADM or APDM',
  unknown: 'unknown',
};

export const FILTERING_SHORT: Readonly<Record<Filtering, string>> = {
  'endpoint-independent': 'EIF',
  'address-dependent': 'ADF',
  'address-and-port-dependent': 'APDF',
  unknown: 'unknown',
};

/** The classic names (RFC 3489 §5), and what natprobe adds to them. */
export type NatType = (typeof NAT_TYPES)[number];
export const NAT_TYPES = [
  'open',
  'symmetric-firewall',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'symmetric',
  'cone',
  'udp-blocked',
  'inconclusive',
] as const;

/** The classic name of a mapping and a filtering (MEASURING.md §2). */
export function natTypeOf(mapping: Mapping, filtering: Filtering): NatType {
  switch (mapping) {
    case 'none':
      if (filtering === 'unknown') return 'inconclusive';
      return filtering === 'endpoint-independent' ? 'open' : 'symmetric-firewall';
    case 'endpoint-independent':
      switch (filtering) {
        case 'endpoint-independent':
          return 'full-cone';
        case 'address-dependent':
          return 'restricted-cone';
        case 'address-and-port-dependent':
          return 'port-restricted-cone';
        case 'unknown':
          return 'cone';
      }
    case 'address-dependent':
    case 'address-and-port-dependent':
    case 'dependent':
      return 'symmetric';
    case 'unknown':
      return 'inconclusive';
  }
}
