import { lookup } from 'node:dns/promises';
import { DEFAULT_ALTERNATE_PORT, DEFAULT_PORT } from '../../shared/default-ports.ts';
import {
  canonicalAddress,
  familyOf,
  type Endpoint,
  type Family,
  type HostPort,
} from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { allWithGrace } from './grace.ts';
import { systemErrorCode } from './udp.ts';

/** Once one name has resolved, the others of a list get this much longer. */
const OTHER_NAMES_GRACE_MS = 1000;

/** The first address of each family that a name has. */
export type Addresses = Readonly<Partial<Record<Family, Endpoint>>>;

export interface ResolvedServers {
  readonly addresses: readonly Addresses[];
  /** Hosts that did not resolve, in the order given. */
  readonly unresolved: readonly string[];
}

/**
 * The addresses of each server. A name that doesn't resolve is left out as long as another does.
 * Rejects with ERR_RESOLVE if none does within `timeoutMs`. Literal addresses ask nobody.
 */
export async function resolveServers(
  servers: readonly HostPort[],
  timeoutMs: number,
): Promise<ResolvedServers> {
  const lookups = servers.map((server) => resolveOne(server, DEFAULT_PORT, timeoutMs));
  const results = await allWithGrace(
    lookups,
    (result) => result.kind === 'resolved',
    () => OTHER_NAMES_GRACE_MS,
  );
  const addresses: Addresses[] = [];
  const unresolved: string[] = [];
  let failure: NatprobeError | undefined;
  results.forEach((result, index) => {
    if (result?.kind === 'resolved') addresses.push(result.addresses);
    else unresolved.push(servers[index]!.host);
    if (result?.kind === 'failed') failure ??= result.error;
  });
  if (addresses.length === 0 && failure !== undefined) throw failure;
  return { addresses, unresolved };
}

/** The servers that resolved, each with its addresses. */
export function namedAddresses(
  servers: readonly HostPort[],
  { addresses, unresolved }: ResolvedServers,
): { readonly host: HostPort; readonly addresses: Addresses }[] {
  return servers
    .filter(({ host }) => !unresolved.includes(host))
    .map((host, index) => ({ host, addresses: addresses[index]! }));
}

/** The addresses of `--alt`, whose port is 3479 if not given. Rejects with ERR_RESOLVE. */
export async function resolveAlternate(alternate: HostPort, timeoutMs: number): Promise<Addresses> {
  const result = await resolveOne(alternate, DEFAULT_ALTERNATE_PORT, timeoutMs);
  if (result.kind === 'failed') throw result.error;
  return result.addresses;
}

/** All addresses of a server's name, one of each family at a time; none if it doesn't resolve. */
export async function resolveEach(server: HostPort, timeoutMs: number): Promise<readonly Addresses[]> {
  const result = await resolveOne(server, DEFAULT_PORT, timeoutMs);
  return result.kind === 'failed' ? [] : [result.addresses, ...result.others];
}

type Resolution =
  | { readonly kind: 'resolved'; readonly addresses: Addresses; readonly others: readonly Addresses[] }
  | { readonly kind: 'failed'; readonly error: NatprobeError };

async function resolveOne(server: HostPort, defaultPort: number, timeoutMs: number): Promise<Resolution> {
  const port = server.port ?? defaultPort;
  const literal = canonicalAddress(server.host);
  if (literal !== undefined) {
    return { kind: 'resolved', addresses: { [familyOf(literal)]: { address: literal, port } }, others: [] };
  }
  let timer: NodeJS.Timeout | undefined;
  // The system's resolver can't be cancelled; a late answer is dropped.
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs);
  });
  try {
    const found = await Promise.race([lookup(server.host, { all: true, order: 'verbatim' }), late]);
    const each: Partial<Record<Family, Endpoint>>[] = [];
    for (const { address: text } of found) {
      const address = canonicalAddress(text);
      if (address === undefined) continue;
      const family = familyOf(address);
      const place = each.find((addresses) => addresses[family] === undefined);
      if (place === undefined) each.push({ [family]: { address, port } });
      else place[family] = { address, port };
    }
    const [addresses = {}, ...others] = each;
    return { kind: 'resolved', addresses, others };
  } catch (error) {
    const code = systemErrorCode(error);
    const detail = error instanceof Error && code === 'Error' ? error.message : code;
    return { kind: 'failed', error: new NatprobeError('ERR_RESOLVE', server.host, detail, { cause: error }) };
  } finally {
    clearTimeout(timer);
  }
}
