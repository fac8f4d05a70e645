import { describe, expect, it } from 'vitest';
import { clientAddress, networkOf } from '../../../server/http/client-address.ts';

describe('clientAddress', () => {
  it.each([
    ['198.51.100.7', undefined, '198.51.100.7'],
    ['::ffff:198.51.100.7', undefined, '198.51.100.7'],
    ['2001:DB8:0::7', undefined, '2001:db8::7'],
    ['fe80::7%eth0', undefined, 'fe80::7'],
    // What a proxy said is no address: the proxy is meant.
    ['unknown', '10.0.0.1', '10.0.0.1'],
    ['198.51.100.7:4711', '::ffff:10.0.0.1', '10.0.0.1'],
    // Gone already.
    ['', undefined, '0.0.0.0'],
  ])('of %j by way of %j is %j', (ip, remote, address) => {
    expect(clientAddress({ ip, raw: { socket: { remoteAddress: remote } } })).toBe(address);
  });
});

describe('networkOf', () => {
  it.each([
    ['198.51.100.255', 24, '198.51.100.0/24'],
    ['198.51.100.255', 32, '198.51.100.255/32'],
    ['198.51.100.255', 27, '198.51.100.224/27'],
    ['198.51.100.255', 0, '0.0.0.0/0'],
    ['2001:db8:1:ffff::1', 56, '2001:db8:1:ff00::/56'],
    ['2001:db8:1:ffff::1', 48, '2001:db8:1::/48'],
  ])('of %s with %d bits is %s', (address, bits, network) => {
    expect(networkOf(address, { ipv4: bits, ipv6: bits })).toBe(network);
  });
});
