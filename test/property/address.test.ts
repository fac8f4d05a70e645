import { isIP, SocketAddress } from 'node:net';
import fc from 'fast-check';
import { IPv6 } from 'ip-num';
import { describe, expect, it } from 'vitest';
import { formatIpv4, formatIpv6, parseIpAddress } from '../../shared/address.ts';
import { checkProperty, SEED } from './property.ts';

console.log(`seed ${SEED}`);

const byte = fc.integer({ min: 0, max: 255 });
const ipv4Bytes = fc.uint8Array({ minLength: 4, maxLength: 4 });
/** Half of the groups zero, so that runs of zeros of every length and place occur. */
const ipv6Bytes = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }), fc.constant(0xffff)), {
    minLength: 8,
    maxLength: 8,
  })
  .map((groups) => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));

const ipv4Text = fc.tuple(byte, byte, byte, byte).map((parts) => parts.join('.'));
/** Text that is an address or nearly one. */
const nearlyAddress = fc.oneof(
  ipv4Text,
  fc.ipV6(),
  fc
    .array(fc.oneof(fc.constantFrom('0', 'ffff', 'DB8', '00001', 'g', '', ':', '::'), ipv4Text), {
      maxLength: 9,
    })
    .map((groups) => groups.join(':')),
  fc
    .array(fc.constantFrom('0', '1', '01', '255', '256', '', ' '), { maxLength: 5 })
    .map((parts) => parts.join('.')),
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefF:.:. %x')), maxLength: 24 }),
);

describe('addresses', () => {
  it('parse exactly the text that Node takes for an IP address without a zone', () => {
    checkProperty(
      fc.property(nearlyAddress, (text) => {
        const family = text.includes('%') ? 0 : isIP(text);
        expect(parseIpAddress(text)?.length).toBe({ 0: undefined, 4: 4, 6: 16 }[family]);
      }),
      30_000,
    );
  });

  it('of IPv4 come back from their text, which is Node’s', () => {
    checkProperty(
      fc.property(ipv4Bytes, (bytes) => {
        const text = formatIpv4(bytes, 0);
        expect(text).toBe(new SocketAddress({ address: text, family: 'ipv4' }).address);
        expect(parseIpAddress(text)).toEqual(bytes);
      }),
      5_000,
    );
  });

  it('of IPv6 come back from their text, which is Node’s, and have the value that ip-num reads in it', () => {
    checkProperty(
      fc.property(ipv6Bytes, (bytes) => {
        const text = formatIpv6(bytes, 0);
        expect(text).toBe(new SocketAddress({ address: groupsOf(bytes).join(':'), family: 'ipv6' }).address);
        expect(parseIpAddress(text)).toEqual(bytes);
        if (!text.includes('.')) {
          expect(IPv6.fromString(text).getValue()).toBe(BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
        }
      }),
      10_000,
    );
  });

  it('of IPv6 parse to the bytes that URL reads in any spelling', () => {
    checkProperty(
      fc.property(fc.ipV6(), (text) => {
        const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
        expect(parseIpAddress(text)).toEqual(parseIpAddress(canonical));
      }),
      5_000,
    );
  });
});

function groupsOf(bytes: Uint8Array): string[] {
  return Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
}
