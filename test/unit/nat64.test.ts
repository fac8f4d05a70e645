import { describe, expect, it } from 'vitest';
import {
  extractAddress,
  extractEndpoint,
  formatNat64Prefix,
  NAT64_PREFIX_LENGTHS,
  parseNat64Prefix,
  prefixesBetween,
  prefixesOfAnswer,
  synthesizeAddress,
  synthesizeEndpoint,
  WELL_KNOWN_NAT64_PREFIX,
} from '../../shared/nat64.ts';

/** RFC 6052 §2.4, tables 2 and 3: prefix, and 192.0.2.33 under it. */
const EXAMPLES: readonly [string, string][] = [
  ['2001:db8::/32', '2001:db8:c000:221::'],
  ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
  ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
  ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
  ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100:0'],
  ['2001:db8:122:344::/96', '2001:db8:122:344::c000:221'],
  ['64:ff9b::/96', '64:ff9b::c000:221'],
];

describe('an IPv4 address under a NAT64 prefix', () => {
  for (const [text, synthesized] of EXAMPLES) {
    it(`stands where RFC 6052 says, under ${text}`, () => {
      const prefix = parseNat64Prefix(text)!;
      expect(formatNat64Prefix(prefix)).toBe(text);
      const address = synthesizeAddress(prefix, '192.0.2.33');
      expect(extractAddress(prefix, synthesized)).toBe('192.0.2.33');
      expect(extractAddress(prefix, address)).toBe('192.0.2.33');
      expect(synthesizeAddress(prefix, extractAddress(prefix, synthesized)!)).toBe(address);
      expect(new URL(`http://[${address}]`).hostname).toBe(new URL(`http://[${synthesized}]`).hostname);
    });
  }

  it('is none under another prefix, nor with the reserved octet set', () => {
    expect(extractAddress(WELL_KNOWN_NAT64_PREFIX, '2001:db8::c000:221')).toBeUndefined();
    expect(extractAddress(WELL_KNOWN_NAT64_PREFIX, '64:ff9b::1:0:c000:221')).toBeUndefined();
    expect(extractAddress(WELL_KNOWN_NAT64_PREFIX, '64:ff9b::100:0:c000:221')).toBeUndefined();
    expect(extractAddress(WELL_KNOWN_NAT64_PREFIX, '192.0.2.33')).toBeUndefined();
    expect(extractAddress(parseNat64Prefix('2001:db8::/32')!, '2001:db8:c000:221:100::')).toBeUndefined();
  });

  it('makes an endpoint with the same port; an endpoint of another kind stays what it is', () => {
    const server = { address: '192.0.2.33', port: 3478 };
    const synthesized = synthesizeEndpoint(WELL_KNOWN_NAT64_PREFIX, server);
    expect(synthesized).toEqual({ address: '64:ff9b::c000:221', port: 3478 });
    expect(extractEndpoint(WELL_KNOWN_NAT64_PREFIX, synthesized)).toEqual(server);
    const other = { address: '2001:db8::1', port: 1 };
    expect(extractEndpoint(WELL_KNOWN_NAT64_PREFIX, other)).toBe(other);
  });

  it('needs an IPv4 address', () => {
    for (const text of ['2001:db8::1', '192.0.2', ''])
      expect(() => synthesizeAddress(WELL_KNOWN_NAT64_PREFIX, text)).toThrow(RangeError);
  });
});

describe('a NAT64 prefix', () => {
  it('as text has a length of RFC 6052 and nothing behind it', () => {
    for (const text of [
      '64:ff9b::/95',
      '64:ff9b::1/96',
      '192.0.2.0/32',
      '64:ff9b::',
      '64:ff9b::/96/96',
      '',
    ]) {
      expect(parseNat64Prefix(text), text).toBeUndefined();
    }
    expect(parseNat64Prefix('0064:FF9B:0:0::/96')).toEqual(WELL_KNOWN_NAT64_PREFIX);
  });

  it('is read from the answer for ipv4only.arpa, at every length', () => {
    for (const length of NAT64_PREFIX_LENGTHS) {
      const prefix = parseNat64Prefix(`2001:db8::/${length}`)!;
      const answer = ['192.0.0.170', '192.0.0.171'].map((address) => synthesizeAddress(prefix, address));
      expect(prefixesOfAnswer(answer).map(formatNat64Prefix)).toEqual([`2001:db8::/${length}`]);
      expect(prefixesOfAnswer(answer.slice(1)).map(formatNat64Prefix)).toEqual([`2001:db8::/${length}`]);
    }
  });

  it('may be one of several, in their order', () => {
    const answer = ['2001:db8:64::c000:aa', '64:ff9b::c000:aa', '2001:db8:64::c000:ab', '64:ff9b::c000:ab'];
    expect(prefixesOfAnswer(answer).map(formatNat64Prefix)).toEqual(['2001:db8:64::/96', '64:ff9b::/96']);
  });

  it('that holds such an address itself is told apart by the other one', () => {
    const prefix = parseNat64Prefix('2001:db8:c000:aa::/96')!;
    const answer = ['192.0.0.170', '192.0.0.171'].map((address) => synthesizeAddress(prefix, address));
    expect(prefixesBetween('192.0.0.170', answer[0]!)).toHaveLength(2);
    expect(prefixesOfAnswer(answer)).toEqual([prefix]);
  });

  it('is none where the answer is no DNS64’s', () => {
    expect(prefixesOfAnswer([])).toEqual([]);
    expect(prefixesOfAnswer(['2001:db8::1', '::', 'nonsense', '192.0.0.170'])).toEqual([]);
  });

  it('between two addresses of one host may be chance, and is found', () => {
    expect(prefixesBetween('192.0.2.33', '2001:db8:122:344::c000:221').map(formatNat64Prefix)).toEqual([
      '2001:db8:122:344::/96',
    ]);
    expect(prefixesBetween('192.0.2.34', '2001:db8:122:344::c000:221')).toEqual([]);
  });
});
