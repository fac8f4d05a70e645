/** Which addresses a machine has, and which of them to serve when nobody says. Pure. */
import { parseIpAddress } from '../shared/address.ts';
import { canonicalAddress, type Family } from '../shared/endpoint.ts';

/** One address of one interface, as `os.networkInterfaces()` tells. */
export interface LocalAddress {
  readonly interface: string;
  readonly family: Family;
  /** Canonical text without a zone. */
  readonly address: string;
  readonly prefixLength: number;
  /** On a loopback interface. */
  readonly loopback: boolean;
}

export interface ChosenAddresses {
  readonly family: Family;
  readonly primary: string;
  readonly alternate: string | undefined;
}

/**
 * For each family the first address that others can reach, and the next one of the same interface as
 * the second (other interfaces lead elsewhere: a container bridge, a VPN). A machine that has
 * nothing but loopback is served on loopback.
 */
export function chooseAddresses(local: readonly LocalAddress[]): ChosenAddresses[] {
  const reachable = local.filter((item) => !item.loopback && !isLinkLocal(item));
  const chosen = chooseFrom(reachable);
  return chosen.length > 0 ? chosen : chooseFrom(local.filter((item) => item.loopback));
}

/** Whether a socket can be bound to `address`: listed, or anywhere in a loopback interface's IPv4 network. */
export function isLocalAddress(address: string, local: readonly LocalAddress[]): boolean {
  return local.some((item) => item.address === address || (item.loopback && isInNetwork(address, item)));
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || canonicalAddress(host)?.startsWith('127.') === true;
}

function chooseFrom(candidates: readonly LocalAddress[]): ChosenAddresses[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const [first, ...others] = candidates.filter((item) => item.family === family);
    if (first === undefined) return [];
    const second = others.find((item) => item.interface === first.interface);
    return [{ family, primary: first.address, alternate: second?.address }];
  });
}

/** RFC 3927, RFC 4291 §2.5.6. */
function isLinkLocal({ address }: LocalAddress): boolean {
  return address.startsWith('169.254.') || /^fe[89ab]/.test(address);
}

function isInNetwork(address: string, network: LocalAddress): boolean {
  const bytes = parseIpAddress(address);
  const base = parseIpAddress(network.address);
  if (bytes?.length !== 4 || base?.length !== 4) return false;
  for (let bit = 0; bit < network.prefixLength; bit++) {
    const mask = 0x80 >> (bit & 7);
    if (((bytes[bit >> 3]! ^ base[bit >> 3]!) & mask) !== 0) return false;
  }
  return true;
}
