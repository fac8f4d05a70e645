/**
 * What natprobed is told, checked: flags and this machine's addresses in, a configuration out.
 * Pure; every mistake is a NatprobeError that names the flag.
 */
import { type Family, canonicalAddress, familyOf, formatEndpoint, parsePort } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import type { ServerRole } from '../shared/role.ts';
import { DEFAULT_ALTERNATE_PORT, DEFAULT_PORT } from '../shared/default-ports.ts';
import type { AnswerLimits } from './answer/answer-guard.ts';
import { type LimitFlags, readAnswerLimits } from './answer/limit-settings.ts';
import type { RoleEndpoints } from './answer/role-endpoints.ts';
import { type HttpConfig, readHttp, readService, type Service } from './http/endpoint.ts';
import { type AccessFlags, type AccessSettings, readAccessSettings } from './http/settings.ts';
import { type ReportFlags, type ReportSettings, readReportSettings } from './reports/settings.ts';
import { type PeeringFlags, type PeeringSettings, readPeeringSettings } from './peering/settings.ts';
import { type NatsFlags, type NatsSettings, readNatsSettings } from './nats/settings.ts';
import { type PairFlags, type PairSettings, readPairSettings } from './pair/settings.ts';
import { type LocalAddress, chooseAddresses, isLocalAddress } from './local-addresses.ts';
import type { LaneCount } from './udp/open-udp.ts';
import { readTlsSettings, type TlsFiles, type TlsFlags } from './tls/settings.ts';

/** The command line's options, as typed. */
export interface ServerFlags
  extends ReportFlags, AccessFlags, TlsFlags, PeeringFlags, LimitFlags, NatsFlags, PairFlags {
  readonly ip?: readonly string[];
  readonly altIp?: readonly string[];
  readonly port?: string;
  readonly altPort?: string;
  /** PRIVATE=PUBLIC. */
  readonly advertise?: readonly string[];
  /** HOST[:PORT], or false for none. */
  readonly http?: string | false;
  readonly publicUrl?: string;
  readonly witnessKeyFile?: string;
  readonly selfTest?: boolean;
  readonly lanes?: string;
}

export interface FamilyConfig {
  readonly family: Family;
  /** Where the sockets are. */
  readonly bound: RoleEndpoints;
  /** What clients are told: the same, but behind 1:1 NAT. */
  readonly advertised: RoleEndpoints;
}

export interface ServerConfig {
  readonly families: readonly FamilyConfig[];
  readonly http?: HttpConfig;
  /** What SERVICE names, to those whom isServiceAt finds there. */
  readonly service?: Service;
  /** Who may ask over HTTP, and how often; by default as without flags. */
  readonly access?: AccessSettings;
  /** Besides those of a file, separated by white space or commas. */
  readonly tokens?: string;
  /** For HTTP, and for STUN where each family's part of `families` says. */
  readonly tls?: TlsFiles & { readonly families: readonly FamilyConfig[] };
  /** Keys that servers share; without it the server makes its own. */
  readonly witnessKeyFile?: string;
  /** What peers need to join, and where they may be relayed; nothing and nowhere if absent. */
  readonly peering?: PeeringSettings;
  /** Over which it works with other servers; alone if absent. */
  readonly nats?: NatsSettings;
  /** With whom it has two addresses; then `nats` and `witnessKeyFile` are there, and each family has one address. */
  readonly pair?: PairSettings;
  /** In memory if absent. */
  readonly reports?: ReportSettings;
  /** Where clients reach HTTP, if not at the address that they ask. */
  readonly publicUrl?: string;
  readonly selfTest: boolean;
  /** How many threads answer UDP by batched system calls; none if absent. `auto`: one a core, if there can be any. */
  readonly lanes?: LaneCount;
  /** How much is answered over UDP; all of it if absent. */
  readonly answerLimits?: AnswerLimits;
}

/** As many as SO_REUSEPORT needs for the cores of large machines. */
const MOST_LANES = 256;
const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
/** For people. */
export const FAMILY_LABELS: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** The flag that an endpoint's address, or its port, was given with. */
export function addressFlag(role: ServerRole): '--ip' | '--alt-ip' {
  return role >= 2 ? '--alt-ip' : '--ip';
}
export function portFlag(role: ServerRole): '--port' | '--alt-port' {
  return (role & 1) === 1 ? '--alt-port' : '--port';
}

/**
 * Throws NatprobeError: ERR_USAGE, ERR_ADDRESS, ERR_ENDPOINT, ERR_PORT, ERR_NUMBER, ERR_URL, ERR_NATS, ERR_PAIR_NAME, ERR_FLAGS or
 * ERR_ADDRESS_NOT_LOCAL,
 * or as readReportSettings, readAccessSettings and readPeeringSettings.
 */
export function configureServer(flags: ServerFlags, local: readonly LocalAddress[]): ServerConfig {
  const port = flags.port === undefined ? DEFAULT_PORT : parsePort(flags.port, '--port');
  const alternatePort =
    flags.altPort === undefined ? DEFAULT_ALTERNATE_PORT : parsePort(flags.altPort, '--alt-port');
  if (port === alternatePort) {
    throw new NatprobeError('ERR_FLAGS', '--alt-port', `the same as --port, ${port}; it takes two ports`);
  }
  const pair = readPairSettings(flags);
  const found = readAddresses(flags, local);
  const addresses = pair === undefined ? found : found.map((item) => ({ ...item, alternate: undefined }));
  const advertise = readAdvertise(flags.advertise ?? [], addresses);
  const families = familiesOn(addresses, advertise, [port, alternatePort]);
  const http = readHttp(flags.http);
  if (http === undefined) refuseHttpFlags(flags);
  const nats = readNatsSettings(flags);
  const tls = readTlsSettings(flags, [port, alternatePort]);
  const service = readService({
    publicUrl: flags.publicUrl,
    http,
    scheme: tls === undefined ? 'http' : 'https',
    addresses: families.map(({ bound }) => bound[0].address),
  });
  return {
    families,
    ...(http !== undefined && { http }),
    ...(service !== undefined && { service }),
    ...(flags.publicUrl !== undefined && { publicUrl: flags.publicUrl }),
    ...(flags.witnessKeyFile !== undefined && { witnessKeyFile: flags.witnessKeyFile }),
    ...(tls && {
      tls: {
        certFile: tls.certFile,
        keyFile: tls.keyFile,
        families: familiesOn(addresses, advertise, [tls.port, tls.alternatePort]),
      },
    }),
    ...(nats && { nats }),
    ...(pair && { pair }),
    access: readAccessSettings(flags),
    answerLimits: readAnswerLimits(flags),
    peering: readPeeringSettings(flags),
    reports: readReportSettings(flags),
    selfTest: flags.selfTest ?? true,
    lanes: readLanes(flags.lanes),
  };
}

function readLanes(text: string | undefined): LaneCount {
  if (text === undefined) return 'auto';
  if (!/^\d{1,3}$/.test(text) || Number(text) > MOST_LANES) {
    const detail = `got ${JSON.stringify(text)}; it takes a whole number from 0 to ${MOST_LANES}`;
    throw new NatprobeError('ERR_NUMBER', '--lanes', detail);
  }
  return Number(text);
}

/** Those that say nothing where there is no HTTP, but would seem to. */
function refuseHttpFlags({
  cors,
  trustProxy,
  readRateLimit,
  tokenFile,
  metricsPublic,
  relay,
}: ServerFlags): void {
  const given = {
    '--cors': cors,
    '--trust-proxy': trustProxy,
    '--read-rate-limit': readRateLimit,
    '--token-file': tokenFile,
    '--metrics-public': metricsPublic,
    '--relay': relay,
  };
  const [flag] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (flag !== undefined)
    throw new NatprobeError('ERR_FLAGS', flag, 'it is for HTTP, which --no-http turns off');
}

function familiesOn(
  addresses: readonly FamilyAddresses[],
  advertise: ReadonlyMap<string, string>,
  [port, alternatePort]: readonly [number, number],
): FamilyConfig[] {
  return addresses.map(({ family, primary, alternate }) => {
    const publicAlternate = alternate === undefined ? undefined : (advertise.get(alternate) ?? alternate);
    return {
      family,
      bound: roleEndpoints(primary, alternate, port, alternatePort),
      advertised: roleEndpoints(advertise.get(primary) ?? primary, publicAlternate, port, alternatePort),
    };
  });
}

/** The four endpoints of two addresses and two ports, or the two of one address. */
export function roleEndpoints(
  primary: string,
  alternate: string | undefined,
  port: number,
  alternatePort: number,
): RoleEndpoints {
  return [
    { address: primary, port },
    { address: primary, port: alternatePort },
    alternate === undefined ? undefined : { address: alternate, port },
    alternate === undefined ? undefined : { address: alternate, port: alternatePort },
  ];
}

interface FamilyAddresses {
  readonly family: Family;
  readonly primary: string;
  readonly alternate: string | undefined;
}

/** The addresses given, or without --ip those that the machine offers. */
function readAddresses(flags: ServerFlags, local: readonly LocalAddress[]): FamilyAddresses[] {
  const primaries = readPerFamily(flags.ip ?? [], '--ip', local);
  const alternates = readPerFamily(flags.altIp ?? [], '--alt-ip', local);
  if (primaries.size === 0 && alternates.size === 0) return chooseAddresses(local);
  return FAMILIES.flatMap((family) => {
    const primary = primaries.get(family);
    const alternate = alternates.get(family);
    if (primary === undefined) {
      if (alternate === undefined) return [];
      throw new NatprobeError('ERR_FLAGS', '--alt-ip', `${alternate} needs an ${FAMILY_LABELS[family]} --ip`);
    }
    if (primary === alternate) {
      throw new NatprobeError(
        'ERR_FLAGS',
        '--alt-ip',
        `the same as --ip, ${primary}; it takes two addresses`,
      );
    }
    return [{ family, primary, alternate }];
  });
}

function readPerFamily(
  texts: readonly string[],
  flag: '--ip' | '--alt-ip',
  local: readonly LocalAddress[],
): Map<Family, string> {
  const addresses = new Map<Family, string>();
  for (const text of texts) {
    const address = readAddress(text, flag);
    const family = familyOf(address);
    if (addresses.has(family)) {
      throw new NatprobeError('ERR_FLAGS', flag, `given twice for ${FAMILY_LABELS[family]}`);
    }
    if (!isLocalAddress(address, local)) {
      const own = local.filter((item) => item.family === family).map((item) => item.address);
      const has = own.length === 0 ? `no ${FAMILY_LABELS[family]} address` : own.join(', ');
      throw new NatprobeError('ERR_ADDRESS_NOT_LOCAL', flag, `got ${address}; it has ${has}`);
    }
    addresses.set(family, address);
  }
  return addresses;
}

function readAddress(text: string, place: string): string {
  const address = canonicalAddress(text);
  if (address === undefined) {
    throw new NatprobeError('ERR_ADDRESS', place, `got ${JSON.stringify(text)}`);
  }
  if (/^fe[89ab]/.test(address)) {
    throw new NatprobeError('ERR_ADDRESS', place, `${address} is link-local: give one that others can reach`);
  }
  return address;
}

/** Public addresses by the private ones that they stand for. */
function readAdvertise(
  texts: readonly string[],
  addresses: readonly FamilyAddresses[],
): ReadonlyMap<string, string> {
  const ours = addresses.flatMap(({ primary, alternate }) => [primary, alternate]);
  const advertise = new Map<string, string>();
  for (const text of texts) {
    const [privateText = '', publicText] = text.split('=');
    if (publicText === undefined || text.split('=').length !== 2) {
      const detail = `got ${JSON.stringify(text)}; it takes PRIVATE=PUBLIC, as in 10.0.0.4=192.0.2.1`;
      throw new NatprobeError('ERR_USAGE', '--advertise', detail);
    }
    const privateAddress = readAddress(privateText, '--advertise');
    const publicAddress = readAddress(publicText, '--advertise');
    if (!ours.includes(privateAddress)) {
      const detail = `${privateAddress} is none of the addresses served: ${ours.filter(Boolean).join(', ')}`;
      throw new NatprobeError('ERR_FLAGS', '--advertise', detail);
    }
    if (familyOf(privateAddress) !== familyOf(publicAddress)) {
      throw new NatprobeError('ERR_FLAGS', '--advertise', `${text} mixes IPv4 and IPv6`);
    }
    if (advertise.has(privateAddress)) {
      throw new NatprobeError('ERR_FLAGS', '--advertise', `${privateAddress} is there twice`);
    }
    advertise.set(privateAddress, publicAddress);
  }
  for (const { primary, alternate } of addresses) {
    if (alternate === undefined) continue;
    const advertised = advertise.get(primary) ?? primary;
    if (advertised === (advertise.get(alternate) ?? alternate)) {
      const detail = `both addresses would be ${advertised}; the second one needs its own`;
      throw new NatprobeError('ERR_FLAGS', '--advertise', detail);
    }
  }
  return advertise;
}

/** For people: `192.0.2.1:3478, 192.0.2.1:3479, ...`, with the public ones where they differ. */
export function describeEndpoints({ bound, advertised }: FamilyConfig): string {
  return bound
    .flatMap((endpoint, role) => {
      if (endpoint === undefined) return [];
      const text = formatEndpoint(endpoint);
      const publicText = formatEndpoint(advertised[role as ServerRole]!);
      return [text === publicText ? text : `${text} (advertised as ${publicText})`];
    })
    .join(', ');
}
