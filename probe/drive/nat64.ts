/** Which prefixes the network of this machine leads from IPv6 to IPv4 by, as its DNS shows (RFC 7050). */
import { Resolver } from 'node:dns/promises';
import {
  IPV4_ONLY_NAME,
  prefixesOfAnswer,
  type Nat64Prefix,
  WELL_KNOWN_NAT64_PREFIX,
} from '../../shared/nat64.ts';
import { findNoRoute } from './udp.ts';

/** A resolver of the same network answers at once; one that has to ask the root's takes some hundred. */
const LOOKUP_TIMEOUT_MS = 1000;
const LOOKUP_TRIES = 2;
/** Whether there is a way to it tells whether there is IPv6 at all; nothing is sent to it. */
const ANY_UNDER_PREFIX = { address: WELL_KNOWN_NAT64_PREFIX.address, port: 53 };

/**
 * The prefixes by which ipv4only.arpa resolves to IPv6, in the order of the answer; none where there is no
 * DNS64, or no answer in a second. Without IPv6 nobody is asked.
 */
export async function discoverNat64Prefixes(): Promise<readonly Nat64Prefix[]> {
  if ((await findNoRoute(ANY_UNDER_PREFIX)) !== undefined) return [];
  const resolver = new Resolver({ timeout: LOOKUP_TIMEOUT_MS / LOOKUP_TRIES, tries: LOOKUP_TRIES });
  const timer = setTimeout(() => resolver.cancel(), LOOKUP_TIMEOUT_MS);
  try {
    return prefixesOfAnswer(await resolver.resolve6(IPV4_ONLY_NAME));
  } catch {
    // No such record, no server, no answer: all are what it is like without a DNS64.
    return [];
  } finally {
    clearTimeout(timer);
  }
}
