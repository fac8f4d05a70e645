/** What this machine has just now: addresses, file descriptors. */
import { closeSync, openSync } from 'node:fs';
import { devNull, networkInterfaces } from 'node:os';
import type { LocalAddress } from './local-addresses.ts';

/** Throws where the system can't tell, as without a free file descriptor. */
export function listLocalAddresses(): LocalAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, infos]) =>
    (infos ?? []).map(({ family, address, cidr, internal }) => ({
      interface: name,
      family: family === 'IPv4' ? ('ipv4' as const) : ('ipv6' as const),
      address,
      prefixLength: Number(cidr?.split('/')[1]),
      loopback: internal,
    })),
  );
}

/** Whether one more file or connection could be opened. */
export function hasFreeDescriptor(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code !== 'EMFILE' && code !== 'ENFILE';
  }
}
