import { networkInterfaces } from 'node:os';
import { canonicalAddress } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';

/** The address as it is written everywhere. Throws ERR_ENDPOINT, or ERR_ADDRESS_NOT_LOCAL if this machine doesn't have it. */
export function checkOwnAddress(text: string, place: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) throw new NatprobeError('ERR_ENDPOINT', place, `got ${JSON.stringify(text)}`);
  const own = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
  if (own.some((info) => canonicalAddress(info.address) === address)) return address;
  throw new NatprobeError('ERR_ADDRESS_NOT_LOCAL', place, `got ${address}`);
}
