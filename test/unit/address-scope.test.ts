import { describe, expect, it } from 'vitest';
import { type AddressScope, isBehindNat, scopeOf } from '../../shared/address-scope.ts';

/** First and last address of each range, and their neighbours outside. */
const SCOPES: readonly (readonly [string, AddressScope])[] = [
  ['0.0.0.0', 'unspecified'],
  ['0.0.0.1', 'reserved'],
  ['0.255.255.255', 'reserved'],
  ['1.0.0.0', 'public'],
  ['9.255.255.255', 'public'],
  ['10.0.0.0', 'private'],
  ['10.255.255.255', 'private'],
  ['11.0.0.0', 'public'],
  ['100.63.255.255', 'public'],
  ['100.64.0.0', 'shared'],
  ['100.127.255.255', 'shared'],
  ['100.128.0.0', 'public'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.255', 'loopback'],
  ['169.253.255.255', 'public'],
  ['169.254.0.1', 'link-local'],
  ['172.15.255.255', 'public'],
  ['172.16.0.0', 'private'],
  ['172.31.255.255', 'private'],
  ['172.32.0.0', 'public'],
  ['192.0.0.170', 'reserved'],
  ['192.0.1.0', 'public'],
  ['192.0.2.1', 'documentation'],
  ['192.167.255.255', 'public'],
  ['192.168.0.0', 'private'],
  ['192.168.255.255', 'private'],
  ['192.169.0.0', 'public'],
  ['198.17.255.255', 'public'],
  ['198.18.0.0', 'benchmarking'],
  ['198.19.255.255', 'benchmarking'],
  ['198.20.0.0', 'public'],
  ['198.51.100.7', 'documentation'],
  ['203.0.113.7', 'documentation'],
  ['203.0.114.0', 'public'],
  ['223.255.255.255', 'public'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.250', 'multicast'],
  ['240.0.0.0', 'reserved'],
  ['255.255.255.255', 'reserved'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::2', 'public'],
  ['::ffff:10.1.2.3', 'private'],
  ['::ffff:100.64.0.1', 'shared'],
  ['64:ff9b::1.2.3.4', 'public'],
  ['100::1', 'reserved'],
  ['2001:2::1', 'benchmarking'],
  ['2001:2:1::', 'public'],
  ['2001:db7:ffff::', 'public'],
  ['2001:db8::1', 'documentation'],
  ['2001:DB8:0:0:0:0:0:1', 'documentation'],
  ['2001:db9::', 'public'],
  ['3fff::1', 'documentation'],
  ['3fff:1000::', 'public'],
  ['fbff:ffff::', 'public'],
  ['fc00::1', 'unique-local'],
  ['fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'unique-local'],
  ['fe00::', 'public'],
  ['fe80::1', 'link-local'],
  ['febf::1', 'link-local'],
  ['fec0::1', 'public'],
  ['ff02::1', 'multicast'],
];

describe('scopeOf', () => {
  it.each(SCOPES)('%s: %s', (address, scope) => {
    expect(scopeOf(address)).toBe(scope);
  });

  it.each(['', '10.0.0', '10.0.0.256', '010.0.0.1', 'fe80::1%eth0', 'localhost', '1:2:3'])(
    'says nothing of %j, which is no address',
    (text) => {
      expect(scopeOf(text)).toBeUndefined();
    },
  );
});

describe('isBehindNat', () => {
  it('holds for the ranges that many networks use at once, and for no other', () => {
    const scopes = [...new Set(SCOPES.map(([, scope]) => scope))];
    expect(scopes.filter(isBehindNat).sort()).toEqual(['link-local', 'private', 'shared', 'unique-local']);
  });
});
