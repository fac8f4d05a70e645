/** Ranges of addresses as people write them: `10.0.0.0/8`, or one address. */
import { BlockList } from 'node:net';
import { parseIpAddress } from '../../shared/address.ts';
import { NatprobeError } from '../../shared/errors.ts';

/** Whether an address, plain or as IPv4 in IPv6, is in one of the ranges. */
export type RangeCheck = (address: string) => boolean;

/** Throws ERR_RANGE. */
export function createRangeCheck(ranges: readonly string[], place: string): RangeCheck {
  const list = new BlockList();
  for (const text of ranges) {
    const { base, length, family } = parseRange(text, place);
    list.addSubnet(base, length, family);
  }
  return (address) => {
    const bytes = parseIpAddress(address);
    return bytes !== undefined && list.check(address, bytes.length === 4 ? 'ipv4' : 'ipv6');
  };
}

interface Range {
  readonly base: string;
  readonly length: number;
  readonly family: 'ipv4' | 'ipv6';
}

function parseRange(text: string, place: string): Range {
  const [base = '', length, ...rest] = text.split('/');
  const bits = (parseIpAddress(base)?.length ?? 0) * 8;
  const fits = length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= bits);
  if (bits === 0 || rest.length > 0 || !fits) {
    throw new NatprobeError('ERR_RANGE', place, `got ${JSON.stringify(text)}`);
  }
  return { base, length: Number(length ?? bits), family: bits === 32 ? 'ipv4' : 'ipv6' };
}
