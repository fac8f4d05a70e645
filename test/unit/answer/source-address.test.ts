import { describe, expect, it } from 'vitest';
import { SourceAddress } from '../../../server/answer/source-address.ts';

function read(address: string): unknown {
  const source = new SourceAddress();
  if (!source.set(address, 5000)) return undefined;
  const bytes = Buffer.from(source.bytes.subarray(0, source.family === 4 ? 4 : 16)).toString('hex');
  return [source.family, bytes, source.port];
}

describe('SourceAddress', () => {
  it('reads what Node prints', () => {
    expect(read('192.0.2.255')).toEqual([4, 'c00002ff', 5000]);
    expect(read('2001:db8::ff')).toEqual([6, '20010db80000000000000000000000ff', 5000]);
    expect(read('fe80::1%eth0')).toEqual([6, 'fe800000000000000000000000000001', 5000]);
  });

  it('refuses what is no address', () => {
    expect(['', '192.0.2', '192.0.2.256', '2001:db8::g', '1:2', 'example.org'].map(read)).toEqual(
      Array(6).fill(undefined),
    );
  });
});
