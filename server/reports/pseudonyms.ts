/**
 * Other addresses in place of real ones: equal ones stay equal, different ones different. The new
 * ones are counted through in the order in which the real ones come up, so that they say nothing
 * about them; no key could ever turn them back.
 */
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';
import { scopeOf } from '../../shared/address-scope.ts';

/** `prefix` keeps /24 and /48 of an address, `none` nothing. */
export type KeptOfAddress = 'prefix' | 'none';

export class AddressPseudonyms {
  readonly #kept: KeptOfAddress;
  readonly #pseudonyms = new Map<string, string>();
  readonly #taken: Set<string>;
  readonly #counts = new Map<string, number>();

  /** Those of `spared` stay as they are. */
  constructor(kept: KeptOfAddress, spared: Iterable<string>) {
    this.#kept = kept;
    for (const address of spared) this.#pseudonyms.set(address, address);
    this.#taken = new Set(this.#pseudonyms.keys());
  }

  /** Of an address as it is spelt: another spelling gets another pseudonym, since the judge compares text. */
  of(address: string): string {
    let pseudonym = this.#pseudonyms.get(address);
    if (pseudonym === undefined) {
      pseudonym = this.#invent(address);
      this.#pseudonyms.set(address, pseudonym);
      this.#taken.add(pseudonym);
    }
    return pseudonym;
  }

  /** The text with a pseudonym for each address in it; `192.0.2.1:80` and `[2001:db8::1]:80` keep their ports. */
  inText(text: string): string {
    return text.replace(ADDRESS_LIKE, (run) => this.#inRun(run));
  }

  #inRun(run: string): string {
    if (!/[.:]/.test(run)) return run;
    if (run.length > LONGEST_RUN) return this.of(run);
    const [, before = '', core = '', after = ''] = /^(:(?!:))?(.*?)([.:]*)$/s.exec(run) ?? [];
    if (!/[.:]/.test(core)) return run;
    // What ends in `::` is an address, and what ends in another colon or a dot is the end of a sentence.
    if (parseIpAddress(core + after) !== undefined) return before + this.of(core + after);
    if (parseIpAddress(core) !== undefined) return before + this.of(core) + after;
    const withoutQuads = core.replace(DOTTED_QUAD, (quad) => this.of(quad));
    if (withoutQuads !== core) return before + withoutQuads + after;
    return core.split(':').length > 2 ? before + this.of(core) + after : run;
  }

  #invent(address: string): string {
    const bytes = parseIpAddress(address);
    const scope = bytes && scopeOf(address);
    // The same on every machine.
    if (scope === 'loopback' || scope === 'unspecified') return address;
    const { prefix, length } = this.#prefixOf(address, bytes);
    const key = prefix.join('.') + (length === 16 ? ' IPv6' : '');
    for (let count = this.#counts.get(key) ?? 1; ; count += 1) {
      const pseudonym = formatAddress(prefix, length, count);
      if (this.#taken.has(pseudonym)) continue;
      this.#counts.set(key, count + 1);
      return pseudonym;
    }
  }

  #prefixOf(address: string, bytes: Uint8Array | undefined): { prefix: readonly number[]; length: 4 | 16 } {
    const length = (bytes?.length ?? (address.includes(':') ? 16 : 4)) === 4 ? 4 : 16;
    if (bytes === undefined || this.#kept === 'none')
      return { prefix: length === 4 ? THIS_NETWORK : DISCARD_ONLY, length };
    return { prefix: [...bytes.subarray(0, length === 4 ? 3 : keptOfIpv6(bytes))], length };
  }
}

/** What may be an address, with or without a port; words of a to f have neither dot nor colon in them. */
const ADDRESS_LIKE = /[0-9a-fA-F:.]+/g;
/** An IPv6 address with an IPv4 one in it, a port, and a few dots around them. */
const LONGEST_RUN = 60;
const DOTTED_QUAD = /\d{1,3}(?:\.\d{1,3}){3}/g;

/** Ranges in which nobody's address is: 0.0.0.0/8 (RFC 6890) and 100::/64 (RFC 6666). */
const THIS_NETWORK = [0];
const DISCARD_ONLY = [1, 0, 0, 0, 0, 0, 0, 0];

/** Bytes of an IPv6 address that stay: /48, but /24 of an IPv4 address inside. */
function keptOfIpv6(bytes: Uint8Array): number {
  // 6to4, 2002::/16 (RFC 3056): the IPv4 address follows.
  if (bytes[0] === 0x20 && bytes[1] === 0x02) return 5;
  // IPv4-mapped and IPv4-compatible: it is the end (RFC 4291 §2.5.5).
  return bytes.subarray(0, 10).every((byte) => byte === 0) ? 15 : 6;
}

/** The prefix, zeros, and `count` at the end. */
function formatAddress(prefix: readonly number[], length: 4 | 16, count: number): string {
  const bytes = new Uint8Array(length);
  bytes.set(prefix);
  let rest = count;
  for (let i = length - 1; i >= prefix.length && rest > 0; i -= 1) {
    bytes[i] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  return length === 4 ? formatIpv4(bytes, 0) : formatIpv6(bytes, 0);
}
