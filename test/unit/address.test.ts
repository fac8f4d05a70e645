import { describe, expect, it } from 'vitest';
import {
  formatIpv4,
  formatIpv6,
  parseIpAddress,
  parseIpv4Into,
  parseIpv6Into,
} from '../../shared/address.ts';
import { fromHex, toHex } from '../vectors/hex.ts';

describe('parseIpAddress', () => {
  it.each([
    ['192.0.2.1', 'c0000201'],
    ['0.0.0.0', '00000000'],
    ['255.255.255.255', 'ffffffff'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['1::', '00010000000000000000000000000000'],
    ['2001:DB8::a:b', '20010db80000000000000000000a000b'],
    ['1:2:3:4:5:6:7:8', '00010002000300040005000600070008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::2:3:4:5:6:7:8', '00000002000300040005000600070008'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
    ['1:2:3:4:5:6:192.0.2.1', '000100020003000400050006c0000201'],
    ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221'],
  ])('reads %s', (text, hex) => {
    const bytes = parseIpAddress(text);
    expect(bytes && toHex(bytes)).toBe(hex);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '0x1.2.3.4',
    ':',
    ':::',
    '1',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2:3:4:5:6:7:8',
    '1::2::3',
    ':1::',
    '1:',
    '1::2:',
    '00001::',
    '::g',
    'fe80::1%eth0',
    '[::1]',
    '::1.2.3',
    '1.2.3.4::',
    '1:2:3:4:5:6:7:1.2.3.4',
    '::1.2.3.4:1',
    '::1.2.3.04',
  ])('refuses %j', (text) => {
    expect(parseIpAddress(text)).toBeUndefined();
  });
});

describe('parsing into a buffer', () => {
  it('writes at the offset and nowhere else', () => {
    const ipv4 = new Uint8Array(8).fill(0xee);
    expect(parseIpv4Into('192.0.2.1', ipv4, 2)).toBe(true);
    expect(toHex(ipv4)).toBe('eeeec0000201eeee');
    const ipv6 = new Uint8Array(20).fill(0xee);
    expect(parseIpv6Into('2001:db8::1', ipv6, 2)).toBe(true);
    expect(toHex(ipv6)).toBe('eeee20010db8000000000000000000000001eeee');
  });

  it('takes each family alone', () => {
    const out = new Uint8Array(16);
    expect(parseIpv4Into('::1', out, 0)).toBe(false);
    expect(parseIpv6Into('192.0.2.1', out, 0)).toBe(false);
  });
});

describe('formatting', () => {
  it('writes the dotted quad at the offset', () => {
    expect(formatIpv4(fromHex('eec0000201'), 1)).toBe('192.0.2.1');
  });

  it.each([
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['00010000000000000000000000000000', '1::'],
    ['20010db8000000000000000000000001', '2001:db8::1'],
    // RFC 5952 §4.2.2: one zero group is not shortened; §4.2.3: the longest run is, the first of equals.
    ['20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['00000000000000010000000000000000', '0:0:0:1::'],
    ['00010002000300040005000600070008', '1:2:3:4:5:6:7:8'],
    ['00000002000300040005000600070008', '0:2:3:4:5:6:7:8'],
    // As inet_ntop, and so Node, writes what has IPv4 in it.
    ['00000000000000000000ffffc0000201', '::ffff:192.0.2.1'],
    ['000000000000000000000000c0000201', '::192.0.2.1'],
    ['00000000000000000000000000010002', '::0.1.0.2'],
    ['0000000000000000ffff0000c0000201', '::ffff:0:c000:201'],
    ['0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
  ])('writes %s', (hex, text) => {
    expect(formatIpv6(fromHex(hex), 0)).toBe(text);
    expect(formatIpv6(fromHex(`eeee${hex}`), 2)).toBe(text);
  });
});
