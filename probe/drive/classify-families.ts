import type { Socket } from 'node:dgram';
import { familyOf, formatEndpoint, type Endpoint, type Family } from '../../shared/endpoint.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import { FAMILY_NAMES, type FamilyOutcome, type Skip } from '../../shared/report/report.ts';
import { allWithGrace } from './grace.ts';
import type { Addresses } from './resolve.ts';
import { runProbe, type ClassifierMachine } from './run-probe.ts';
import { localAddressTowards, NO_ROUTE_CODES, systemErrorCode } from './udp.ts';

const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

/**
 * What a family gets beyond the first verdict of the other, at least: enough for the resends of a
 * lossy path, little enough that a broken IPv6 is not waited for.
 */
export const FAMILY_GRACE_MS = 500;
/** And as a multiple of what the first one took: the two paths may be unlike. */
export const FAMILY_GRACE_FACTOR = 2;

export interface FamiliesRun {
  readonly families: readonly Family[];
  /** One entry for each server that resolved. */
  readonly servers: readonly Addresses[];
  readonly alternate?: Addresses;
  readonly socket?: Socket;
  readonly signal?: AbortSignal;
  readonly onProgress?: (family: Family, verdict: Verdict) => void;
  /** Makes the machine that classifies one family. */
  readonly createMachine: (
    family: Family,
    servers: Endpoint[],
    alternate: Endpoint | undefined,
  ) => ClassifierMachine;
}

/**
 * Classifies both families at the same time. A family that the servers or this machine don't have
 * is skipped with the reason, and so is one that is far slower than the other.
 * Rejects with ERR_LOCAL_PORT, or with ERR_ABORTED if the signal says so.
 */
export async function classifyFamilies(run: FamiliesRun): Promise<Readonly<Record<Family, FamilyOutcome>>> {
  const over = new AbortController();
  const signal = run.signal === undefined ? over.signal : AbortSignal.any([run.signal, over.signal]);
  const startedAt = performance.now();
  try {
    const outcomes = await allWithGrace(
      FAMILIES.map((family) => classifyFamily(family, { ...run, signal })),
      (outcome) => outcome.kind === 'classified' && outcome.verdict.type !== 'inconclusive',
      () => Math.max(FAMILY_GRACE_MS, FAMILY_GRACE_FACTOR * (performance.now() - startedAt)),
    );
    const [ipv4 = late('ipv4', startedAt), ipv6 = late('ipv6', startedAt)] = outcomes;
    return { ipv4, ipv6 };
  } finally {
    over.abort();
  }
}

async function classifyFamily(family: Family, run: FamiliesRun): Promise<FamilyOutcome> {
  const label = FAMILY_NAMES[family];
  if (!run.families.includes(family)) return skipped('not-asked', `${label} was not asked for`);
  const servers = run.servers.flatMap((addresses) => addresses[family] ?? []);
  const first = servers[0];
  if (first === undefined) return skipped('no-address', `the server has no ${label} address`);
  const noRoute = await findNoRoute(first);
  if (noRoute !== undefined) {
    return skipped('no-route', `this machine has no way to ${formatEndpoint(first)} (${noRoute})`);
  }
  const machine = run.createMachine(family, servers, run.alternate?.[family]);
  const result = await runProbe(machine, {
    ...(run.socket !== undefined && socketFamily(run.socket) === family && { socket: run.socket }),
    ...(run.signal !== undefined && { signal: run.signal }),
    onProgress: (verdict) => run.onProgress?.(family, verdict),
  });
  if (result.outcome.kind === 'unreachable') return skipped('unreachable', result.outcome.reason);
  return {
    kind: 'classified',
    verdict: result.outcome.verdict,
    endpoints: result.endpoints,
    servers,
    timing: result.timing,
    evidence: result.evidence,
  };
}

/** The system's word for "no route", or undefined if there is one. */
async function findNoRoute(to: Endpoint): Promise<string | undefined> {
  try {
    await localAddressTowards(to);
    return undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (NO_ROUTE_CODES.has(code)) return code;
    throw error;
  }
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
