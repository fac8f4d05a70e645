/** A mapping by the router, tried from outside. */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { type Endpoint, formatEndpoint, type HostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import { unknownAxis } from '../../shared/nat/axis.ts';
import {
  type Evidence,
  PORT_MAPPER_PROTOCOLS,
  type PortMapperError,
  type PortMapperProtocol,
} from '../../shared/nat/evidence.ts';
import { assessPortMapping, type PortMappingAxis } from '../../shared/nat/port-mapping.ts';
import type { MapAnswer, Transport } from '../../shared/portmap/mapping.ts';
import type { MappedPort, MapRefusal } from '../../shared/report/port-mapping.ts';
import { createInquiry } from '../classify/inquiry.ts';
import { planPortMapping, PORT_MAPPING_TIMEOUT_MS } from '../classify/inquiries/port-mapping.ts';
import type { PortMapper } from '../classify/port-mappers/io.ts';
import { routerOf } from './layers.ts';
import { findPortMappers, mappingHandle, type MappingHandle } from './port-mappers.ts';
import { resolveServers } from './resolve.ts';
import { runProbe } from './run-probe.ts';
import { inspectInterfaces } from './system-facts.ts';
import { localAddressTowards, systemErrorCode } from './udp.ts';

/** Long enough for the verification; what an ended process could not remove is gone soon. */
export const TRIAL_LIFETIME_SECONDS = 120;
/** RFC 6886 §3.3 recommends two hours. */
export const KEPT_LIFETIME_SECONDS = 7200;
/** The least time between two packets that open a NAT binding. */
const PACE_MS = 5;
const RESOLVE_TIMEOUT_MS = 5000;

export interface MapPortOptions {
  /** A natprobed: it sends to the mapped port from another endpoint, and says by a receipt that it did. */
  readonly server: HostPort;
  readonly localPort: number;
  /** The application's own socket, bound to `localPort`; it stays open. Else the port is bound for the time of the test. */
  readonly socket?: Socket;
  /** `udp` if not given. Over TCP the mapping is made and not verified. */
  readonly transport?: Transport;
  /** Wished; the local port if not given. The router may choose another. */
  readonly externalPort?: number;
  /** Only this protocol; else PCP, NAT-PMP and UPnP in turn. */
  readonly protocol?: PortMapperProtocol;
  /** Leave the mapping in the router: `lifetimeSeconds` says for how long. */
  readonly keep?: boolean;
  readonly lifetimeSeconds?: number;
  readonly signal?: AbortSignal;
}

/**
 * Has the router map a port of this machine (IPv4), has the server send to it from an endpoint that
 * nothing here has contacted, and removes the mapping unless it is to be kept.
 *
 * The mapping is also removed when `signal` aborts or anything fails. NAT-PMP knows one mapping for
 * each port of this machine: one that was there before is taken over, and goes with it. Rejects with ERR_RESOLVE,
 * ERR_UNREACHABLE, ERR_NO_PORT_MAPPER, ERR_MAPPING_REFUSED, ERR_LOCAL_PORT, ERR_ABORTED.
 */
export async function mapPort(options: MapPortOptions): Promise<MappedPort> {
  return (await makeMapping(options)).mapped;
}

/** A mapping that is in the router until it is let go of. */
export interface HeldMapping {
  readonly mapped: MappedPort;
  /** Renews it no more, and removes it unless it is to be kept. Never rejects. */
  release(): Promise<void>;
}

/** As mapPort, with a mapping that stays, and is renewed before its lifetime has passed (RFC 6886 §3.3). */
export async function holdMapping(
  options: MapPortOptions & { readonly keep: boolean },
): Promise<HeldMapping> {
  const { mapped, handle } = await makeMapping({ ...options, keep: true });
  const { lifetimeSeconds } = mapped;
  const renewal =
    lifetimeSeconds === 'unlimited'
      ? undefined
      : // A router that doesn't answer now is asked again after as long.
        setInterval(() => void handle.add().catch(() => undefined), (lifetimeSeconds / 2) * 1000).unref();
  let released: Promise<unknown> | undefined;
  return {
    mapped,
    async release() {
      clearInterval(renewal);
      if (!options.keep) await (released ??= handle.remove().catch(() => undefined));
    },
  };
}

interface MadeMapping {
  readonly mapped: MappedPort;
  readonly handle: MappingHandle;
}

async function makeMapping(options: MapPortOptions): Promise<MadeMapping> {
  const { signal, localPort, transport = 'udp', keep = false } = options;
  const server = await serverEndpoint(options.server);
  const local = { address: await addressTowards(server), port: localPort };
  const interfaces = await inspectInterfaces(server, local.address);
  const gateway = routerOf(interfaces);
  const place = `port ${localPort}`;
  if (gateway === undefined) throw new NatprobeError('ERR_NO_PORT_MAPPER', place, 'there is no router');
  const run = { gateway, ...(signal === undefined ? {} : { signal }) };
  const mappers = inOrderOfWorth(await findPortMappers(run), options.protocol);
  if (mappers.length === 0) throw new NatprobeError('ERR_NO_PORT_MAPPER', place, `${gateway} has none`);

  const refusals: MapRefusal[] = [];
  for (const mapper of mappers) {
    const { protocol } = mapper.evidence;
    const handle = mappingHandle(mapper, run, {
      transport,
      internalAddress: local.address,
      internalPort: localPort,
      externalPort: options.externalPort ?? localPort,
      lifetimeSeconds: options.lifetimeSeconds ?? (keep ? KEPT_LIFETIME_SECONDS : TRIAL_LIFETIME_SECONDS),
    });
    const attempt = await tryMapping(handle, keep, signal, (mapped) =>
      transport === 'udp'
        ? verify(server, mapped.externalPort, options)
        : Promise.resolve({ verification: UNVERIFIED_TCP, evidence: [] }),
    );
    if (attempt.kind === 'refused') {
      refusals.push({ protocol, error: attempt.error });
      continue;
    }
    const { mapped, removal, verification, evidence } = attempt;
    const address = mapped.externalAddress ?? mapper.evidence.externalAddress;
    const made: MappedPort = {
      protocol,
      gateway: mapper.evidence.gateway,
      transport,
      local,
      external: { port: mapped.externalPort, ...(address === undefined ? {} : { address }) },
      lifetimeSeconds: mapped.lifetimeSeconds,
      verification,
      removal,
      refusals,
      evidence: [...interfaces, ...mappers.map((item) => item.evidence), ...evidence],
    };
    return { mapped: made, handle };
  }
  const why = refusals.map(({ protocol, error }) => `${protocol}: ${error}`).join(', ');
  throw new NatprobeError('ERR_MAPPING_REFUSED', place, why);
}

type Mapped = Extract<MapAnswer, { kind: 'mapped' }>;

interface Verified {
  readonly verification: PortMappingAxis;
  readonly evidence: readonly Evidence[];
}

type Attempt =
  | { readonly kind: 'refused'; readonly error: PortMapperError }
  | ({
      readonly kind: 'tried';
      readonly mapped: Mapped;
      readonly removal: MappedPort['removal'];
    } & Verified);

/** Whatever happens in between, what the router may have mapped is removed, unless it was wished and kept. */
async function tryMapping(
  handle: MappingHandle,
  keep: boolean,
  signal: AbortSignal | undefined,
  use: (mapped: Mapped) => Promise<Verified>,
): Promise<Attempt> {
  let verified: Verified;
  let mapped: MapAnswer;
  try {
    mapped = await handle.add(signal);
    if (mapped.kind === 'refused') {
      // A request without an answer may have been carried out.
      if (mapped.error === 'silent') await handle.remove();
      return mapped;
    }
    verified = await use(mapped);
  } catch (error) {
    await handle.remove();
    throw error;
  }
  const removal = keep ? 'kept' : isRemoved(await handle.remove()) ? 'removed' : 'left';
  return { kind: 'tried', mapped, removal, ...verified };
}

/** A router may consent, and keep the mapping for a while (RFC 6887 §15). */
function isRemoved(answer: MapAnswer): boolean {
  return answer.kind === 'mapped' && answer.lifetimeSeconds === 0;
}

async function verify(
  server: Endpoint,
  externalPort: number,
  { localPort, socket, signal }: MapPortOptions,
): Promise<Verified> {
  const machine = createInquiry(
    {
      family: 'ipv4',
      servers: [server],
      localPort,
      timeoutMs: PORT_MAPPING_TIMEOUT_MS,
      paceMs: PACE_MS,
      random: randomBytes,
    },
    planPortMapping({ server, externalPort }),
  );
  const { evidence } = await runProbe(machine, {
    ...(socket === undefined ? {} : { socket }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { verification: assessPortMapping(evidence), evidence };
}

const UNVERIFIED_TCP: PortMappingAxis = unknownAxis(
  'port-mapping-tcp',
  'not tried from outside: a server connects to nobody but who is connected to it',
);

/** Those that have said that they can't come last. */
function inOrderOfWorth(
  mappers: readonly PortMapper[],
  protocol: PortMapperProtocol | undefined,
): PortMapper[] {
  const worth = ({ evidence }: PortMapper): number =>
    PORT_MAPPER_PROTOCOLS.indexOf(evidence.protocol) + (evidence.error === undefined ? 0 : 10);
  return mappers
    .filter(({ evidence }) => protocol === undefined || evidence.protocol === protocol)
    .toSorted((a, b) => worth(a) - worth(b));
}

async function serverEndpoint(server: HostPort): Promise<Endpoint> {
  const { addresses } = await resolveServers([server], RESOLVE_TIMEOUT_MS);
  const endpoint = addresses[0]?.ipv4;
  if (endpoint === undefined)
    throw new NatprobeError('ERR_UNREACHABLE', server.host, 'port mappings are tried over IPv4');
  return endpoint;
}

async function addressTowards(server: Endpoint): Promise<string> {
  try {
    return await localAddressTowards(server);
  } catch (error) {
    const detail = `no way there: ${systemErrorCode(error)}`;
    throw new NatprobeError('ERR_UNREACHABLE', formatEndpoint(server), detail, { cause: error });
  }
}
