/** What this machine knows of its own network: interfaces, and the router on the way to a server. */
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { endianness, networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { promisify } from 'node:util';
import { type Endpoint, type Family, familyOf } from '../../shared/endpoint.ts';
import type { InterfaceEvidence, InterfaceKind } from '../../shared/nat/evidence.ts';
import { type InterfaceFacts, kindOfInterface } from '../../shared/nat/interface-kind.ts';
import {
  parseLinuxIpv4Routes,
  parseLinuxIpv6Routes,
  parseRouteGet,
  parseWindowsRoutes,
  type Route,
  routeTo,
} from './routes.ts';
import { withoutZone } from './udp.ts';

/** The system's own programs answer at once, or not at all. */
const PROGRAM_TIMEOUT_MS = 1000;
const BSD_PLATFORMS: readonly NodeJS.Platform[] = ['darwin', 'freebsd', 'netbsd', 'openbsd'];
const WINDOWS: NodeJS.Platform = 'win32';
/** Off the path, only these are told of: they explain surprises, and the rest is nobody's business. */
const TOLD_KINDS: ReadonlySet<InterfaceKind> = new Set(['vpn', 'tunnel', 'container', 'virtual-machine']);

/**
 * The interface that has the address `local`, with the router on its way to `server`, and the VPN,
 * tunnel, container and virtual machine interfaces beside it. What the system doesn't tell is left out.
 */
export async function inspectInterfaces(server: Endpoint, local: string): Promise<InterfaceEvidence[]> {
  const family = familyOf(local);
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
    infos
      .filter((info) => info.family === (family === 'ipv4' ? 'IPv4' : 'IPv6'))
      .map((info) => ({ name, info, address: withoutZone(info.address) })),
  );
  const told = await Promise.all(
    addresses.map(async ({ name, info, address }): Promise<InterfaceEvidence | undefined> => {
      const interfaceKind = kindOfInterface(await readInterfaceFacts(name, info));
      const onPath = address === local;
      if (!onPath && !TOLD_KINDS.has(interfaceKind)) return undefined;
      const gateway = onPath ? await findGateway(name, local, server.address) : undefined;
      return {
        kind: 'interface',
        name,
        interfaceKind,
        address,
        onPath,
        ...(gateway === undefined ? {} : { gateway }),
      };
    }),
  );
  return told.filter((item) => item !== undefined);
}

/** The router on the way to `address` through the interface of that name and address; undefined if there is none. */
async function findGateway(name: string, local: string, address: string): Promise<string | undefined> {
  const routes = await readRoutes(familyOf(address), address);
  return routeTo(routes, address, process.platform === WINDOWS ? local : name)?.gateway;
}

async function readRoutes(family: Family, address: string): Promise<Route[]> {
  try {
    if (process.platform === 'linux') {
      return family === 'ipv4'
        ? parseLinuxIpv4Routes(await readFile('/proc/net/route', 'latin1'), endianness() === 'LE')
        : parseLinuxIpv6Routes(await readFile('/proc/net/ipv6_route', 'latin1'));
    }
    if (BSD_PLATFORMS.includes(process.platform)) {
      const flags = family === 'ipv6' ? ['-inet6'] : [];
      return parseRouteGet(await outputOf('route', ['-n', 'get', ...flags, address]), address);
    }
    if (process.platform === WINDOWS && family === 'ipv4') {
      return parseWindowsRoutes(await outputOf('route', ['print', '-4']));
    }
  } catch {
    // A system that doesn't tell its routes has no known router.
  }
  return [];
}

async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const path = [process.env['PATH'], '/sbin', '/usr/sbin'].join(':');
  const env = process.platform === WINDOWS ? process.env : { ...process.env, PATH: path };
  const { stdout } = await promisify(execFile)(program, args, { env, timeout: PROGRAM_TIMEOUT_MS });
  return stdout;
}

/**
 * On Linux what /sys tells, if it is of this network namespace: a program that was moved into
 * another one still sees the interfaces of the first, perhaps of the same names.
 */
async function readInterfaceFacts(name: string, { mac }: NetworkInterfaceInfo): Promise<InterfaceFacts> {
  if (process.platform !== 'linux') return { name };
  const folder = `/sys/class/net/${name}`;
  const [address, arpType, uevent, index, peerIndex, isTun] = await Promise.all([
    readLine(`${folder}/address`),
    readLine(`${folder}/type`),
    readLine(`${folder}/uevent`),
    readLine(`${folder}/ifindex`),
    readLine(`${folder}/iflink`),
    stat(`${folder}/tun_flags`).then(
      () => true,
      () => false,
    ),
  ]);
  if (arpType === undefined || (address === '' ? NO_MAC : address) !== mac) return { name };
  const deviceType = /^DEVTYPE=(.*)$/m.exec(uevent ?? '')?.[1];
  return {
    name,
    arpType: Number(arpType),
    ...(deviceType === undefined ? {} : { deviceType }),
    isTun,
    hasPeer: index !== peerIndex,
  };
}

const NO_MAC = '00:00:00:00:00:00';

/** The file's text without the line feed at its end, or undefined if it can't be read. */
async function readLine(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'latin1')).trimEnd();
  } catch {
    return undefined;
  }
}
