/** Where a server's HTTP API is, as it says over STUN (SERVICE). */
import { randomBytes } from 'node:crypto';
import { familyOf, type Endpoint, type HostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { GivenService } from '../classify/enclosures.ts';
import { createInquiry } from '../classify/inquiry.ts';
import { planService, SERVICE_TIMEOUT_MS } from '../classify/inquiries/service.ts';
import { type Addresses, namedAddresses, resolveEach, resolveServers } from './resolve.ts';
import { runProbe } from './run-probe.ts';

const PACE_MS = 5;

/** A server by its API and by its STUN endpoints. */
export interface FoundServer {
  readonly api: URL;
  readonly addresses: Addresses;
}

/**
 * Asks the servers in turn, and resolves with the address of the first API that is named. Rejects with
 * ERR_NO_API if none is, ERR_RESOLVE, ERR_ABORTED.
 */
export async function findApi(servers: readonly HostPort[], signal?: AbortSignal): Promise<URL> {
  return (await findServer(servers, undefined, signal)).api;
}

/** As findApi, with the server that it is of. An API that is given is the first server's, and nobody is asked. */
export async function findServer(
  servers: readonly HostPort[],
  api: URL | undefined,
  signal?: AbortSignal,
): Promise<FoundServer> {
  const resolved = await resolveServers(servers, SERVICE_TIMEOUT_MS);
  for (const { host, addresses } of namedAddresses(servers, resolved)) {
    if (api !== undefined) return { api, addresses };
    const service = await askForService(addresses, signal);
    if (service !== undefined) return { api: apiUrlOf(host, service), addresses };
  }
  throw noApi(servers);
}

/**
 * Another way to the broker, once the connection to it is lost: of all addresses of all servers the one in that
 * turn, or the next one after it that answers. Where there is but one, `known` is its API, and nobody is asked.
 * Rejects as findServer does.
 */
export async function findServerAgain(
  servers: readonly HostPort[],
  turn: number,
  known: URL,
  signal?: AbortSignal,
): Promise<FoundServer> {
  const resolved = await Promise.all(
    servers.map(async (host) => {
      const each = await resolveEach(host, SERVICE_TIMEOUT_MS);
      return each.map((addresses) => ({ host, addresses }));
    }),
  );
  const places = resolved.flat();
  const [only] = places;
  if (only !== undefined && places.length === 1) return { api: known, addresses: only.addresses };
  for (let index = 0; index < places.length; index++) {
    const { host, addresses } = places[(turn + index) % places.length]!;
    const service = await askForService(addresses, signal);
    if (service !== undefined) return { api: apiUrlOf(host, service), addresses };
  }
  throw noApi(servers);
}

/** The first API that one of the named servers has told of in passing. Throws ERR_NO_API. */
export function chooseApi(
  named: readonly { readonly host: HostPort; readonly addresses: Addresses }[],
  services: readonly GivenService[],
): URL {
  for (const { host, addresses } of named) {
    const service = services.find(({ server: { address } }) =>
      [addresses.ipv4?.address, addresses.ipv6?.address].includes(address),
    );
    if (service !== undefined) return apiUrlOf(host, service);
  }
  const [only, ...others] = named;
  const [first] = services;
  // Said from the server's other address; of several servers it could be any one's.
  if (only !== undefined && others.length === 0 && first !== undefined) return apiUrlOf(only.host, first);
  throw noApi(named.map(({ host }) => host));
}

/** What a server says of its API over one family, or else over the other: HTTP may be in either alone. */
export async function askForService(
  { ipv4, ipv6 }: Addresses,
  signal?: AbortSignal,
): Promise<GivenService | undefined> {
  return (ipv4 && (await askOne(ipv4, signal))) ?? (ipv6 && (await askOne(ipv6, signal)));
}

/** The API on the host as it was named: a host taken from unauthenticated UDP would be a trap. */
function apiUrlOf({ host }: HostPort, { scheme, port }: Omit<GivenService, 'server'>): URL {
  return new URL(`${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}/`);
}

function noApi(servers: readonly HostPort[]): NatprobeError {
  return new NatprobeError('ERR_NO_API', servers.map(({ host }) => host).join(', '));
}

async function askOne(server: Endpoint, signal?: AbortSignal): Promise<GivenService | undefined> {
  const machine = createInquiry(
    {
      family: familyOf(server.address),
      servers: [server],
      timeoutMs: SERVICE_TIMEOUT_MS,
      paceMs: PACE_MS,
      random: randomBytes,
      enclosures: { service: true },
    },
    planService(),
  );
  const { enclosures } = await runProbe(machine, signal === undefined ? {} : { signal });
  return enclosures?.services[0];
}
