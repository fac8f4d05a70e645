import type { Socket } from 'node:dgram';
import { familyOf, formatEndpoint, type Endpoint, type Family } from '../../shared/endpoint.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { FAMILY_NAMES, type FamilyOutcome, type Skip } from '../../shared/report/report.ts';
import {
  extractAddress,
  formatNat64Prefix,
  prefixesBetween,
  WELL_KNOWN_NAT64_PREFIX,
  type Nat64Prefix,
} from '../../shared/nat64.ts';
import type { Enclosures } from '../classify/enclosures.ts';
import { allWithGrace } from './grace.ts';
import { discoverNat64Prefixes } from './nat64.ts';
import type { Addresses } from './resolve.ts';
import { runProbe, type ClassifierMachine } from './run-probe.ts';
import { findNoRoute } from './udp.ts';

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * What a family gets beyond the first verdict of the other, at least: enough for the resends of a
 * lossy path, little enough that a broken IPv6 is not waited for.
 */
export const FAMILY_GRACE_MS = 500;
/** And as a multiple of what the first one took: the two paths may be unlike. */
export const FAMILY_GRACE_FACTOR = 2;

/** An outcome, and what came along with it that is no part of a report. */
export type ProbedFamily = FamilyOutcome & { readonly enclosures?: Enclosures };

export interface FamiliesRun {
  readonly families: readonly Family[];
  /** One entry for each server that resolved. */
  readonly servers: readonly Addresses[];
  readonly alternate?: Addresses;
  readonly socket?: Socket;
  readonly signal?: AbortSignal;
  readonly onProgress?: (family: Family, verdict: Verdict) => void;
  /** Makes the machine that classifies one family; IPv4 by way of a NAT64 where this machine has no other. */
  readonly createMachine: (
    family: Family,
    servers: Endpoint[],
    alternate: Endpoint | undefined,
    nat64: Nat64Prefix | undefined,
  ) => ClassifierMachine;
  /** Asks the network for its NAT64 prefixes. Only called where they matter. */
  readonly findNat64?: () => Promise<readonly Nat64Prefix[]>;
}

/**
 * Classifies both families at the same time. A family that the servers or this machine don't have
 * is skipped with the reason, and so is one that is far slower than the other.
 * Rejects with ERR_LOCAL_PORT, or with ERR_ABORTED if the signal says so.
 */
export async function classifyFamilies(run: FamiliesRun): Promise<Readonly<Record<Family, ProbedFamily>>> {
  const over = new AbortController();
  const signal = run.signal === undefined ? over.signal : AbortSignal.any([run.signal, over.signal]);
  const startedAt = performance.now();
  let asked: Promise<readonly Nat64Prefix[]> | undefined;
  const findNat64 = (): Promise<readonly Nat64Prefix[]> =>
    (asked ??= (run.findNat64 ?? discoverNat64Prefixes)());
  try {
    const outcomes = await allWithGrace(
      FAMILIES.map((family) => classifyFamily(family, { ...run, signal, findNat64 })),
      (outcome) => outcome.kind === 'classified' && outcome.verdict.type !== 'inconclusive',
      () => Math.max(FAMILY_GRACE_MS, FAMILY_GRACE_FACTOR * (performance.now() - startedAt)),
    );
    const [ipv4 = late('ipv4', startedAt), ipv6 = late('ipv6', startedAt)] = outcomes;
    return { ipv4, ipv6 };
  } finally {
    over.abort();
  }
}

type Run = FamiliesRun & Required<Pick<FamiliesRun, 'findNat64'>>;

async function classifyFamily(family: Family, run: Run): Promise<ProbedFamily> {
  const label = FAMILY_NAMES[family];
  if (!run.families.includes(family)) return skipped('not-asked', `${label} was not asked for`);
  const synthesized = family === 'ipv6' ? await findSynthesized(run) : [];
  const servers = run.servers.flatMap((addresses) =>
    family === 'ipv4' ? (ipv4Of(addresses) ?? []) : withoutSynthesized(addresses.ipv6, synthesized),
  );
  const first = servers[0];
  if (first === undefined) {
    const [nat64] = synthesized;
    const instead =
      nat64 === undefined ? '' : `; its IPv4 one can be reached under ${formatNat64Prefix(nat64.prefix)}`;
    return skipped('no-address', `the server has no ${label} address${instead}`);
  }
  const noRoute = await findNoRoute(first);
  const nat64 = noRoute === undefined ? undefined : await findWayThroughNat64(first, run);
  if (noRoute !== undefined && nat64 === undefined) {
    return skipped('no-route', `this machine has no way to ${formatEndpoint(first)} (${noRoute})`);
  }
  const alternate = run.alternate?.[family];
  const machine = run.createMachine(family, servers, alternate, nat64);
  const socket = nat64 === undefined ? run.socket : undefined;
  const result = await runProbe(machine, {
    ...(socket !== undefined && socketFamily(socket) === family && { socket }),
    ...(run.signal !== undefined && { signal: run.signal }),
    onProgress: (verdict) => run.onProgress?.(family, verdict),
  });
  if (result.outcome.kind === 'unreachable') {
    const way = nat64 === undefined ? '' : ` through the NAT64 at ${formatNat64Prefix(nat64)}`;
    return skipped('unreachable', `${result.outcome.reason}${way}`);
  }
  return {
    kind: 'classified',
    verdict: result.outcome.verdict,
    endpoints: result.endpoints,
    servers,
    timing: result.timing,
    evidence: result.evidence,
    ...(result.enclosures && { enclosures: result.enclosures }),
  };
}

/** An IPv6 address that a DNS64 made of a server's IPv4 one, or a person did. */
interface Synthesized {
  readonly address: string;
  readonly prefix: Nat64Prefix;
}

/** Asks for prefixes only where an address looks like it. */
async function findSynthesized({ servers, findNat64 }: Run): Promise<Synthesized[]> {
  const found = servers.map(async ({ ipv4, ipv6 }): Promise<Synthesized[]> => {
    if (ipv6 === undefined) return [];
    const { address } = ipv6;
    if (extractAddress(WELL_KNOWN_NAT64_PREFIX, address) !== undefined) {
      return [{ address, prefix: WELL_KNOWN_NAT64_PREFIX }];
    }
    const possible = ipv4 === undefined ? [] : prefixesBetween(ipv4.address, address).map(formatNat64Prefix);
    if (possible.length === 0) return [];
    const prefix = (await findNat64()).find((item) => possible.includes(formatNat64Prefix(item)));
    return prefix === undefined ? [] : [{ address, prefix }];
  });
  return (await Promise.all(found)).flat();
}

function withoutSynthesized(endpoint: Endpoint | undefined, synthesized: readonly Synthesized[]): Endpoint[] {
  if (endpoint === undefined || synthesized.some(({ address }) => address === endpoint.address)) return [];
  return [endpoint];
}

/** What stands under the well-known prefix is IPv4, whoever wrote it so. */
function ipv4Of({ ipv4, ipv6 }: Addresses): Endpoint | undefined {
  if (ipv4 !== undefined || ipv6 === undefined) return ipv4;
  const address = extractAddress(WELL_KNOWN_NAT64_PREFIX, ipv6.address);
  return address === undefined ? undefined : { address, port: ipv6.port };
}

/** The NAT64 prefix under which an IPv4 server can be sent to, if the network has one. */
async function findWayThroughNat64(
  server: Endpoint,
  { servers, findNat64 }: Run,
): Promise<Nat64Prefix | undefined> {
  if (familyOf(server.address) !== 'ipv4') return undefined;
  const [found] = await findNat64();
  const isShown = servers.some(
    ({ ipv6 }) => ipv6 && extractAddress(WELL_KNOWN_NAT64_PREFIX, ipv6.address) !== undefined,
  );
  return found ?? (isShown ? WELL_KNOWN_NAT64_PREFIX : undefined);
}

export function socketFamily(socket: Socket): Family {
  return familyOf(socket.address().address);
}

function late(family: Family, startedAt: number): FamilyOutcome {
  const waited = ((performance.now() - startedAt) / 1000).toFixed(1);
  return skipped('late', `no ${FAMILY_NAMES[family]} verdict within ${waited} s, while the other had one`);
}

function skipped(code: Skip['code'], text: string): FamilyOutcome {
  return { kind: 'skipped', skip: { code, text } };
}
