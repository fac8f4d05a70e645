import { networkInterfaces } from 'node:os';
import { isBehindNat, scopeOf } from '../../shared/address-scope.ts';
import { canonicalAddress, type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';

/** The address as it is written everywhere. Throws ERR_ADDRESS, or ERR_ADDRESS_NOT_LOCAL if this machine doesn't have it. */
export function checkOwnAddress(text: string, place: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) throw new NatprobeError('ERR_ADDRESS', place, `got ${JSON.stringify(text)}`);
  if (ownAddresses().includes(address)) return address;
  throw new NatprobeError('ERR_ADDRESS_NOT_LOCAL', place, `got ${address}`);
}

/**
 * Where a socket on the wildcard is reached from the same network, on addresses of private ranges; that
 * which is used towards the server first. Not link-local ones: nobody else can tell which link is meant.
 */
export function privateEndpoints(family: Family, local: Endpoint): Endpoint[] {
  const addresses = new Set([local.address, ...ownAddresses()]);
  return [...addresses]
    .filter((address) => {
      const scope = scopeOf(address);
      return (
        familyOf(address) === family && scope !== undefined && scope !== 'link-local' && isBehindNat(scope)
      );
    })
    .map((address) => ({ address, port: local.port }));
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((infos) => infos ?? [])
    .flatMap(({ address }) => canonicalAddress(address) ?? []);
}
