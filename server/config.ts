/**
 * What natprobed is told, checked: flags and this machine's addresses in, a configuration out.
 * Pure; every mistake is a NatprobeError that names the flag.
 */
import {
  type Family,
  canonicalAddress,
  familyOf,
  formatEndpoint,
  parseHostPort,
  parsePort,
} from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import { parseHttpUrl } from '../shared/http-url.ts';
import type { ServerRole } from '../shared/role.ts';
import { DEFAULT_ALTERNATE_PORT, DEFAULT_HTTP_PORT, DEFAULT_PORT } from '../shared/default-ports.ts';
import type { RoleEndpoints } from './answer/role-endpoints.ts';
import { DEFAULT_HTTP_HOST } from './default-http.ts';
import { type ReportFlags, type ReportSettings, readReportSettings } from './reports/settings.ts';
import { type LocalAddress, chooseAddresses, isLocalAddress, isLoopback } from './local-addresses.ts';

/** The command line's options, as typed. */
export interface ServerFlags extends ReportFlags {
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
}

export interface FamilyConfig {
  readonly family: Family;
  /** Where the sockets are. */
  readonly bound: RoleEndpoints;
  /** What clients are told: the same, but behind 1:1 NAT. */
  readonly advertised: RoleEndpoints;
}

export interface HttpConfig {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Asked for: then a port that is taken is an error, else it is logged and HTTP stays off. */
  readonly required: boolean;
}

export interface ServerConfig {
  readonly families: readonly FamilyConfig[];
  readonly http?: HttpConfig;
  /** What SERVICE names: the scheme and port of the HTTP API as clients reach it. */
  readonly service?: { readonly scheme: 'http' | 'https'; readonly port: number };
  /** Keys that servers share; without it the server makes its own. */
  readonly witnessKeyFile?: string;
  /** In memory if absent. */
  readonly reports?: ReportSettings;
  /** Where clients reach HTTP, if not at the address that they ask. */
  readonly publicUrl?: string;
  readonly selfTest: boolean;
}

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];
const FAMILY_LABELS: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** The flag that an endpoint's address, or its port, was given with. */
export function addressFlag(role: ServerRole): '--ip' | '--alt-ip' {
  return role >= 2 ? '--alt-ip' : '--ip';
}
export function portFlag(role: ServerRole): '--port' | '--alt-port' {
  return (role & 1) === 1 ? '--alt-port' : '--port';
}

/** Throws NatprobeError: ERR_ENDPOINT, ERR_PORT, ERR_URL, ERR_FLAGS or ERR_ADDRESS_NOT_LOCAL, or as readReportSettings. */
export function configureServer(flags: ServerFlags, local: readonly LocalAddress[]): ServerConfig {
  const port = flags.port === undefined ? DEFAULT_PORT : parsePort(flags.port, '--port');
  const alternatePort =
    flags.altPort === undefined ? DEFAULT_ALTERNATE_PORT : parsePort(flags.altPort, '--alt-port');
  if (port === alternatePort) {
    throw new NatprobeError('ERR_FLAGS', '--alt-port', `the same as --port, ${port}; it takes two ports`);
  }
  const addresses = readAddresses(flags, local);
  const advertise = readAdvertise(flags.advertise ?? [], addresses);
  const families = addresses.map(({ family, primary, alternate }): FamilyConfig => {
    const bound = roleEndpoints(primary, alternate, port, alternatePort);
    const publicAlternate = alternate === undefined ? undefined : (advertise.get(alternate) ?? alternate);
    return {
      family,
      bound,
      advertised: roleEndpoints(advertise.get(primary) ?? primary, publicAlternate, port, alternatePort),
    };
  });
  const http = readHttp(flags.http);
  const service = readService(flags.publicUrl, http, families);
  return {
    families,
    ...(http !== undefined && { http }),
    ...(service !== undefined && { service }),
    ...(flags.publicUrl !== undefined && { publicUrl: flags.publicUrl }),
    ...(flags.witnessKeyFile !== undefined && { witnessKeyFile: flags.witnessKeyFile }),
    reports: readReportSettings(flags),
    selfTest: flags.selfTest ?? true,
  };
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
    throw new NatprobeError('ERR_ENDPOINT', place, `got ${JSON.stringify(text)}; it takes an IP address`);
  }
  if (/^fe[89ab]/.test(address)) {
    throw new NatprobeError(
      'ERR_ENDPOINT',
      place,
      `${address} is link-local: give one that others can reach`,
    );
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
      const detail = `got ${JSON.stringify(text)}; it takes PRIVATE=PUBLIC`;
      throw new NatprobeError('ERR_ENDPOINT', '--advertise', detail);
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

function readHttp(flag: string | false | undefined): HttpConfig | undefined {
  if (flag === false) return undefined;
  if (flag === undefined) return { host: DEFAULT_HTTP_HOST, port: DEFAULT_HTTP_PORT, required: false };
  const { host, port } = parseHostPort(flag, '--http');
  return { host, port: port ?? DEFAULT_HTTP_PORT, required: true };
}

/**
 * SERVICE says only scheme and port, the host being the one that the client asked. So without
 * --public-url it is given only if HTTP is on the STUN addresses.
 */
function readService(
  publicUrl: string | undefined,
  http: HttpConfig | undefined,
  families: readonly FamilyConfig[],
): ServerConfig['service'] {
  if (publicUrl !== undefined) return serviceOfUrl(publicUrl);
  if (http === undefined) return undefined;
  const { host, port } = http;
  const sharesHost =
    host === '0.0.0.0' ||
    host === '::' ||
    families.some(({ bound }) => bound[0].address === host) ||
    (isLoopback(host) && families.every(({ bound }) => isLoopback(bound[0].address)));
  return sharesHost ? { scheme: 'http', port } : undefined;
}

function serviceOfUrl(text: string): ServerConfig['service'] {
  const url = parseHttpUrl(text, '--public-url');
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  return { scheme, port: url.port === '' ? (scheme === 'http' ? 80 : 443) : Number(url.port) };
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
