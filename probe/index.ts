/**
 * natprobe as a library. It prints nothing, keeps nothing, and leaves no socket open.
 *
 *     import { classify } from 'natprobe';
 *     const report = await classify({ server: 'stun.example.org' });
 *     console.log(report.verdict.type); // 'port-restricted-cone'
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import type { Socket as TcpSocket } from 'node:net';
import { familyOf, parseHostPort, type Family, type HostPort } from '../shared/endpoint.ts';
import { NatprobeError } from '../shared/errors.ts';
import { parseHttpUrl } from '../shared/http-url.ts';
import type { Verdict } from '../shared/nat/verdict.ts';
import type { PortMappingReport } from '../shared/report/port-mapping.ts';
import { buildReport, type FamilyOutcome, type Report } from '../shared/report/report.ts';
import { REPORT_NONCE_BYTES } from '../shared/report/witnesses.ts';
import { createClassifier } from './classify/classifier.ts';
import { classifyFamilies, socketFamily } from './drive/classify-families.ts';
import { checkOwnAddress } from './drive/own-addresses.ts';
import { namedAddresses, resolveAlternate, resolveServers } from './drive/resolve.ts';
import type { RoomMeans } from './drive/join-room.ts';
import type { Hole } from './hole.ts';
import type { JoinOptions, Membership, PunchOptions, RoomOptions } from './join.ts';
import { deliverReport } from './send-report.ts';

export type { Endpoint, Family } from '../shared/endpoint.ts';
export { ERROR_CATALOGUE, NatprobeError, type ErrorCode } from '../shared/errors.ts';
export { sendReport, type SendReportOptions } from './send-report.ts';
export { measureLifetime, type LifetimeOptions, type LifetimeReport } from './lifetime.ts';
export {
  predict,
  preflight,
  type ForesightOptions,
  type PredictedOutcome,
  type PredictedSide,
  type Prediction,
  type Preflight,
  type PreflightDecision,
  type PunchSubject,
  type StatedBehaviour,
  type Strategy,
  type StrategyName,
} from './punch.ts';
export { PunchFailedError } from './join.ts';
export type {
  AskedOf,
  Foresight,
  JoinOptions,
  Membership,
  MembershipEvent,
  PunchCallOptions,
  PunchOptions,
  RoomOptions,
} from './join.ts';
export type { Hole, HoleEvents, PunchReport } from './hole.ts';
export type { BrokerPeer, Consent, PlannedPrediction, Relay, Transport } from '../shared/broker/messages.ts';
export type { Axes } from '../shared/nat/axes.ts';
export type { Filtering, Mapping, NatType } from '../shared/nat/behaviour.ts';
export type { Evidence } from '../shared/nat/evidence.ts';
export type { PortMappingReport } from '../shared/report/port-mapping.ts';
export type { Reason, Verdict } from '../shared/nat/verdict.ts';
export {
  isClassified,
  isSent,
  type FamilyReport,
  type Report,
  type ReportDelivery,
  type SentReport,
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
  /**
   * Of what `full` measures only what the prediction of a punch takes, as far as it matters behind this NAT;
   * with `tcp` that of one over TCP as well, which takes up to 2.5 s more.
   */
  readonly forPunch?: boolean | 'tcp';
  /** As `full`, and whether inside hosts reach each other by their public endpoints: some firewalls take that for an attack. */
  readonly hairpin?: boolean;
  /** As `full`, and what becomes of two inside hosts on one port: a further address of this machine behind the same NAT. */
  readonly also?: string;
  /** Also have the router map this UDP port of this machine, and the server try it from outside (`portMapping` in the report). */
  readonly mapPort?: number;
  /** Leave that mapping in the router, for two hours or as the router has it; else it is removed after the try. */
  readonly keepMapping?: boolean;
  /** Hand the report to the server, with witnesses of its public endpoints; `report` in it says what became of that. */
  readonly report?: boolean | ReportOptions;
  readonly signal?: AbortSignal;
  /** Called with what is known so far, whenever that changes. */
  readonly onProgress?: (progress: ClassifyProgress) => void;
}

export interface ReportOptions {
  /** The address of the HTTP API, if not the one that the server names. */
  readonly api?: string;
  /** Whether this report is to be handed over; if not given, it is. */
  readonly when?: (report: Report) => boolean;
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
 * be used, ERR_URL, ERR_ADDRESS_NOT_LOCAL for an `also` that this machine doesn't have, ERR_RESOLVE, ERR_UNREACHABLE if no server answers over UDP or TCP, ERR_LOCAL_PORT,
 * ERR_ABORTED.
 */
export async function classify(options: ClassifyOptions): Promise<Report> {
  const { socket, signal, onProgress, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const asked = [...(options.server === undefined ? [] : [options.server]), ...(options.servers ?? [])];
  if (asked.length === 0) throw new NatprobeError('ERR_NO_SERVER', 'server');
  const localPort = checkLocalPort(options);
  const mappedPort = options.mapPort === undefined ? undefined : checkPort(options.mapPort, 'mapPort');
  checkTimeout(timeoutMs);
  const also = options.also === undefined ? undefined : checkOwnAddress(options.also, 'also');
  const hosts = asked.map((server) => parseHostPort(server, 'server'));
  const alternateHost =
    options.alternate === undefined ? undefined : parseHostPort(options.alternate, 'alternate');
  const families = options.families ?? (socket === undefined ? ['ipv4', 'ipv6'] : [socketFamily(socket)]);

  const reporting = options.report === true ? {} : options.report || undefined;
  if (reporting?.api !== undefined) parseHttpUrl(reporting.api, 'api');
  const witnessNonce = randomBytes(REPORT_NONCE_BYTES);

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
    createMachine: (family, endpoints, alternateEndpoint, nat64) =>
      createClassifier({
        family,
        servers: endpoints,
        ...(alternateEndpoint && { alternate: alternateEndpoint }),
        ...(nat64 && { nat64 }),
        ...(localPort !== undefined && { localPort }),
        timeoutMs,
        paceMs,
        random: randomBytes,
        ...(reporting && {
          enclosures: { witness: { purpose: 'report', nonce: witnessNonce }, service: true },
        }),
      }),
  });
  const isFull = options.full === true || options.hairpin === true || also !== undefined;
  const forPunch = !isFull && (options.forPunch === true ? 'udp' : (options.forPunch ?? false));
  const isSurveyed = isFull || forPunch !== false;
  const outcomes = isSurveyed
    ? await surveyBoth(classified, { ...options, paceMs, also, forPunch })
    : classified;
  const report = buildReport({ asked, unresolved: servers.unresolved, startedAt, outcomes });
  if (report === undefined) {
    throw new NatprobeError('ERR_UNREACHABLE', asked.join(', '), whyUnreachable(outcomes));
  }
  const whole =
    mappedPort === undefined
      ? report
      : { ...report, portMapping: await askRouter(hosts[0]!, mappedPort, options) };
  if (reporting === undefined || reporting.when?.(whole) === false) return whole;
  const run = {
    servers: namedAddresses(hosts, servers),
    nonce: witnessNonce,
    enclosures: [classified.ipv4, classified.ipv6].flatMap(({ enclosures }) => enclosures ?? []),
  };
  const { api } = reporting;
  const delivery = await deliverReport(whole, run, {
    ...(api !== undefined && { api }),
    ...(signal && { signal }),
  });
  return { ...whole, report: delivery };
}

/**
 * Goes into a room at the server's broker, where peers are introduced to each other and open holes.
 *
 * Resolves once others can be introduced. Rejects with a NatprobeError: those of classify() for the
 * options and the server, ERR_NO_API, ERR_API_UNREACHABLE and ERR_NO_BROKER where there is no broker, ERR_NO_WITNESS,
 * ERR_NAME_TAKEN, ERR_PEER_NAME, ERR_ROOM_KEY, ERR_BROKER_FULL and what else a broker refuses, ERR_ABORTED.
 */
export async function join(options: JoinOptions): Promise<Membership> {
  // Loaded late: who classifies only doesn't wait for it.
  const { joinRoom } = await import('./drive/join-room.ts');
  return joinRoom(options, await udpMeans(options));
}

/**
 * Opens a hole to a peer of the room (a name or a number), as a member for that alone: closing the hole leaves the room.
 * Over TCP its socket is a connected one, paused until it is resumed or piped.
 *
 * Rejects with a PunchFailedError, which has the report, if no hole could be opened, and with a
 * NatprobeError as join() does or for what the broker refuses: ERR_NO_PEER, ERR_PEER_AWAY, ERR_PEER_REFUSED, ERR_PEER_SILENT.
 */
export async function punch(
  peer: string | number,
  options: PunchOptions & TcpTransport,
): Promise<Hole<TcpSocket>>;
export async function punch(
  peer: string | number,
  options: PunchOptions & UdpTransport,
): Promise<Hole<Socket>>;
export async function punch(peer: string | number, options: PunchOptions): Promise<Hole<Socket | TcpSocket>>;
export async function punch(peer: string | number, options: PunchOptions): Promise<Hole<Socket | TcpSocket>> {
  const { punchFromRoom } = await import('./drive/join-room.ts');
  return punchFromRoom(peer, options, await udpMeans(options));
}

interface TcpTransport {
  readonly transport: 'tcp';
}

interface UdpTransport {
  readonly transport?: 'udp';
}

async function udpMeans({ socket }: RoomOptions): Promise<RoomMeans<Socket>> {
  const { adoptUdpSocket, openUdpSocket } = await import('./drive/udp.ts');
  return {
    open: openUdpSocket,
    ...(socket !== undefined && {
      adopt: (_family, _port, towards, handlers) => adoptUdpSocket(socket, towards, handlers),
    }),
    measure: classify,
  };
}

/** The verdict stands, whatever becomes of the mapping. Rejects only with ERR_ABORTED. */
async function askRouter(
  server: HostPort,
  localPort: number,
  { socket, keepMapping, signal }: ClassifyOptions,
): Promise<PortMappingReport> {
  const { mapPort } = await import('./drive/map-port.ts');
  try {
    const mapped = await mapPort({
      server,
      localPort,
      ...(socket?.address().port === localPort && { socket }),
      ...(keepMapping !== undefined && { keep: keepMapping }),
      ...(signal && { signal }),
    });
    return { outcome: 'mapped', ...mapped };
  } catch (error) {
    if (!(error instanceof NatprobeError) || error.code === 'ERR_ABORTED') throw error;
    return { outcome: 'failed', reason: { code: error.code, text: error.message } };
  }
}

type Outcomes = Readonly<Record<Family, FamilyOutcome>>;

async function surveyBoth(
  outcomes: Outcomes,
  { paceMs, hairpin, also, forPunch, signal }: Pick<ClassifyOptions, 'hairpin' | 'signal'> & SurveyRun,
): Promise<Outcomes> {
  // Loaded late: who only asks for the verdict doesn't wait for it.
  const { surveyOutcome } = await import('./drive/survey.ts');
  const survey = (family: Family): Promise<FamilyOutcome> =>
    surveyOutcome(family, outcomes[family], {
      paceMs,
      forPunch,
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
  readonly forPunch: false | 'udp' | 'tcp';
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
  return localPort === undefined ? undefined : checkPort(localPort, 'localPort');
}

function checkPort(port: number, place: string): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65535) return port;
  throw new NatprobeError('ERR_PORT', place, `got ${port}`);
}

function checkTimeout(timeoutMs: number): void {
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new NatprobeError('ERR_NUMBER', 'timeoutMs', `got ${timeoutMs}, at most ${MAX_TIMEOUT_MS}`);
  }
}

/** An hour, which no path needs; it catches seconds given twice a thousandfold. */
const MAX_TIMEOUT_MS = 3_600_000;
