/**
 * What kind of translator is on the way: NAT44, NAT66, a translation of prefixes (NPTv6, RFC 6296), or a
 * NAT64 (RFC 6146), told from local and mapped endpoints of the classification, and from the NAT64
 * prefixes that the network's DNS shows (RFC 7050).
 */
import { formatIpv6, parseIpAddress } from '../address.ts';
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../endpoint.ts';
import { type Axis, unknownAxis } from './axis.ts';
import { type Evidence, isPlain } from './evidence.ts';

export type Translation =
  | 'none'
  | 'nat44'
  /** IPv6 addresses, and often ports, of the translator's own choice. */
  | 'nat66'
  /** One IPv6 prefix for another; ports, and all that tells hosts apart, stay. */
  | 'nptv6'
  /** IPv6 to IPv4, also where a CLAT on this machine makes IPv4 of it again (464XLAT, RFC 6877). */
  | 'nat64';

export interface TranslationAxis extends Axis<Translation> {
  /** As `64:ff9b::/96`; absent if none was used or shown. */
  readonly nat64Prefixes?: readonly string[];
}

/** By judgement: a translator that picks addresses would have to pick the host's own suffix. */
const SAME_SUFFIX_CONFIDENCE = 0.999;
/** An address of another suffix may have been set one to one, by hand. */
const OTHER_SUFFIX_CONFIDENCE = 0.99;
/** 192.0.0.0/29 is for CLATs (RFC 7335), and for DS-Lite before. */
const CLAT_CONFIDENCE = 0.95;
/** Of two unlike addresses that have the same checksum by chance. */
const SAME_CHECKSUM_CHANCE = 2 ** -16;
/** A suffix below this is one that people and DHCPv6 give out; others are a MAC address's or random. */
const LEAST_TELLING_SUFFIX = 2n ** 32n;

/** `discovery` is what the search for NAT64 prefixes found, if there was one. */
export function assessTranslation(
  classification: readonly Evidence[],
  discovery: readonly Evidence[] = [],
): TranslationAxis {
  const prefixes = [...classification, ...discovery].flatMap((item) =>
    item.kind === 'nat64' ? [item.prefix] : [],
  );
  const used = classification.find((item) => item.kind === 'nat64' && item.used);
  const judged = judge(
    sightingsOf(classification),
    used?.kind === 'nat64' ? used.prefix : undefined,
    prefixes,
  );
  return { ...judged, ...(prefixes.length === 0 ? {} : { nat64Prefixes: [...new Set(prefixes)] }) };
}

/** In plain words: what translates, and a NAT64 beside it. Undefined where there is neither: the mapping says so. */
export function describeTranslation({
  value,
  reasons,
  nat64Prefixes = [],
}: TranslationAxis): string[] | undefined {
  const sentences =
    value === 'none' ? [] : [value === 'unknown' ? `unknown: ${reasons[0]!.text}` : NAMES[value]];
  if (nat64Prefixes.length > 0) {
    sentences.push(`a NAT64 leads from IPv6 to IPv4, under ${nat64Prefixes.join(', ')}`);
  }
  return sentences.length === 0 ? undefined : sentences;
}

const NAMES: Readonly<Record<Exclude<Translation, 'none'>, string>> = {
  nat44: 'NAT44: IPv4 to IPv4',
  nat66: 'NAT66: IPv6 to IPv6, under an address of the translator’s choice',
  nptv6: 'NPTv6: only the prefix of the IPv6 address is another one outside',
  nat64: 'NAT64: IPv6 here, IPv4 outside',
};

/** One answered request: its socket's own endpoint, and what the server saw. */
interface Sighting {
  readonly local: Endpoint;
  readonly mapped: Endpoint;
}

function sightingsOf(evidence: readonly Evidence[]): Sighting[] {
  const locals = new Map(
    evidence.flatMap((item) => (item.kind === 'socket' ? [[item.socket, item.local] as const] : [])),
  );
  return evidence.flatMap((item) => {
    const local = item.kind === 'binding' && isPlain(item) ? locals.get(item.socket) : undefined;
    if (item.kind !== 'binding' || local === undefined) return [];
    return item.replies.flatMap((reply) =>
      reply.kind === 'response' ? [{ local, mapped: reply.mapped }] : [],
    );
  });
}

function judge(
  sightings: readonly Sighting[],
  used: string | undefined,
  prefixes: readonly string[],
): TranslationAxis {
  const first = sightings[0];
  if (first === undefined) return unknownAxis('translation-not-seen', 'no answer came back over UDP');
  const { local, mapped } = first;
  if (familyOf(local.address) === 'ipv6' && familyOf(mapped.address) === 'ipv4') {
    const by = used === undefined ? 'a NAT64' : `the NAT64 at ${used}`;
    return known(
      'nat64',
      1,
      'translation-nat64',
      `by way of ${by} ${local.address} is seen as ${mapped.address}`,
    );
  }
  if (sightings.every((item) => sameEndpoint(item.local, item.mapped))) {
    return known('none', 1, 'translation-none', 'the server saw the local endpoint itself');
  }
  if (familyOf(local.address) === 'ipv6') return judgeIpv6(sightings);
  if (isClatAddress(local.address)) {
    const text = `${local.address} is an address of a CLAT, whose packets go to a NAT64 (464XLAT)`;
    return known('nat64', prefixes.length > 0 ? 1 : CLAT_CONFIDENCE, 'translation-clat', text);
  }
  return known(
    'nat44',
    1,
    'translation-nat44',
    `${formatEndpoint(local)} is seen as ${formatEndpoint(mapped)}`,
  );
}

function judgeIpv6(sightings: readonly Sighting[]): TranslationAxis {
  const moved = sightings.find(({ local, mapped }) => local.port !== mapped.port);
  if (moved !== undefined) {
    const text = `port ${moved.local.port} is seen as ${moved.mapped.port}, and a translation of prefixes keeps ports`;
    return known('nat66', 1, 'translation-ports', text);
  }
  const { local, mapped } = sightings.find((item) => !sameEndpoint(item.local, item.mapped))!;
  const [inner, outer] = [wordsOf(local.address), wordsOf(mapped.address)];
  const seen = `${local.address} is seen as ${mapped.address}, all ports preserved`;
  if (checksumOf(inner) === checksumOf(outer) && countUnlike(inner.slice(4), outer.slice(4)) <= 1) {
    const text = `${seen}, with the checksum of the address kept as RFC 6296 has it`;
    return known('nptv6', 1 - SAME_CHECKSUM_CHANCE, 'translation-checksum', text);
  }
  if (countUnlike(inner.slice(4), outer.slice(4)) > 0) {
    const text = `${seen}, and more than the prefix is unlike`;
    return known('nat66', OTHER_SUFFIX_CONFIDENCE, 'translation-suffix-unlike', text);
  }
  if (suffixOf(inner) >= LEAST_TELLING_SUFFIX) {
    return known(
      'nptv6',
      SAME_SUFFIX_CONFIDENCE,
      'translation-suffix',
      `${seen}, and only the prefix is unlike`,
    );
  }
  const [suffix] = [formatIpv6(bytesOf([0, 0, 0, 0, ...inner.slice(4)]), 0)];
  const text = `only the prefix is translated, or the translator’s own address ends in ${suffix} as well`;
  return unknownAxis('translation-suffix-short', text);
}

/** RFC 7335: what a CLAT gives to the machine that it is on. */
function isClatAddress(address: string): boolean {
  const bytes = parseIpAddress(address);
  return bytes?.length === 4 && bytes[0] === 192 && bytes[1] === 0 && bytes[2] === 0 && bytes[3]! < 8;
}

/** The eight groups of an IPv6 address. */
function wordsOf(address: string): number[] {
  const bytes = parseIpAddress(address)!;
  return Array.from({ length: 8 }, (_, index) => (bytes[2 * index]! << 8) | bytes[2 * index + 1]!);
}

function bytesOf(words: readonly number[]): Uint8Array {
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** One's complement sum, in which 0 and 0xffff are the same (RFC 1071 §1): what NPTv6 keeps (RFC 6296 §2.6). */
function checksumOf(words: readonly number[]): number {
  return words.reduce((sum, word) => sum + word, 0) % 0xffff;
}

function countUnlike(a: readonly number[], b: readonly number[]): number {
  return a.filter((word, index) => word !== b[index]).length;
}

function suffixOf(words: readonly number[]): bigint {
  return words.slice(4).reduce((suffix, word) => (suffix << 16n) | BigInt(word), 0n);
}

function known(value: Translation, confidence: number, code: string, text: string): TranslationAxis {
  return { value, confidence, reasons: [{ code, text }] };
}
