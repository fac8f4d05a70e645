/**
 * natprobe as a library. It prints nothing, keeps nothing, and leaves no socket open.
 *
 *     import { classify } from 'natprobe';
 *     const report = await classify({ server: 'stun.example.org' });
 *     console.log(report.verdict.type); // 'port-restricted-cone'
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { familyOf, parseHostPort, type Family } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import type { Verdict } from '../shared/nat/verdict.ts';
import { buildReport, type FamilyOutcome, type Report } from '../shared/report/report.ts';
import { createClassifier } from './classify/classifier.ts';
import { classifyFamilies, socketFamily } from './drive/classify-families.ts';
import { checkOwnAddress } from './drive/own-addresses.ts';
import { resolveAlternate, resolveServers } from './drive/resolve.ts';

export type { Endpoint, Family } from '../shared/endpoint.ts';
export { ERROR_CATALOGUE, NatprobeError, type ErrorCode } from '../shared/errors.ts';
export { measureLifetime, type LifetimeOptions, type LifetimeReport } from './lifetime.ts';
export type { Axes } from '../shared/nat/axes.ts';
export type { Filtering, Mapping, NatType } from '../shared/nat/behaviour.ts';
export type { Evidence } from '../shared/nat/evidence.ts';
export type { Reason, Verdict } from '../shared/nat/verdict.ts';
export {
  isClassified,
  type FamilyReport,
  type Report,
  type Skip,
  type SkippedFamily,
} from '../shared/report/report.ts';

/** Ten seconds: enough for seven resends at a satellite's round trip. */
export const DEFAULT_TIMEOUT_MS = 10_000;
/** The least time between two packets. Small routers drop bursts of new bindings (MEASURING.md §1). */
export const DEFAULT_PACE_MS = 5;
/** No more than 10 new transactions a second (RFC 5780 §5). */
export const GENTLE_PACE_MS = 100;

export interface ClassifyOptions {
  /** `HOST`, `HOST:PORT`, `[V6]:PORT`; port 3478 if none is given. */
  readonly server?: string;
  /** More servers: the mapping is then measured towards each. Where none has a second address, at least two are needed. */
  readonly servers?: readonly string[];
  /** The second endpoint of the first server (other address, other port), if it doesn't tell it itself. */
  readonly alternate?: string;
  /** Both if not given. */
  readonly families?: readonly Family[];
  /** The port that the mapping is measured from. Filtering is always measured from fresh ports. */
  readonly localPort?: number;
  /** A bound UDP socket of the application to measure the mapping from; only its family is classified, and it stays open. */
  readonly socket?: Socket;
  /** The time budget for each family, in milliseconds. */
  readonly timeoutMs?: number;
  /** Keep to 10 new transactions a second (RFC 5780 §5). */
  readonly gentle?: boolean;
  /** Also measure what else the NAT does (`axes` in the report): a second or two more. Most of it takes natprobed as the server. */
  readonly full?: boolean;
  /** As `full`, and whether inside hosts reach each other by their public endpoints: some firewalls take that for an attack. */
  readonly hairpin?: boolean;
  /** As `full`, and what becomes of two inside hosts on one port: a further address of this machine behind the same NAT. */
  readonly also?: string;
  readonly signal?: AbortSignal;
  /** Called with what is known so far, whenever that changes. */
  readonly onProgress?: (progress: ClassifyProgress) => void;
}

export interface ClassifyProgress {
  readonly family: Family;
  readonly verdict: Verdict;
}

/**
 * Names the NAT in front of this machine.
 *
 * Resolves with a report also when the verdict is `inconclusive` or `udp-blocked`. Rejects with a
 * NatprobeError: ERR_NO_SERVER, ERR_ENDPOINT, ERR_PORT, ERR_NUMBER, ERR_FLAGS for options that can't
 * be used, ERR_ADDRESS_NOT_LOCAL for an `also` that this machine doesn't have, ERR_RESOLVE, ERR_UNREACHABLE if no server answers over UDP or TCP, ERR_LOCAL_PORT,
 * ERR_ABORTED.
 */
export async function classify(options: ClassifyOptions): Promise<Report> {
  const { socket, signal, onProgress, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const asked = [...(options.server === undefined ? [] : [options.server]), ...(options.servers ?? [])];
  if (asked.length === 0) throw new NatprobeError('ERR_NO_SERVER', 'server');
  const localPort = checkLocalPort(options);
  checkTimeout(timeoutMs);
  const also = options.also === undefined ? undefined : checkOwnAddress(options.also, 'also');
  const hosts = asked.map((server) => parseHostPort(server, 'server'));
  const alternateHost =
    options.alternate === undefined ? undefined : parseHostPort(options.alternate, 'alternate');
  const families = options.families ?? (socket === undefined ? ['ipv4', 'ipv6'] : [socketFamily(socket)]);

  const startedAt = new Date();
  const [servers, alternate] = await Promise.all([
    resolveServers(hosts, timeoutMs),
    alternateHost && resolveAlternate(alternateHost, timeoutMs),
  ]);
  const paceMs = options.gentle === true ? GENTLE_PACE_MS : DEFAULT_PACE_MS;
  const classified = await classifyFamilies({
    families,
    servers: servers.addresses,
    ...(alternate && { alternate }),
    ...(socket && { socket }),
    ...(signal && { signal }),
    ...(onProgress && { onProgress: (family, verdict) => onProgress({ family, verdict }) }),
    createMachine: (family, endpoints, alternateEndpoint) =>
      createClassifier({
        family,
        servers: endpoints,
        ...(alternateEndpoint && { alternate: alternateEndpoint }),
        ...(localPort !== undefined && { localPort }),
        timeoutMs,
        paceMs,
        random: randomBytes,
      }),
  });
  const isSurveyed = options.full === true || options.hairpin === true || also !== undefined;
  const outcomes = isSurveyed ? await surveyBoth(classified, { ...options, paceMs, also }) : classified;
  const report = buildReport({ asked, unresolved: servers.unresolved, startedAt, outcomes });
  if (report === undefined) {
    throw new NatprobeError('ERR_UNREACHABLE', asked.join(', '), whyUnreachable(outcomes));
  }
  return report;
}

type Outcomes = Readonly<Record<Family, FamilyOutcome>>;

async function surveyBoth(
  outcomes: Outcomes,
  { paceMs, hairpin, also, signal }: Pick<ClassifyOptions, 'hairpin' | 'signal'> & SurveyRun,
): Promise<Outcomes> {
  // Loaded late: who only asks for the verdict doesn't wait for it.
  const { surveyOutcome } = await import('./drive/survey.ts');
  const survey = (family: Family): Promise<FamilyOutcome> =>
    surveyOutcome(family, outcomes[family], {
      paceMs,
      ...(hairpin !== undefined && { hairpin }),
      ...(also !== undefined && familyOf(also) === family && { also }),
      ...(signal && { signal }),
    });
  const [ipv4, ipv6] = await Promise.all([survey('ipv4'), survey('ipv6')]);
  return { ipv4, ipv6 };
}

interface SurveyRun {
  readonly paceMs: number;
  readonly also: string | undefined;
}

function whyUnreachable(outcomes: Outcomes): string {
  return [outcomes.ipv4, outcomes.ipv6]
    .flatMap((outcome) =>
      outcome.kind === 'skipped' && outcome.skip.code !== 'not-asked' ? outcome.skip.text : [],
    )
    .join('; ');
}

function checkLocalPort({ localPort, socket, families }: ClassifyOptions): number | undefined {
  if (socket !== undefined) {
    const family = socketFamily(socket);
    if (localPort !== undefined || families?.some((asked) => asked !== family) === true) {
      throw new NatprobeError('ERR_FLAGS', 'socket', `it fixes localPort and families (${family})`);
    }
    return socket.address().port;
  }
  if (localPort !== undefined && !(Number.isInteger(localPort) && localPort >= 1 && localPort <= 65535)) {
    throw new NatprobeError('ERR_PORT', 'localPort', `got ${localPort}`);
  }
  return localPort;
}

function checkTimeout(timeoutMs: number): void {
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new NatprobeError('ERR_NUMBER', 'timeoutMs', `got ${timeoutMs}, at most ${MAX_TIMEOUT_MS}`);
  }
}

/** An hour, which no path needs; it catches seconds given twice a thousandfold. */
const MAX_TIMEOUT_MS = 3_600_000;
